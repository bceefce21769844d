//! A model as a folder. Blocking.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use crate::StoreError;
use crate::manifest::{self, Manifest};

/// How folders begin that are being made: nobody reads them.
pub const ASIDE: &str = ".unpacking-";

/// Reads a folder's manifest.
///
/// # Errors
/// There is none, or it has mistakes.
pub fn manifest(folder: &Path) -> Result<(String, Manifest), StoreError> {
    let path = folder.join(manifest::FILE);
    let file = match File::open(&path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            return Err(StoreError::Bad(format!("{} does not exist", path.display())));
        }
        opened => opened.map_err(|e| StoreError::io(&path, &e))?,
    };
    let mut text = String::new();
    // One byte more than allowed, so that the parser sees that it is too long.
    let read = file.take(manifest::MAX_BYTES as u64 + 1).read_to_string(&mut text);
    read.map_err(|e| StoreError::io(&path, &e))?;
    let manifest = manifest::parse(&text).map_err(|mistakes| StoreError::Bad(manifest::told(&mistakes)))?;
    Ok((text, manifest))
}

/// Holds every file against its checksum, and returns how many bytes they have together.
///
/// # Errors
/// The first file that is missing or another one; one that is [not listed](all_listed).
pub fn verify(folder: &Path, manifest: &Manifest) -> Result<u64, StoreError> {
    all_listed(folder, manifest)?;
    let mut total = 0;
    for (name, sum) in &manifest.files {
        let (bytes, found) = checksum(&folder.join(name))?;
        if found != *sum {
            return Err(wrong_sum(name, &found, sum));
        }
        total += bytes;
    }
    Ok(total)
}

/// Refuses a folder with a file that would be read and is not listed: nobody holds it against anything, and an archive of
/// the model would lack it.
///
/// # Errors
/// There is one; or the folder cannot be read.
pub fn all_listed(folder: &Path, manifest: &Manifest) -> Result<(), StoreError> {
    let failed = |e: std::io::Error| StoreError::io(folder, &e);
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        // A name that is no text is none that a model reads.
        let Ok(name) = entry.map_err(failed)?.file_name().into_string() else { continue };
        if manifest.reads(&name) && !manifest.files.contains_key(&name) {
            return Err(StoreError::Bad(format!(
                "the file {name} lies in the folder and `[files]` does not list it: list it with its SHA-256, or take it away"
            )));
        }
    }
    Ok(())
}

/// A file's size and its SHA-256 in hexadecimal digits.
///
/// # Errors
/// It cannot be read.
pub fn checksum(path: &Path) -> Result<(u64, String), StoreError> {
    let failed = |e: std::io::Error| match e.kind() {
        std::io::ErrorKind::NotFound => StoreError::Bad(format!("the file {} is missing", path.display())),
        _ => StoreError::io(path, &e),
    };
    let mut data = Summed::new(File::open(path).map_err(failed)?);
    let mut buffer = vec![0; 1 << 20];
    while data.read(&mut buffer).map_err(failed)? > 0 {}
    Ok(data.end())
}

/// A model's folder, and the name with the manifest that it has, or why it is none.
pub type Found = (PathBuf, Result<(String, Manifest), StoreError>);

/// What the folders of a folder are: a model, or why not. Those without a manifest are passed over.
///
/// # Errors
/// The folder itself cannot be read.
pub fn models(folder: &Path) -> Result<Vec<Found>, StoreError> {
    let failed = |e: std::io::Error| StoreError::io(folder, &e);
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if !hidden && path.join(manifest::FILE).is_file() {
            let read = manifest(&path);
            found.push((path, read));
        }
    }
    found.sort_by(|(a, _), (b, _)| a.cmp(b));
    Ok(found)
}

pub(crate) fn wrong_sum(file: &str, found: &str, expected: &str) -> StoreError {
    StoreError::Bad(format!(
        "`{file}` has the checksum {found}; its manifest says {expected}: it is another file, or it was damaged"
    ))
}

/// Counts and sums what is read through it.
pub(crate) struct Summed<R> {
    from: R,
    bytes: u64,
    sum: Sha256,
    failed: bool,
}

impl<R: Read> Summed<R> {
    pub(crate) fn new(from: R) -> Self {
        Self { from, bytes: 0, sum: Sha256::new(), failed: false }
    }

    /// Whether reading failed.
    pub(crate) fn failed(&self) -> bool {
        self.failed
    }

    /// Bytes, and their SHA-256 in hexadecimal digits.
    pub(crate) fn end(self) -> (u64, String) {
        let digits = self.sum.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        (self.bytes, digits)
    }
}

impl<R: Read> Read for Summed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.from.read(buffer).inspect_err(|_| self.failed = true)?;
        self.bytes += read as u64;
        self.sum.update(buffer.get(..read).unwrap_or_default());
        Ok(read)
    }
}
