//! What can go wrong between us and NATS.

use tasklane_contract::{Code, code};

/// An error of the bus. All carry the code [`code::NATS`] except where said.
#[derive(Debug, thiserror::Error)]
pub enum BusError {
    /// No connection at start.
    #[error(
        "NATS at {url} cannot be reached: {reason}; is the server running (`make up`), and is the URL right?"
    )]
    Connect {
        /// Where we tried.
        url: String,
        /// What the client said.
        reason: String,
    },
    /// A credential or certificate that cannot be used.
    #[error("NATS credentials: {0}")]
    Credentials(String),
    /// The server has no JetStream, or is too old.
    #[error("{0}")]
    Server(String),
    /// A request to JetStream failed.
    #[error("{what}: {reason}")]
    JetStream {
        /// What we were doing.
        what: String,
        /// What the server said.
        reason: String,
    },
    /// The stream did not acknowledge the message in time; it may be stored all the same.
    #[error("{subject}: no acknowledgement: {reason}")]
    NotStored {
        /// Where it was published.
        subject: String,
        /// What the client said.
        reason: String,
    },
    /// The message is larger than the server takes.
    #[error("{subject}: the message is larger than the server takes: {reason}")]
    TooLarge {
        /// Where it was published.
        subject: String,
        /// The sizes.
        reason: String,
    },
    /// The object, key or message does not exist.
    #[error("{0} does not exist")]
    NotFound(String),
    /// The object is larger than the caller admits.
    #[error("{name} has {size} bytes; at most {max} are read")]
    ObjectTooLarge {
        /// Its name.
        name: String,
        /// Its size in bytes.
        size: usize,
        /// The caller's bound in bytes.
        max: usize,
    },
    /// Nobody answered a request.
    #[error("{subject}: nobody answered: {reason}")]
    NoAnswer {
        /// Where it was asked.
        subject: String,
        /// What the client said.
        reason: String,
    },
    /// The service answered with an error.
    #[error("{message}")]
    Answer {
        /// The code in the answer, for example `TL1020`.
        code: String,
        /// The text in the answer.
        message: String,
    },
}

impl BusError {
    /// Shorthand for a failed JetStream request.
    pub(crate) fn js(what: impl Into<String>, reason: impl std::fmt::Display) -> Self {
        Self::JetStream { what: what.into(), reason: reason.to_string() }
    }

    /// The stable code.
    pub fn code(&self) -> Code {
        match self {
            Self::NotFound(_) => code::NOT_FOUND,
            Self::TooLarge { .. } | Self::ObjectTooLarge { .. } => code::TOO_LARGE,
            _ => code::NATS,
        }
    }
}
