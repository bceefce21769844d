//! Why the service cannot do what a task asks, with the stable code of each.

use tasklane_runtime::TaskError;
use tasklane_runtime::contract::{Code, code};

/// What went wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MlError {
    /// No such model here.
    #[error("there is no model `{0}`; `tasklane models list` shows what there is")]
    NoModel(String),
    /// The model's folder is not what it has to be: manifest, files, checksums.
    #[error("the model `{model}` is refused: {reason}")]
    BadModel {
        /// The model.
        model: String,
        /// What is wrong, and where.
        reason: String,
    },
    /// The model does something else.
    #[error("the model `{model}` is {is}; this task wants {wanted}")]
    WrongKind {
        /// The model.
        model: String,
        /// What it is.
        is: &'static str,
        /// What is wanted.
        wanted: &'static str,
    },
    /// The payload asks for something that cannot be.
    #[error("{0}")]
    BadInput(String),
    /// It would need more memory than there is.
    #[error("this needs about {need_mb} MB of memory, and {has_mb} MB are free for it; {advice}")]
    TooMuchMemory {
        /// What it needs.
        need_mb: u64,
        /// What there is.
        has_mb: u64,
        /// What to do.
        advice: &'static str,
    },
    /// libtorch refused a computation.
    #[error("the model `{model}` failed: {reason}")]
    Failed {
        /// The model.
        model: String,
        /// What libtorch said.
        reason: String,
    },
    /// More waits for the model than may; another attempt may find room.
    #[error("too much waits for the model `{0}`")]
    Crowded(String),
    /// The model was taken away while the task waited; another attempt loads it again.
    #[error("the model `{0}` was unloaded while the task waited")]
    Gone(String),
    /// The model is somewhere that cannot be read now; another attempt may.
    #[error("the model `{model}` cannot be fetched now: {reason}")]
    Away {
        /// The model.
        model: String,
        /// What is in the way.
        reason: String,
    },
    /// The deadline passed while it waited for its turn.
    #[error("its time ended before its turn came")]
    TooLate,
    /// A fault of ours.
    #[error("{0}")]
    Internal(String),
}

impl MlError {
    /// Its stable code. `TL24xx` is final, `TL34xx` may be tried again.
    pub fn code(&self) -> Code {
        match self {
            Self::NoModel(_) => Code::new("TL2401"),
            Self::BadModel { .. } => Code::new("TL2402"),
            Self::WrongKind { .. } => Code::new("TL2403"),
            Self::BadInput(_) => Code::new("TL2404"),
            Self::TooMuchMemory { .. } => Code::new("TL2405"),
            Self::Failed { .. } => Code::new("TL2406"),
            Self::Crowded(_) => Code::new("TL3401"),
            Self::Gone(_) => Code::new("TL3402"),
            Self::Away { .. } => Code::new("TL3403"),
            Self::TooLate => code::TIMED_OUT,
            Self::Internal(_) => code::INTERNAL,
        }
    }
}

impl From<MlError> for TaskError {
    fn from(error: MlError) -> Self {
        match error {
            MlError::Crowded(_) | MlError::Gone(_) | MlError::Away { .. } | MlError::TooLate => {
                Self::retry(error.code(), error.to_string())
            }
            _ => Self::failed(error.code(), error.to_string()),
        }
    }
}
