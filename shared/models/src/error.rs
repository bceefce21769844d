//! Why a model cannot be had.

use std::path::Path;

use tasklane_runtime::bus::BusError;

/// What went wrong.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The model itself is wrong: its manifest, its files, its archive.
    #[error("{0}")]
    Bad(String),
    /// There is none of that name.
    #[error("there is no model `{0}`")]
    Absent(String),
    /// The disk, or what is on it.
    #[error("{place}: {reason}")]
    Io {
        /// The file or folder.
        place: String,
        /// What the system said.
        reason: String,
    },
    /// NATS.
    #[error(transparent)]
    Bus(#[from] BusError),
}

impl StoreError {
    /// A failure with a file or folder.
    pub fn io(place: &Path, reason: &dyn std::fmt::Display) -> Self {
        Self::Io { place: place.display().to_string(), reason: reason.to_string() }
    }
}
