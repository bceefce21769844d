//! A collection's files as one tar, and back. Not compressed: vectors do not shrink. Blocking.
//!
//! What is read was written by a replica; still nothing of it is trusted: only plain files, one folder deep at most, with
//! plain names, and no more bytes than the archive has.

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read as _, Write as _};
use std::path::{Component, Path, PathBuf};

use tar::{Archive, Builder, EntryType, Header};

use crate::error::VectorError;

/// Files of one archive, at most.
const MOST_FILES: usize = 100_000;

/// Writes all files of a folder and of its folders. Gives the archive's size.
///
/// # Errors
/// Where the disk refuses.
pub fn pack(folder: &Path, to: &Path) -> Result<u64, VectorError> {
    let mut archive = Builder::new(BufWriter::with_capacity(1 << 20, File::create(to)?));
    for name in files(folder)? {
        let file = File::open(folder.join(&name))?;
        let size = file.metadata()?.len();
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::Regular);
        header.set_mode(0o644);
        header.set_size(size);
        archive.append_data(&mut header, &name, BufReader::new(file.take(size)))?;
    }
    let mut to_end = archive.into_inner()?;
    to_end.flush()?;
    Ok(to_end.get_ref().metadata()?.len())
}

/// Names of the files, relative to the folder.
fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = PathBuf::from(entry.file_name());
        if entry.file_type()?.is_dir() {
            for inner in fs::read_dir(entry.path())? {
                found.push(name.join(inner?.file_name()));
            }
        } else {
            found.push(name);
        }
    }
    found.sort();
    Ok(found)
}

/// Writes the files of an archive of `size` bytes into a new folder.
///
/// # Errors
/// Where it is none, or the disk refuses.
pub fn unpack(from: &Path, to: &Path, size: u64) -> Result<(), VectorError> {
    let bad = |text: &str| VectorError::Internal(format!("the snapshot is none: {text}"));
    let file = File::open(from)?;
    if file.metadata()?.len() != size {
        return Err(bad("it has another size than was said"));
    }
    fs::create_dir(to)?;
    let mut left = size;
    let mut archive = Archive::new(BufReader::with_capacity(1 << 20, file));
    for (n, entry) in archive.entries()?.enumerate() {
        let mut entry = entry?;
        let path = entry.path()?.into_owned();
        if n >= MOST_FILES || entry.header().entry_type() != EntryType::Regular || !is_plain(&path) {
            return Err(bad("it has something else than a collection's files"));
        }
        left = left.checked_sub(entry.size()).ok_or_else(|| bad("its files are larger than it is"))?;
        let target = to.join(&path);
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent)?;
        }
        let mut written = File::options().write(true).create_new(true).open(&target)?;
        if io::copy(&mut entry, &mut written)? != entry.size() {
            return Err(bad("it is torn"));
        }
        // What is linked from here into the collection's folder is to be durable there.
        written.sync_all()?;
    }
    Ok(())
}

fn is_plain(path: &Path) -> bool {
    let mut depth = 0;
    let all = path.components().all(|part| {
        depth += 1;
        let Component::Normal(name) = part else { return false };
        name.to_str().is_some_and(|name| {
            name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
        })
    });
    all && (1..=2).contains(&depth)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_comes_back_and_nothing_else_is_unpacked() {
        let dir = tempfile::TempDir::new().unwrap();
        let (from, tar) = (dir.path().join("from"), dir.path().join("x.tar"));
        fs::create_dir_all(from.join("3")).unwrap();
        fs::write(from.join("manifest"), "m").unwrap();
        fs::write(from.join("3/rows"), vec![7; 70_000]).unwrap();
        let size = pack(&from, &tar).unwrap();
        let to = dir.path().join("to");
        unpack(&tar, &to, size).unwrap();
        assert_eq!(fs::read(to.join("manifest")).unwrap(), b"m");
        assert_eq!(fs::read(to.join("3/rows")).unwrap(), vec![7; 70_000]);
        assert!(unpack(&tar, &dir.path().join("other"), size + 1).is_err());
        let torn = dir.path().join("torn.tar");
        fs::write(&torn, &fs::read(&tar).unwrap()[..40_000]).unwrap();
        assert!(unpack(&torn, &dir.path().join("of-torn"), 40_000).is_err());
        for path in ["../x", "/x", "a/b/c", ".", "a/../b"] {
            assert!(!is_plain(Path::new(path)), "{path}");
        }
        assert!(is_plain(Path::new("manifest")) && is_plain(Path::new("12/rows")));
    }
}
