//! A consistent copy of what is durable, for snapshots, and a folder from such a copy.

use std::{fs, io, path::Path};

use super::{Error, hub::lock, shared::Shared};
use crate::segment::{Segment, file, manifest::Manifest};

const FILES: [&str; 5] = ["rows", "ids", "uids", "records", "graph"];

impl Shared {
    /// See [`super::Collection::export`].
    pub fn export(&self, to: &Path) -> Result<u64, Error> {
        fs::create_dir_all(to)?;
        // While the ledger is held, nothing that the manifest names is removed.
        let ledger = lock(&self.ledger);
        let manifest = ledger.manifest();
        copy(&self.folder, to, &manifest)?;
        drop(ledger);
        manifest.write(to)?;
        Ok(manifest.sequence)
    }
}

/// Makes the folder of a collection from a copy that [`super::Collection::export`] made. What was in the folder is
/// gone. What of the copy is damaged is found when the collection is opened.
///
/// # Errors
/// When the copy has no manifest, or the machine refuses.
pub fn import(from: &Path, folder: &Path) -> Result<u64, Error> {
    let manifest = Manifest::read(from)?;
    file::remove(folder)?;
    fs::create_dir_all(folder)?;
    copy(from, folder, &manifest)?;
    manifest.write(folder)?;
    Ok(manifest.sequence)
}

/// Files are never changed, so that a second name for each is a copy; where that cannot be had, a copy is.
fn copy(from: &Path, to: &Path, manifest: &Manifest) -> io::Result<()> {
    for entry in &manifest.segments {
        let (from, to) = (Segment::folder(from, entry.number), Segment::folder(to, entry.number));
        fs::create_dir_all(&to)?;
        for name in FILES {
            let (from, to) = (from.join(name), to.join(name));
            match fs::hard_link(&from, &to) {
                Err(why) if why.kind() == io::ErrorKind::NotFound => {}
                Err(why) if why.kind() == io::ErrorKind::AlreadyExists => return Err(why),
                Err(_) => {
                    fs::copy(&from, &to)?;
                    fs::File::open(&to)?.sync_all()?;
                }
                Ok(()) => {}
            }
        }
        file::sync_folder(&to)?;
    }
    file::sync_folder(to)
}
