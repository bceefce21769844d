//! A file as it was when it was read.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use tasklane_runtime::contract::code;

use crate::deliver;
use crate::error::{CliError, Exit};

/// A file as it was when its checksum was computed.
#[derive(Debug, PartialEq, Eq)]
pub struct Seen(pub PathBuf, u64, Option<SystemTime>);

impl Seen {
    /// As it is now.
    ///
    /// # Errors
    /// It is not there.
    pub fn of(path: &Path) -> Result<Self, CliError> {
        let facts = std::fs::metadata(path).map_err(|e| {
            CliError::usage(code::BAD_REFERENCE, format!("{} cannot be read: {e}", path.display()))
        })?;
        Ok(Self(path.to_owned(), facts.len(), facts.modified().ok()))
    }
}

/// Reads a file for its checksum, off the threads that others need.
///
/// # Errors
/// A file that cannot be read.
pub async fn examine(path: &Path) -> Result<(deliver::Document, Seen), CliError> {
    let path = path.to_owned();
    let examined = tokio::task::spawn_blocking(move || {
        let seen = Seen::of(&path)?;
        Ok((deliver::examine(&path)?, seen))
    });
    examined.await.unwrap_or_else(|e| Err(CliError::new(code::INTERNAL, Exit::Failed, e.to_string())))
}
