//! Answers of providers: what is passed on of them, and what a failed one comes to.

use bytes::Bytes;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use tokio::sync::mpsc;

use crate::api_error::ApiError;
use crate::breaker::Outcome;
use crate::cache::FromCache;
use crate::retry::{self, Blame, Failure, Hints, Transport};

/// Headers of a provider that its clients look at. Those on trying again are its last word where it refused.
const PASSED: [&str; 12] = [
    "content-type",
    "retry-after",
    "retry-after-ms",
    "x-should-retry",
    "x-request-id",
    "openai-processing-ms",
    "x-ratelimit-limit-requests",
    "x-ratelimit-limit-tokens",
    "x-ratelimit-remaining-requests",
    "x-ratelimit-remaining-tokens",
    "x-ratelimit-reset-requests",
    "x-ratelimit-reset-tokens",
];

/// An answer that is there as a whole: a model's, or the error of the last provider that was asked.
#[derive(Debug, Clone)]
pub struct Whole {
    /// The HTTP status.
    pub status: u16,
    /// The provider's headers that clients look at.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// The model that answered, by its name in the file.
    pub model: String,
    /// What it used and cost when it was made; absent where it was an error.
    pub used: Option<Used>,
    /// Whether it was given before.
    pub cache: FromCache,
}

impl Whole {
    /// An answer that was kept.
    pub fn kept(model: &str, content_type: &str, body: Bytes) -> Self {
        let mut headers = HeaderMap::new();
        let json = HeaderValue::from_static("application/json");
        headers.insert(CONTENT_TYPE, HeaderValue::from_str(content_type).unwrap_or(json));
        Self { status: 200, headers, body, model: model.to_owned(), used: None, cache: FromCache::Hit }
    }
}

/// What one answer used and cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Used {
    /// Tokens that were read.
    pub input: u64,
    /// Tokens that were written.
    pub output: u64,
    /// Money.
    pub nano_usd: u64,
}

/// An answer in pieces.
pub struct Pieces {
    /// The provider's headers that clients look at.
    pub headers: HeaderMap,
    /// The pieces; the call ends when this is dropped.
    pub pieces: mpsc::Receiver<Bytes>,
    /// The model that answers.
    pub model: String,
    /// Whether it was given before.
    pub cache: FromCache,
}

/// An answer.
pub enum Answered {
    /// All at once.
    Whole(Whole),
    /// In pieces.
    Pieces(Pieces),
}

/// Why an attempt failed, and what it would be answered with.
pub struct Failed {
    /// The provider's status, where it answered.
    pub status: Option<u16>,
    /// Its error's code, or its type.
    pub code: Option<String>,
    /// How it failed where it did not answer.
    pub transport: Transport,
    /// What it says about trying again.
    pub hints: Hints,
    /// The answer where nobody else can do it.
    pub said: Result<Whole, ApiError>,
}

impl Failed {
    /// The failure, to decide by.
    pub fn failure(&self) -> Failure<'_> {
        match self.status {
            Some(status) => Failure::Status { status, code: self.code.as_deref() },
            None => Failure::Transport(self.transport),
        }
    }
}

/// What a failure says to the circuit breaker.
pub fn outcome(failed: &Failed) -> Outcome {
    match retry::blame(&failed.failure()) {
        Blame::None => Outcome::Good,
        Blame::Failed => Outcome::Failed,
        Blame::Useless => Outcome::Useless(failed.hints.retry_after),
    }
}

/// The headers of a provider that clients look at.
pub fn passed(headers: &HeaderMap) -> HeaderMap {
    let mut out = HeaderMap::new();
    for name in PASSED {
        if let Some(value) = headers.get(name) {
            out.insert(name, value.clone());
        }
    }
    out.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static("application/json"));
    out
}
