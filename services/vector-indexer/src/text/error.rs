//! What can go wrong with an index of texts, by what one does about it.

use std::io;
use std::sync::Arc;

use tantivy::TantivyError;
use tantivy::directory::error::{LockError, OpenDirectoryError, OpenReadError, OpenWriteError};
use thiserror::Error;

/// Why an index of texts does not serve.
#[derive(Debug, Clone, Error)]
pub enum TextError {
    /// What lies on disk is no index, or a torn one. It can be deleted and made again.
    #[error("the index of texts is damaged: {0}")]
    Damaged(String),
    /// Somebody else has the index open for writing.
    #[error("the index of texts is open already")]
    Busy,
    /// The disk failed, is full or refuses: making the index again would not help.
    #[error("the index of texts cannot be read or written: {0}")]
    Io(#[source] Arc<io::Error>),
    /// The index does not take part any more, since an earlier write failed. Open it again.
    #[error("the index of texts is out of order: {0}")]
    Broken(String),
}

impl From<io::Error> for TextError {
    fn from(error: io::Error) -> Self {
        Self::read(Arc::new(error))
    }
}

impl TextError {
    /// A file that is missing, ends early or holds nonsense is damage; all else is the disk's.
    fn read(error: Arc<io::Error>) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound
            | io::ErrorKind::UnexpectedEof
            | io::ErrorKind::InvalidData
            | io::ErrorKind::InvalidInput
            | io::ErrorKind::Other => Self::Damaged(error.to_string()),
            _ => Self::Io(error),
        }
    }
}

impl From<TantivyError> for TextError {
    fn from(error: TantivyError) -> Self {
        match error {
            TantivyError::IoError(error) => Self::read(error),
            TantivyError::OpenReadError(OpenReadError::IoError { io_error, .. }) => Self::read(io_error),
            TantivyError::OpenWriteError(OpenWriteError::IoError { io_error, .. }) => Self::Io(io_error),
            TantivyError::OpenDirectoryError(OpenDirectoryError::IoError { io_error, .. }) => {
                Self::Io(io_error)
            }
            TantivyError::LockFailure(LockError::LockBusy, _) => Self::Busy,
            TantivyError::LockFailure(LockError::IoError(error), _) => Self::Io(error),
            error @ (TantivyError::ErrorInThread(_)
            | TantivyError::Poisoned
            | TantivyError::SystemError(_)
            | TantivyError::OpenWriteError(_)) => Self::Broken(error.to_string()),
            error => Self::Damaged(error.to_string()),
        }
    }
}
