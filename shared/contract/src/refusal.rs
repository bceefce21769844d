//! Why a submission was not accepted: a code and a text that says what was wrong, where, and what to do.

use crate::{Code, v1};

/// A refused submission or request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code} {message}")]
pub struct Refusal {
    /// The stable code.
    pub code: Code,
    /// For people.
    pub message: String,
}

impl Refusal {
    /// A refusal with its text.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// As it stands in a result.
    pub fn to_error(&self) -> v1::TaskError {
        v1::TaskError {
            code: self.code.as_str().to_owned(),
            message: self.message.clone(),
            retriable: self.code.is_retriable(),
        }
    }
}
