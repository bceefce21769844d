//! Everything that can go wrong with a document, with the stable code a user sees.
//!
//! `TL21xx` is final: the same document fails the same way again. `TL31xx` may be tried again. A `DocError`
//! crosses the pipe between a parsing child and the service, so it is plain data.

use serde::{Deserialize, Serialize};

/// Why a document could not be processed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DocError {
    /// The file has no bytes, or none that carry content.
    #[error("the document is empty; send a file that has content")]
    Empty,
    /// No format of ours.
    #[error("documents of type {detected} are not supported; supported are {supported}")]
    Unsupported {
        /// What the content looks like.
        detected: String,
        /// The formats there are.
        supported: String,
    },
    /// The file breaks off or is damaged.
    #[error("the {format} file is truncated or damaged: {reason}; send it again, or repair it first")]
    Corrupt {
        /// The format it claims to be.
        format: String,
        /// What the parser met.
        reason: String,
    },
    /// A password is needed.
    #[error("the {format} file is encrypted and needs a password; remove the protection and send it again")]
    Encrypted {
        /// The format.
        format: String,
    },
    /// Past the size limit.
    #[error("{what} is larger than the limit of {limit} bytes; split it, or raise `limits.max_bytes`")]
    TooLarge {
        /// What is too large.
        what: String,
        /// The limit in bytes.
        limit: u64,
    },
    /// Built to swell: what it unpacks or expands to is out of all proportion.
    #[error("the {format} file expands beyond bounds: {reason}; it is treated as a decompression bomb")]
    Bomb {
        /// The format.
        format: String,
        /// Which bound it broke.
        reason: String,
    },
    /// Nested beyond the limit.
    #[error("the {format} file is nested deeper than {limit} levels")]
    TooDeep {
        /// The format.
        format: String,
        /// The limit in levels.
        limit: u32,
    },
    /// An option of the request makes no sense.
    #[error("option `{option}`: {reason}")]
    BadOption {
        /// The option's name.
        option: String,
        /// What is wrong, and what would be right.
        reason: String,
    },
    /// `content_base64` is not base64.
    #[error("`content_base64` is not valid base64: {reason}")]
    BadBase64 {
        /// Where it breaks.
        reason: String,
    },
    /// Neither or both of `source` and `content_base64`.
    #[error("give exactly one of `source` and `content_base64`")]
    SourceMissing,
    /// A path outside of the configured roots.
    #[error("{source_name}: the path is outside of the configured `sources.roots`, or no root is configured")]
    PathForbidden {
        /// The source as the task named it.
        source_name: String,
    },
    /// An address that is not public.
    #[error("{source_name}: {address} is not a public address; only public addresses may be fetched")]
    AddressForbidden {
        /// The source as the task named it.
        source_name: String,
        /// The address it resolves to.
        address: String,
    },
    /// Nothing is there.
    #[error("{source_name}: not found")]
    SourceNotFound {
        /// The source as the task named it.
        source_name: String,
    },
    /// The source cannot be read as one.
    #[error("{source_name}: {reason}; use obj://<bucket>/<name>, file:///<path>, http:// or https://")]
    SourceInvalid {
        /// The source as the task named it.
        source_name: String,
        /// What is wrong.
        reason: String,
    },
    /// The server answered, and refused.
    #[error("{source_name}: the server refused with status {status}")]
    SourceRefused {
        /// The source as the task named it.
        source_name: String,
        /// The HTTP status.
        status: u16,
    },
    /// The source did not answer.
    #[error("{source_name}: unreachable: {reason}")]
    SourceUnreachable {
        /// The source as the task named it.
        source_name: String,
        /// What failed.
        reason: String,
    },
    /// The parser took too long and was killed.
    #[error(
        "parsing took longer than {limit_ms} ms and was stopped; split the file, or raise `parser.timeout_ms`"
    )]
    TimedOut {
        /// The limit in milliseconds.
        limit_ms: u64,
    },
    /// The parser needed too much memory and was killed.
    #[error(
        "parsing needed more than {limit_mb} MB and was stopped; split the file, or raise `parser.memory_mb`"
    )]
    OutOfMemory {
        /// The limit in megabytes.
        limit_mb: u64,
    },
    /// The parser died on it.
    #[error("the parser died of {how} on this file; the service is unharmed")]
    Crashed {
        /// The signal or exit status.
        how: String,
    },
    /// This worker lacks what the format needs.
    #[error("this worker cannot read {format}: {reason}")]
    Unavailable {
        /// The format.
        format: String,
        /// What is missing and how to provide it.
        reason: String,
    },
    /// A parsing child could not be started or spoken to.
    #[error("no parsing process could be used: {reason}")]
    Sandbox {
        /// What failed.
        reason: String,
    },
}

impl DocError {
    /// The stable code; `docs/errors/<code>.md` explains it.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Empty => "TL2100",
            Self::Unsupported { .. } => "TL2101",
            Self::Corrupt { .. } => "TL2102",
            Self::Encrypted { .. } => "TL2103",
            Self::TooLarge { .. } => "TL2104",
            Self::Bomb { .. } => "TL2105",
            Self::TooDeep { .. } => "TL2106",
            Self::BadOption { .. } => "TL2110",
            Self::BadBase64 { .. } => "TL2111",
            Self::SourceMissing => "TL2120",
            Self::PathForbidden { .. } => "TL2121",
            Self::AddressForbidden { .. } => "TL2122",
            Self::SourceNotFound { .. } => "TL2123",
            Self::SourceInvalid { .. } => "TL2124",
            Self::SourceRefused { .. } => "TL2125",
            Self::SourceUnreachable { .. } => "TL3100",
            Self::TimedOut { .. } => "TL3101",
            Self::OutOfMemory { .. } => "TL3102",
            Self::Crashed { .. } => "TL3103",
            Self::Unavailable { .. } => "TL3104",
            Self::Sandbox { .. } => "TL3105",
        }
    }

    /// Whether another attempt may end differently.
    pub fn retriable(&self) -> bool {
        self.code().starts_with("TL3")
    }

    /// A damaged file of `format`.
    pub fn corrupt(format: &str, reason: impl std::fmt::Display) -> Self {
        Self::Corrupt { format: format.to_owned(), reason: reason.to_string() }
    }

    /// A file of `format` that expands beyond bounds.
    pub fn bomb(format: &str, reason: impl std::fmt::Display) -> Self {
        Self::Bomb { format: format.to_owned(), reason: reason.to_string() }
    }
}
