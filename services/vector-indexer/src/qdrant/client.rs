//! The way to qdrant: one client for the process, which connects when it is first asked. Every call has a deadline, a span,
//! and errors of ours.

use std::fmt;
use std::future::Future;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use qdrant_client::{Qdrant, QdrantError};
use tasklane_runtime::Ctx;
use tasklane_runtime::telemetry::{Span, SpanKind, TraceContext};
use tokio::time::Instant;

use crate::catalogue::Record;
use crate::config::QdrantConfig;
use crate::error::VectorError;
use crate::shelf::Remote;

/// What is left of a task's time when qdrant did not answer: saying so is better than being stopped.
const RESERVE: Duration = Duration::from_millis(100);
/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(5);
/// How the client begins where there is no connection; the rest is for who writes clients.
const NO_CONNECTION: &str = "Failed to connect";
/// How much is told of what qdrant says, in characters.
const SAID: usize = 500;

// Codes of gRPC. What is refused with the first kind would be refused again.
const INVALID: i32 = 3;
const NOT_FOUND: i32 = 5;
const ALREADY_EXISTS: i32 = 6;
const FAILED_PRECONDITION: i32 = 9;
const OUT_OF_RANGE: i32 = 11;
const UNIMPLEMENTED: i32 = 12;

/// The operator's qdrant, or none. Clones share it.
#[derive(Clone)]
pub struct Engine(Option<Arc<Inner>>);

struct Inner {
    config: QdrantConfig,
    key: Option<String>,
    client: RwLock<Qdrant>,
}

impl Engine {
    /// Reads the key, and says what is wrong with the settings. Nobody is asked yet.
    ///
    /// # Errors
    /// For people; the key is not in it.
    pub fn new(config: &QdrantConfig) -> Result<Self, String> {
        if config.url.is_empty() {
            return Ok(Self(None));
        }
        let key = match config.api_key_file.as_str() {
            "" => None,
            file => Some(key_of(file)?),
        };
        let client = RwLock::new(connection(config, key.clone()).map_err(|e| format!("qdrant.url: {e}"))?);
        Ok(Self(Some(Arc::new(Inner { config: config.clone(), key, client }))))
    }

    /// Calls about a collection, for a task.
    ///
    /// # Errors
    /// There is no qdrant here.
    pub fn open(&self, remote: &Remote, ctx: &Ctx) -> Result<Calls, VectorError> {
        let within = ctx.remaining().saturating_sub(RESERVE);
        self.calls(&remote.name, &remote.record, within, ctx.trace()).ok_or_else(|| VectorError::Away {
            collection: remote.name.clone(),
            reason: "it is in qdrant, and `qdrant.url` is not set here".to_owned(),
        })
    }

    /// Calls about a collection, `within` a time; nothing where there is no qdrant here.
    pub fn calls(
        &self,
        name: &str,
        record: &Record,
        within: Duration,
        trace: Option<&TraceContext>,
    ) -> Option<Calls> {
        let inner = self.0.clone()?;
        Some(Calls {
            there: format!("{}{}", inner.config.prefix, record.id),
            name: name.to_owned(),
            settings: record.settings,
            until: Instant::now() + within,
            trace: trace.cloned(),
            inner,
        })
    }
}

/// Calls about one collection.
pub struct Calls {
    inner: Arc<Inner>,
    /// Its name in qdrant.
    pub(super) there: String,
    /// Its name.
    pub(super) name: String,
    /// What it was created with.
    pub(super) settings: crate::catalogue::Settings,
    until: Instant,
    trace: Option<TraceContext>,
}

impl Calls {
    pub(super) fn config(&self) -> &QdrantConfig {
        &self.inner.config
    }

