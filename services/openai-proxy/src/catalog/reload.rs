//! The catalog in use, replaced as a whole when the file or a key's file changes.
//!
//! Whoever holds an [`Arc`] of the old catalog finishes with it, so that no request is dropped. A file with mistakes
//! changes nothing: what ran before goes on.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use super::{Catalog, KeySource, MAX_BYTES, Mistake, parse};

/// How long after its last change a file must have been read for its times to tell a further change. Clocks of file
/// systems tick in steps: two changes within one step look like one.
pub const SETTLING: Duration = Duration::from_secs(2);

/// What a file looked like from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// Device and inode: another one after a file is replaced by renaming, or a link is bent.
    pub identity: (u64, u64),
    /// In bytes.
    pub length: u64,
    /// When its content changed last, where the file system knows.
    pub modified: Option<SystemTime>,
    /// When content or rights changed last, in seconds and nanoseconds since the epoch.
    pub touched: (i64, i64),
}

impl Stamp {
    /// Asks the file system; `None` if there is no such file, or none that may be looked at. Links are followed.
    #[must_use]
    pub fn of(path: &Path) -> Option<Self> {
        let metadata = std::fs::metadata(path).ok()?;
        Some(Self {
            identity: (metadata.dev(), metadata.ino()),
            length: metadata.len(),
            modified: metadata.modified().ok(),
            touched: (metadata.ctime(), metadata.ctime_nsec()),
        })
    }
}

/// Whether a file has to be read again: `before` is what it looked like at `read_at`, when it was read, and `now` what
/// it looks like. Also true where a change might not show, because it was read within [`SETTLING`] of its last change;
/// that is over with the first reading after that time.
#[must_use]
pub fn changed(before: Option<&Stamp>, read_at: SystemTime, now: Option<&Stamp>) -> bool {
    let (Some(before), Some(now)) = (before, now) else {
        return before.is_some() != now.is_some();
    };
    // A time ahead of the clock never settles; such a file is believed.
    let age = before.modified.and_then(|modified| read_at.duration_since(modified).ok());
    before != now || age.is_some_and(|age| age < SETTLING)
}

/// Why a file did not become the catalog. What ran before still does.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// It cannot be read; with the system's reason.
    #[error("{}: {why}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// It has mistakes; shown one to a line.
    #[error("{}", Lines(path, mistakes))]
    Mistakes {
        /// The file.
        path: PathBuf,
        /// All of them, in the order of the file; at least one.
        mistakes: Vec<Mistake>,
    },
}

struct Lines<'a>(&'a Path, &'a [Mistake]);

impl fmt::Display for Lines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, mistake) in self.1.iter().enumerate() {
            let separator = if at == 0 { "" } else { "\n" };
            let Mistake { line, column, text } = mistake;
            write!(f, "{separator}{}:{line}:{column}: {text}", self.0.display())?;
        }
        Ok(())
    }
}

/// What was looked at for the last reading, whether or not it succeeded.
struct Seen {
    read_at: SystemTime,
    files: BTreeMap<PathBuf, Option<Stamp>>,
}

type ReadKey = Box<dyn Fn(&KeySource) -> Result<Option<String>, String> + Send + Sync>;

/// A catalog that follows its file. Reading blocks: on a runtime it belongs where blocking is allowed.
pub struct Watched {
    path: PathBuf,
    read_key: ReadKey,
    current: RwLock<Arc<Catalog>>,
    /// Held while reading, so that the younger of two readings is never replaced by the older.
    seen: Mutex<Seen>,
}

impl fmt::Debug for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watched").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Watched {
    /// Reads the file for the first time. `now` is the time of the reading; `read_key` gets keys, as
    /// [`super::read_key`] does.
    ///
    /// # Errors
    /// If the file cannot be read or has mistakes: without a first catalog there is nothing to serve with.
    pub fn load(
        path: impl Into<PathBuf>,
        now: SystemTime,
        read_key: impl Fn(&KeySource) -> Result<Option<String>, String> + Send + Sync + 'static,
    ) -> Result<Self, LoadError> {
        let (path, read_key): (_, ReadKey) = (path.into(), Box::new(read_key));
        let (seen, catalog) = read(&path, now, &read_key);
        Ok(Self { current: RwLock::new(Arc::new(catalog?)), seen: Mutex::new(seen), path, read_key })
    }

    /// The catalog in use. A request takes it once and keeps it to its end.
    #[must_use]
    pub fn current(&self) -> Arc<Catalog> {
        // Nothing can panic while the lock is held, and an Arc is never half written.
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads the file and the keys again, whether or not anything changed: for SIGHUP.
    ///
    /// # Errors
    /// As [`Self::load`]; the catalog in use stays.
    pub fn reload(&self, now: SystemTime) -> Result<(), LoadError> {
        self.replace(now, &mut self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads again if the file, or a file with a key, changed since the last reading; says whether it did. A file
    /// with mistakes is reported once, not each time.
    ///
    /// # Errors
    /// As [`Self::load`]; the catalog in use stays.
    pub fn reload_if_changed(&self, now: SystemTime) -> Result<bool, LoadError> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let stale = |(path, before): (&PathBuf, &Option<Stamp>)| {
            changed(before.as_ref(), seen.read_at, Stamp::of(path).as_ref())
        };
        if !seen.files.iter().any(stale) {
            return Ok(false);
        }
        self.replace(now, &mut seen).map(|()| true)
    }

    fn replace(&self, now: SystemTime, seen: &mut Seen) -> Result<(), LoadError> {
        let (looked_at, catalog) = read(&self.path, now, &self.read_key);
        *seen = looked_at;
        let catalog = Arc::new(catalog?);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = catalog;
        Ok(())
    }
}

fn read(path: &Path, now: SystemTime, read_key: &ReadKey) -> (Seen, Result<Catalog, LoadError>) {
    // Stamped before it is read: a change in between is then seen the next time.
    let files = RefCell::new(BTreeMap::from([(path.to_owned(), Stamp::of(path))]));
    let catalog = read_text(path).and_then(|text| {
        let stamping = |source: &KeySource| {
            if let KeySource::File(file) = source {
                files.borrow_mut().insert(file.clone(), Stamp::of(file));
            }
            read_key(source)
        };
        parse(&text, &stamping).map_err(|mistakes| LoadError::Mistakes { path: path.to_owned(), mistakes })
    });
    (Seen { read_at: now, files: files.into_inner() }, catalog)
}

fn read_text(path: &Path) -> Result<String, LoadError> {
    let unreadable = |why: String| LoadError::Unreadable { path: path.to_owned(), why };
    let file = std::fs::File::open(path).map_err(|e| unreadable(e.to_string()))?;
    let mut bytes = Vec::new();
    file.take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(|e| unreadable(e.to_string()))?;
    if bytes.len() > MAX_BYTES {
        return Err(unreadable(format!("it is longer than {MAX_BYTES} bytes")));
    }
    String::from_utf8(bytes)
        .map_err(|e| unreadable(format!("not UTF-8 from byte {}", e.utf8_error().valid_up_to())))
}
