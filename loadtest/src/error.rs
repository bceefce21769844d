//! What can go wrong with a measurement. A figure is only given where every task ended well, once.

use tasklane_runtime::bus::BusError;

/// Why there is no figure.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// NATS.
    #[error("{code} {0}", code = .0.code())]
    Bus(#[from] BusError),
    /// A file or a process.
    #[error("{what}: {source}")]
    Io {
        /// What we were doing.
        what: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The stack cannot run.
    #[error("{0}")]
    Stack(String),
    /// Tasks did not end as they must.
    #[error("{0}")]
    Wrong(String),
}

impl LoadError {
    /// Shorthand for a failed call of the system.
    pub fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }
}
