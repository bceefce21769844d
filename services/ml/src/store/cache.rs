//! Models of the object store, unpacked. One folder for each object: `name@version@<its checksum>`, so that an object that
//! was replaced is another folder. Several processes may share it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tasklane_models::folder::ASIDE;
use tasklane_models::manifest::FILE;

use super::Entry;
use crate::error::MlError;

/// What lies aside for so long was left by a process that died.
const LEFT_BEHIND: Duration = Duration::from_secs(6 * 3600);
/// Characters of an object's checksum that tell it from others of its name.
const DIGITS: usize = 16;

/// The folder.
pub struct Cache {
    folder: PathBuf,
}

impl Cache {
    /// Makes the folder where it is not there, and sweeps out what was left half unpacked.
    pub fn open(folder: PathBuf) -> Result<Self, MlError> {
        let failed = |e: std::io::Error| MlError::Internal(format!("models.cache {}: {e}", folder.display()));
        std::fs::create_dir_all(&folder).map_err(failed)?;
        for entry in std::fs::read_dir(&folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let aside = entry.file_name().to_string_lossy().starts_with(ASIDE);
            let changed = entry.metadata().and_then(|facts| facts.modified()).map_err(failed)?;
            if aside && changed.elapsed().is_ok_and(|age| age > LEFT_BEHIND) {
                std::fs::remove_dir_all(entry.path()).map_err(failed)?;
            }
        }
        Ok(Self { folder })
    }

    /// Where an object is, or will be.
    pub fn place(&self, entry: &Entry) -> PathBuf {
        let digits: String = entry.stamp.chars().filter(char::is_ascii_alphanumeric).collect();
        let start = digits.len().saturating_sub(DIGITS);
        self.folder.join(format!("{}@{}", entry.name, &digits[start..]))
    }

    /// The unpacked object, where it is there.
    pub fn find(&self, entry: &Entry) -> Option<PathBuf> {
        let place = self.place(entry);
        place.join(FILE).is_file().then_some(place)
    }

    /// Removes what cannot be used. Who has its files open keeps them.
    pub fn remove(&self, place: &Path) -> Result<(), MlError> {
        match std::fs::remove_dir_all(place) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                Err(MlError::Internal(format!("{}: {e}", place.display())))
            }
            _ => Ok(()),
        }
    }

    /// Removes older objects of the same name and version.
    pub fn keep_only(&self, entry: &Entry) {
        let (kept, start) = (self.place(entry), format!("{}@", entry.name));
        let Ok(entries) = std::fs::read_dir(&self.folder) else { return };
        for old in entries.flatten().map(|entry| entry.path()).filter(|path| *path != kept) {
            let ours = old.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&start));
            if ours && let Err(e) = std::fs::remove_dir_all(&old) {
                tracing::warn!(folder = %old.display(), "an old model stays in the cache: {e}");
            }
        }
    }
}
