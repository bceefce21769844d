//! A model as one object: an uncompressed tar of its manifest, which comes first, and of the files that it names.
//! Blocking. Not compressed: weights do not shrink, and what is unpacked is never more than what was sent.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use tar::{Archive, Builder, Entry, EntryType, Header};

use crate::folder::{self, Summed};
use crate::manifest::{self, Manifest};
use crate::{ModelName, StoreError};

/// Writes a model's folder, whose files are checked while they are read. The same model makes the same bytes.
///
/// # Errors
/// A file that is missing or not what the manifest says, or `to` that cannot be written.
pub fn pack(folder: &Path, manifest: &Manifest, to: impl Write) -> Result<(), StoreError> {
    let unwritten = |e: std::io::Error| StoreError::io(Path::new("the archive"), &e);
    folder::all_listed(folder, manifest)?;
    let mut archive = Builder::new(to);
    add(&mut archive, folder, manifest::FILE, None)?;
    for (file, sum) in &manifest.files {
        add(&mut archive, folder, file, Some(sum))?;
    }
    let mut to = archive.into_inner().map_err(unwritten)?;
    to.flush().map_err(unwritten)
}

fn add(
    archive: &mut Builder<impl Write>,
    folder: &Path,
    name: &str,
    sum: Option<&str>,
) -> Result<(), StoreError> {
    let path = folder.join(name);
    let failed = |e: std::io::Error| StoreError::io(&path, &e);
    let file = File::open(&path).map_err(failed)?;
    let size = file.metadata().map_err(failed)?.len();
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::Regular);
    header.set_mode(0o644);
    header.set_size(size);
    let mut data = Summed::new(file.take(size));
    archive.append_data(&mut header, name, &mut data).map_err(failed)?;
    let (read, found) = data.end();
    if read != size {
        return Err(StoreError::Bad(format!("{} changed while it was read", path.display())));
    }
    match sum {
        Some(sum) if found != sum => Err(folder::wrong_sum(name, &found, sum)),
        _ => Ok(()),
    }
}

/// Reads the manifest, which comes first, and no further.
///
/// # Errors
/// No manifest, or one with mistakes.
pub fn peek(from: impl Read) -> Result<(String, Manifest), StoreError> {
    let mut archive = Archive::new(from);
    for entry in archive.entries().map_err(unreadable)? {
        let mut entry = entry.map_err(unreadable)?;
        if !is_root(&entry) {
            return first(&mut entry);
        }
    }
    Err(StoreError::Bad("the archive is empty".to_owned()))
}

/// Unpacks one version of a model to `target`: beside it first, and under its name when every file is there and is what
/// the manifest says. Whoever looks sees the whole model or none.
///
/// # Errors
/// An archive that is torn, or has anything else in it; the disk.
pub fn unpack(from: impl Read, wanted: &ModelName, target: &Path) -> Result<Manifest, StoreError> {
    let parent = target.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(parent).map_err(|e| StoreError::io(parent, &e))?;
    let aside = tempfile::Builder::new().prefix(folder::ASIDE).tempdir_in(parent);
    let aside = aside.map_err(|e| StoreError::io(parent, &e))?;
    let manifest = unpack_into(from, wanted, aside.path())?;
    sync(aside.path())?;
    let done = match std::fs::rename(aside.path(), target) {
        // Somebody was faster with the same.
        Err(_) if target.join(manifest::FILE).is_file() => Ok(manifest),
        Err(e) => Err(StoreError::io(target, &e)),
        Ok(()) => {
            drop(aside.keep());
            Ok(manifest)
        }
    };
    sync(parent)?;
    done
}

