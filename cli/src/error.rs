//! How the command ends: exit codes, and errors that say what to do.

use std::process::ExitCode;

use tasklane_runtime::bus::BusError;
use tasklane_runtime::contract::{Code, Refusal, code};

use crate::format::without_secrets;

/// How the command ended, as the shell sees it. The numbers are promised in `--help`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done; the task succeeded.
    Succeeded = 0,
    /// The task failed, or something was found to be wrong.
    Failed = 1,
    /// The command line or the submission is wrong.
    Usage = 2,
    /// The task was cancelled.
    Cancelled = 3,
    /// The task's deadline passed.
    Expired = 4,
    /// NATS or the router did not answer, or the wait was too long.
    Unreachable = 5,
    /// Ctrl-C while it waited; the task goes on. 128 + SIGINT, as shells count.
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// An error for the person at the terminal.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// An error with a stable code, and what to do about it.
    #[error("{code} {message}")]
    Told {
        /// `TLxxxx`.
        code: String,
        /// What was wrong, and where.
        message: String,
        /// What to do; empty where the message says it.
        remedy: String,
        /// How the command ends.
        exit: Exit,
    },
    /// Nobody reads our output any more, as in `tasklane lanes | head -1`.
    #[error("the output is closed")]
    OutputClosed,
}

impl CliError {
    /// An error with its code and exit.
    pub fn new(code: Code, exit: Exit, message: impl Into<String>) -> Self {
        Self::Told { code: code.to_string(), message: message.into(), remedy: String::new(), exit }
    }

    /// The command line is wrong.
    pub fn usage(code: Code, message: impl Into<String>) -> Self {
        Self::new(code, Exit::Usage, message)
    }

    /// Says what to do about it.
    #[must_use]
    pub fn remedy(mut self, text: impl Into<String>) -> Self {
        if let Self::Told { remedy, .. } = &mut self {
            *remedy = text.into();
        }
        self
    }

    /// How the command ends.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Told { exit, .. } => *exit,
            Self::OutputClosed => Exit::Succeeded,
        }
    }
}

impl From<Refusal> for CliError {
    fn from(refusal: Refusal) -> Self {
        Self::usage(refusal.code, refusal.message)
    }
}

impl From<BusError> for CliError {
    fn from(error: BusError) -> Self {
        let (exit, remedy) = match &error {
            BusError::Answer { code, message } => {
                return Self::Told {
                    code: code.clone(),
                    message: message.clone(),
                    remedy: String::new(),
                    exit: if code.starts_with("TL1") && code != code::NOT_FOUND.as_str() {
                        Exit::Usage
                    } else {
                        Exit::Failed
                    },
                };
            }
            BusError::NoAnswer { .. } => (
                Exit::Unreachable,
                "the router is not running or does not answer; `tasklane doctor` looks closer",
            ),
            BusError::NotFound(_) | BusError::ObjectTooLarge { .. } => (Exit::Failed, ""),
            BusError::Credentials(_) | BusError::TooLarge { .. } => (Exit::Usage, ""),
            BusError::Connect { .. } => (
                Exit::Unreachable,
                "`tasklane up` starts a server here; --nats URL or TASKLANE_NATS_URL names another",
            ),
            BusError::Server(_) => {
                (Exit::Unreachable, "update the server; `scripts/setup.sh` fetches one that fits")
            }
            BusError::NotStored { reason, .. } if reason.contains("no stream found") => (
                Exit::Unreachable,
                "no router has set this server up yet: start one (`tasklane up` starts all)",
            ),
            _ => (Exit::Unreachable, "`tasklane doctor` says what is missing"),
        };
        let message = match &error {
            BusError::NoAnswer { subject, reason } if reason.contains("no responders") => {
                format!("nobody answers on {subject}")
            }
            // The bus's own text goes on with advice for a service; ours stands in the remedy.
            BusError::Connect { url, reason } => {
                format!("NATS at {} cannot be reached: {reason}", without_secrets(url))
            }
            other => other.to_string(),
        };
        Self::new(error.code(), exit, message).remedy(remedy)
    }
}

impl From<std::io::Error> for CliError {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::BrokenPipe => Self::OutputClosed,
            _ => Self::new(code::INTERNAL, Exit::Failed, error.to_string()),
        }
    }
}
