//! The folder: files that only their owner reads, and a word about each that was written.

use std::cell::RefCell;
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::failed;
use crate::error::CliError;

/// A folder for keys.
pub struct Folder {
    path: PathBuf,
    said: RefCell<Vec<String>>,
}

impl Folder {
    /// Makes it where it is not there: nobody else may look in.
    pub fn open(path: &Path) -> Result<Self, CliError> {
        let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
        made.map_err(|e| failed(path, &e))?;
        Ok(Self { path: path.to_owned(), said: RefCell::default() })
    }

    /// What a file holds; nothing where it is not there.
    pub fn read(&self, name: &str) -> Result<Option<String>, CliError> {
        let path = self.path.join(name);
        match std::fs::read_to_string(&path) {
            Ok(text) => Ok(Some(text)),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(failed(&path, &e)),
        }
    }

    /// Writes a file in one step, readable by its owner alone: who reads it sees the old one or the new one.
    pub fn write(&self, name: &str, text: &str, what: &str) -> Result<(), CliError> {
        let (path, fresh) = (self.path.join(name), self.path.join(format!(".{name}.new")));
        let written = || {
            let mut options = std::fs::OpenOptions::new();
            let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            std::fs::rename(&fresh, &path)
        };
        written().map_err(|e| failed(&path, &e))?;
        self.said.borrow_mut().push(format!("{}  {what}", path.display()));
        Ok(())
    }

    /// One line for each file that was written.
    pub fn said(&self) -> Vec<String> {
        self.said.take()
    }
}
