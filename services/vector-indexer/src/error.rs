//! Why the service cannot do what a task asks, with the stable code of each.

use tasklane_runtime::TaskError;
use tasklane_runtime::bus::BusError;
use tasklane_runtime::contract::{Code, code};

use crate::{collection, filter, ops, space};

/// What went wrong.
#[derive(Debug, thiserror::Error)]
pub enum VectorError {
    /// No such collection, and no such alias.
    #[error("there is no collection `{0}`; `tasklane vectors list` shows what there is")]
    NoCollection(String),
    /// The name is taken by something else.
    #[error("`{name}` is there already: {difference}")]
    Taken {
        /// The name.
        name: String,
        /// What is different.
        difference: String,
    },
    /// The payload asks for something that cannot be.
    #[error("{0}")]
    BadInput(String),
    /// The filter is none.
    #[error(transparent)]
    BadFilter(#[from] filter::Wrong),
    /// No such snapshot.
    #[error(
        "the collection `{collection}` has no snapshot `{snapshot}`; `tasklane vectors snapshots {collection}` lists them"
    )]
    NoSnapshot {
        /// The collection.
        collection: String,
        /// What was asked for.
        snapshot: String,
    },
    /// Qdrant does not take what it was asked, and never will.
    #[error("qdrant refuses this for the collection `{collection}`: {reason}")]
    QdrantRefused {
        /// The collection.
        collection: String,
        /// What it says.
        reason: String,
    },
    /// Somebody else takes a snapshot, or changes the same name.
    #[error("{0}")]
    Busy(String),
    /// This replica is not as far as was asked.
    #[error("this replica is at {is} of {wanted} still")]
    Behind {
        /// Where it is.
        is: u64,
        /// Where it was to be.
        wanted: u64,
    },
    /// The collection cannot be used here now.
    #[error("the collection `{collection}` cannot be used here now: {reason}")]
    Away {
        /// The collection.
        collection: String,
        /// What is in the way.
        reason: String,
    },
    /// NATS does not do its part.
    #[error(transparent)]
    Bus(#[from] BusError),
    /// The machine refuses, or a fault of ours.
    #[error("{0}")]
    Internal(String),
}

impl VectorError {
    /// Its stable code. `TL25xx` is final, `TL35xx` may be tried again.
    pub fn code(&self) -> Code {
        match self {
            Self::NoCollection(_) => Code::new("TL2501"),
            Self::Taken { .. } => Code::new("TL2502"),
            Self::BadInput(_) => Code::new("TL2503"),
            Self::BadFilter(_) => Code::new("TL2504"),
            Self::NoSnapshot { .. } => Code::new("TL2505"),
            Self::QdrantRefused { .. } => Code::new("TL2506"),
            Self::Busy(_) => Code::new("TL3501"),
            Self::Behind { .. } => Code::new("TL3502"),
            Self::Away { .. } => Code::new("TL3503"),
            Self::Bus(e) => e.code(),
            Self::Internal(_) => code::INTERNAL,
        }
    }

    /// What a collection says, in the words of a task.
    pub fn of(name: &str, error: collection::Error) -> Self {
        match error {
            collection::Error::Vector(wrong) => wrong.into(),
            collection::Error::NoQuestion => Self::BadInput(error.to_string()),
            error => Self::Away { collection: name.to_owned(), reason: error.to_string() },
        }
    }

    /// What may be otherwise in a moment.
    fn passes(&self) -> bool {
        match self {
            Self::Busy(_) | Self::Behind { .. } | Self::Away { .. } => true,
            Self::Bus(e) => !matches!(e, BusError::TooLarge { .. } | BusError::ObjectTooLarge { .. }),
            _ => false,
        }
    }
}

impl From<space::Wrong> for VectorError {
    fn from(wrong: space::Wrong) -> Self {
        Self::BadInput(wrong.to_string())
    }
}

impl From<ops::Wrong> for VectorError {
    fn from(wrong: ops::Wrong) -> Self {
        Self::BadInput(wrong.to_string())
    }
}

impl From<std::io::Error> for VectorError {
    fn from(error: std::io::Error) -> Self {
        Self::Internal(format!("the folder of the collections: {error}"))
    }
}

impl From<tokio::task::JoinError> for VectorError {
    fn from(error: tokio::task::JoinError) -> Self {
        Self::Internal(error.to_string())
    }
}

impl From<VectorError> for TaskError {
    fn from(error: VectorError) -> Self {
        let (code, text) = (error.code(), error.to_string());
        if error.passes() { Self::retry(code, text) } else { Self::failed(code, text) }
    }
}