fn unpack_into(from: impl Read, wanted: &ModelName, folder: &Path) -> Result<Manifest, StoreError> {
    let mut archive = Archive::new(from);
    let mut manifest: Option<Manifest> = None;
    let mut seen = BTreeSet::new();
    for entry in archive.entries().map_err(unreadable)? {
        let mut entry = entry.map_err(unreadable)?;
        if is_root(&entry) {
            continue;
        }
        let Some(manifest) = &manifest else {
            let (text, read) = first(&mut entry)?;
            if read.full_name() != *wanted {
                let found = read.full_name();
                return Err(StoreError::Bad(format!("the object of {wanted} has the manifest of {found}")));
            }
            keep(&folder.join(manifest::FILE), text.as_bytes())?;
            manifest = Some(read);
            continue;
        };
        let (name, sum) = expected(&entry, manifest)?;
        if !seen.insert(name.to_owned()) {
            return Err(StoreError::Bad(format!("the archive has `{name}` twice")));
        }
        let found = keep(&folder.join(name), &mut entry)?;
        if found != sum {
            return Err(folder::wrong_sum(name, &found, sum));
        }
    }
    let manifest = manifest.ok_or_else(|| StoreError::Bad("the archive is empty".to_owned()))?;
    match manifest.files.keys().find(|file| !seen.contains(*file)) {
        Some(absent) => Err(StoreError::Bad(format!("the archive lacks `{absent}`"))),
        None => Ok(manifest),
    }
}

/// `tar -C folder .` begins with the folder itself.
fn is_root(entry: &Entry<'_, impl Read>) -> bool {
    entry.header().entry_type() == EntryType::Directory && matches!(entry.path_bytes().as_ref(), b"." | b"./")
}

/// The manifest, out of what must be its entry.
fn first(entry: &mut Entry<'_, impl Read>) -> Result<(String, Manifest), StoreError> {
    let name = plain_name(entry)?;
    if name != manifest::FILE {
        let file = manifest::FILE;
        return Err(StoreError::Bad(format!("the archive begins with `{name}`; `{file}` must come first")));
    }
    let size = entry.size();
    if size > manifest::MAX_BYTES as u64 {
        return Err(StoreError::Bad(format!("the manifest has {size} bytes")));
    }
    let mut text = String::new();
    entry.read_to_string(&mut text).map_err(unreadable)?;
    let manifest = manifest::parse(&text).map_err(|mistakes| StoreError::Bad(manifest::told(&mistakes)))?;
    Ok((text, manifest))
}

/// The name and checksum of an entry that the manifest names. Its name is taken from the manifest: nothing else could be
/// written to, whatever the archive says.
fn expected<'m>(
    entry: &Entry<'_, impl Read>,
    manifest: &'m Manifest,
) -> Result<(&'m str, &'m str), StoreError> {
    let name = plain_name(entry)?;
    match manifest.files.get_key_value(&name) {
        Some((name, sum)) => Ok((name, sum)),
        None => Err(StoreError::Bad(format!("the archive has `{name}`, which its manifest does not name"))),
    }
}

fn plain_name(entry: &Entry<'_, impl Read>) -> Result<String, StoreError> {
    let bytes = entry.path_bytes();
    let name = String::from_utf8_lossy(bytes.strip_prefix(b"./").unwrap_or(&bytes)).into_owned();
    let shown: String = name.chars().take(100).flat_map(char::escape_debug).collect();
    match entry.header().entry_type() {
        EntryType::Regular | EntryType::Continuous => Ok(shown),
        other => Err(StoreError::Bad(format!("the archive has `{shown}`, which is no file but {other:?}"))),
    }
}

/// Writes a file that is not there yet, and returns its checksum.
fn keep(path: &PathBuf, data: impl Read) -> Result<String, StoreError> {
    let made = File::create_new(path).map_err(|e| StoreError::io(path, &e))?;
    let mut to = std::io::BufWriter::with_capacity(1 << 20, made);
    let mut data = Summed::new(data);
    // A failure to read is the archive's, one to write is the disk's.
    let copied = std::io::copy(&mut data, &mut to);
    copied.map_err(|e| if data.failed() { unreadable(e) } else { StoreError::io(path, &e) })?;
    let file = to.into_inner().map_err(|e| StoreError::io(path, &e.error()))?;
    file.sync_all().map_err(|e| StoreError::io(path, &e))?;
    Ok(data.end().1)
}

fn sync(folder: &Path) -> Result<(), StoreError> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(|e| StoreError::io(folder, &e))
}

fn unreadable(e: std::io::Error) -> StoreError {
    StoreError::io(Path::new("the archive"), &e)
}
