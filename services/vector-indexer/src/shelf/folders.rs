//! The folder of this process: `<id>-<n>` for each collection, the highest `n` being the one in use, and `tmp-*` for what
//! is on its way.

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::VectorError;

const LOCK: &str = "lock";
const ASIDE: &str = "tmp-";

/// A folder that no other process uses while this lives.
#[derive(Debug)]
pub struct Folders {
    root: PathBuf,
    _lock: File,
    asides: AtomicU64,
}

/// A folder that goes with this.
#[derive(Debug)]
pub struct Aside(PathBuf);

impl Aside {
    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        if let Err(e) = std::fs::remove_dir_all(&self.0) {
            tracing::warn!(folder = %self.0.display(), "a folder cannot be removed: {e}");
        }
    }
}

impl Folders {
    /// Takes the folder, which is made where it is not there.
    ///
    /// # Errors
    /// Where it cannot be used, or another process uses it.
    pub fn take(root: PathBuf) -> Result<Self, VectorError> {
        let failed =
            |e: io::Error| VectorError::Internal(format!("{} (vectors.folder): {e}", root.display()));
        std::fs::create_dir_all(&root).map_err(failed)?;
        let options = File::options().create(true).truncate(false).write(true).open(root.join(LOCK));
        let lock = options.map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(VectorError::Internal(format!(
                    "{} (vectors.folder) is used by another process; give each a folder of its own",
                    root.display()
                )));
            }
            Err(TryLockError::Error(e)) => return Err(failed(e)),
        }
        Ok(Self { root, _lock: lock, asides: AtomicU64::new(0) })
    }

    fn numbers(&self, id: &str) -> io::Result<Vec<u64>> {
        let mut numbers = Vec::new();
        for entry in std::fs::read_dir(&self.root)? {
            let name = entry?.file_name();
            numbers.extend(name.to_str().and_then(parts).filter(|(of, _)| *of == id).map(|(_, n)| n));
        }
        Ok(numbers)
    }

    /// The folder of a collection, if it has one.
    ///
    /// # Errors
    /// Where the folder cannot be read.
    pub fn latest(&self, id: &str) -> Result<Option<PathBuf>, VectorError> {
        let latest = self.numbers(id)?.into_iter().max();
        Ok(latest.map(|n| self.root.join(format!("{id}-{n}"))))
    }

    /// A new folder of a collection, which is not made yet.
    ///
    /// # Errors
    /// Where the folder cannot be read.
    pub fn next(&self, id: &str) -> Result<PathBuf, VectorError> {
        let next = self.numbers(id)?.into_iter().max().unwrap_or(0) + 1;
        Ok(self.root.join(format!("{id}-{next}")))
    }

    /// A folder that goes when what is returned is dropped.
    ///
    /// # Errors
    /// Where it cannot be made.
    pub fn aside(&self) -> Result<Aside, VectorError> {
        let n = self.asides.fetch_add(1, Ordering::Relaxed);
        let path = self.root.join(format!("{ASIDE}{n}"));
        if path.exists() {
            std::fs::remove_dir_all(&path)?;
        }
        std::fs::create_dir(&path)?;
        Ok(Aside(path))
    }

    /// Removes what an earlier process left on its way, the folders of collections that are none, and older folders of
    /// those that are.
    ///
    /// # Errors
    /// Where the folder cannot be read.
    pub fn keep_only(&self, is_known: &dyn Fn(&str) -> bool) -> Result<(), VectorError> {
        for entry in std::fs::read_dir(&self.root)? {
            let entry = entry?;
            let name = entry.file_name();
            let Some(name) = name.to_str() else { continue };
            let goes = match parts(name) {
                Some((id, n)) => !is_known(id) || self.numbers(id)?.into_iter().any(|other| other > n),
                None => name.starts_with(ASIDE),
            };
            if goes && let Err(e) = std::fs::remove_dir_all(entry.path()) {
                tracing::warn!(folder = %entry.path().display(), "a folder cannot be removed: {e}");
            }
        }
        Ok(())
    }
}

/// Id and number in a folder's name.
fn parts(name: &str) -> Option<(&str, u64)> {
    let (id, n) = name.split_once('-')?;
    let is_id = id.len() == 12 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    Some((id, n.parse().ok()?)).filter(|_| is_id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_one_processs_and_what_nobody_knows_goes() {
        let dir = tempfile::TempDir::new().unwrap();
        let folders = Folders::take(dir.path().to_path_buf()).unwrap();
        let refused = Folders::take(dir.path().to_path_buf()).unwrap_err().to_string();
        assert!(refused.contains("another process"), "{refused}");
        for name in ["0123456789ab-1", "0123456789ab-2", "ba9876543210-7", "tmp-3", "somebody-elses"] {
            std::fs::create_dir(dir.path().join(name)).unwrap();
        }
        folders.keep_only(&|id| id == "0123456789ab").unwrap();
        let mut left: Vec<_> =
            std::fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["0123456789ab-2", "lock", "somebody-elses"]);
        assert_eq!(folders.latest("0123456789ab").unwrap(), Some(dir.path().join("0123456789ab-2")));
        assert_eq!(folders.next("0123456789ab").unwrap(), dir.path().join("0123456789ab-3"));
        assert_eq!(folders.latest("ba9876543210").unwrap(), None);
        let aside = folders.aside().unwrap();
        let path = aside.path().to_path_buf();
        assert!(path.is_dir());
        drop(aside);
        assert!(!path.exists());
    }
}
