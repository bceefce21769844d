//! What can go wrong when telemetry is set up. Once it runs, it never fails its service.

/// Why telemetry could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// [`crate::init_logs`] was given a level that is none.
    #[error(
        "log level {given:?} cannot be read: {reason}; give error, warn, info, debug or trace, or directives as in RUST_LOG"
    )]
    LogLevel {
        /// What was given.
        given: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Logs or traces were set up before in this process.
    #[error("{what} are already set up in this process; set them up once, at the start of main")]
    AlreadySet {
        /// `logs` or `traces`.
        what: &'static str,
    },
    /// The thread that exports spans could not be started.
    #[error(
        "the thread that exports traces could not be started: {0}; check the limits on threads and files"
    )]
    Exporter(#[source] std::io::Error),
}

impl TelemetryError {
    /// The stable code of this error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::LogLevel { .. } => "TL9801",
            Self::AlreadySet { .. } => "TL9802",
            Self::Exporter(_) => "TL9803",
        }
    }
}