    /// One call, named as qdrant names it.
    pub(super) async fn call<T, F>(
        &self,
        operation: &'static str,
        ask: impl FnOnce(Qdrant) -> F,
    ) -> Result<T, VectorError>
    where
        F: Future<Output = Result<T, QdrantError>>,
    {
        let mut span =
            Span::start(format!("{operation} {}", self.there), SpanKind::Client, self.trace.as_ref());
        span.set("db.system.name", "qdrant");
        span.set("db.operation.name", operation);
        span.set_with("db.collection.name", || self.there.clone());
        let client = self.inner.client.read().unwrap_or_else(PoisonError::into_inner).clone();
        let until = self.until.min(Instant::now() + Duration::from_millis(self.inner.config.timeout_ms));
        let answer = match tokio::time::timeout_at(until, ask(client)).await {
            Ok(answer) => answer.map_err(|e| self.failed(&e)),
            Err(_) => {
                self.inner.renew();
                Err(self.away("qdrant did not answer in time"))
            }
        };
        if let Err(e) = &answer {
            span.error(e.code().to_string(), e);
        }
        answer
    }

    /// It cannot be used now.
    pub(super) fn away(&self, reason: impl fmt::Display) -> VectorError {
        VectorError::Away { collection: self.name.clone(), reason: reason.to_string() }
    }

    fn failed(&self, error: &QdrantError) -> VectorError {
        let (code, said) = match error {
            QdrantError::ResponseError { status } | QdrantError::ResourceExhaustedError { status, .. } => {
                (i32::from(status.code()), status.message().to_owned())
            }
            other => (0, other.to_string()),
        };
        if said.starts_with(NO_CONNECTION) {
            return self.away(format_args!("no qdrant answers at {}", self.inner.config.url));
        }
        let reason: String = said.chars().take(SAID).collect();
        match code {
            INVALID | ALREADY_EXISTS | FAILED_PRECONDITION | OUT_OF_RANGE | UNIMPLEMENTED => {
                VectorError::QdrantRefused { collection: self.name.clone(), reason }
            }
            NOT_FOUND => self.away(format_args!("qdrant has no collection `{}`: {reason}", self.there)),
            _ => self.away(format_args!("qdrant: {reason}")),
        }
    }
}

impl Inner {
    /// Takes new connections: who does not answer may be gone without a word, and a connection would not notice.
    fn renew(&self) {
        match connection(&self.config, self.key.clone()) {
            Ok(fresh) => *self.client.write().unwrap_or_else(PoisonError::into_inner) = fresh,
            Err(e) => tracing::error!("a new client of qdrant cannot be made: {e}"),
        }
    }
}

fn connection(config: &QdrantConfig, key: Option<String>) -> Result<Qdrant, QdrantError> {
    let timeout = Duration::from_millis(config.timeout_ms);
    Qdrant::from_url(&config.url)
        .api_key(key)
        .timeout(timeout)
        .connect_timeout(timeout.min(CONNECT))
        // The check would ask, and print to the standard output.
        .skip_compatibility_check()
        .build()
}

/// The key in a file. Nobody is to see it in a message: the client would show one that is no header.
fn key_of(file: &str) -> Result<String, String> {
    let text = std::fs::read_to_string(file).map_err(|e| format!("qdrant.api_key_file: {file}: {e}"))?;
    let key = text.trim();
    if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(format!("qdrant.api_key_file: {file}: a key is one word of visible ASCII characters"));
    }
    Ok(key.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_not_told() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        let read = |text: &str| {
            std::fs::write(&file, text).unwrap();
            key_of(file.to_str().unwrap())
        };
        assert_eq!(read("secret-key\n").unwrap(), "secret-key");
        for wrong in ["", "  \n", "secret key", "secr\u{e9}t"] {
            let said = read(wrong).unwrap_err();
            assert!(said.contains("qdrant.api_key_file") && !said.contains("secr"), "{said}");
        }
        assert!(key_of("/nowhere/key").unwrap_err().contains("/nowhere/key"));
    }

    #[test]
    fn without_a_url_there_is_none() {
        assert!(Engine::new(&QdrantConfig::default()).unwrap().0.is_none());
    }
}
