//! What a handler sees: its context and payload; and what it gives back.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tasklane_bus::{Bus, BusError, Headers};
use tasklane_contract::{Code, code, headers, subjects};
use tasklane_telemetry::{Metrics, Span, SpanKind, TraceContext};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// The task's surroundings. Cheap to clone.
#[derive(Clone)]
pub struct Ctx {
    pub(crate) inner: Arc<CtxInner>,
}

pub(crate) struct CtxInner {
    pub task_id: String,
    pub task_type: String,
    pub tenant: String,
    pub labels: BTreeMap<String, String>,
    pub priority: u8,
    pub attempt: u32,
    pub max_attempts: u32,
    pub worker: Arc<str>,
    pub stop_at: Instant,
    pub memory_mb: u64,
    pub cancelled: CancellationToken,
    pub trace: Option<TraceContext>,
    pub bus: Bus,
    pub metrics: Metrics,
}

impl Ctx {
    /// The task's id.
    pub fn task_id(&self) -> &str {
        &self.inner.task_id
    }

    /// The task's type.
    pub fn task_type(&self) -> &str {
        &self.inner.task_type
    }

    /// Whose task it is; `default` where nobody said.
    pub fn tenant(&self) -> &str {
        &self.inner.tenant
    }

    /// The publisher's labels.
    pub fn labels(&self) -> &BTreeMap<String, String> {
        &self.inner.labels
    }

    /// How urgent it is, as lanes count: 0 is critical, 3 is low.
    pub fn priority(&self) -> u8 {
        self.inner.priority
    }

    /// Which attempt this is, from 1.
    pub fn attempt(&self) -> u32 {
        self.inner.attempt
    }

    /// How many attempts there are.
    pub fn max_attempts(&self) -> u32 {
        self.inner.max_attempts
    }

    /// This worker's name.
    pub fn worker(&self) -> &str {
        &self.inner.worker
    }

    /// Memory the task may use, in MB; 0: not limited.
    pub fn memory_mb(&self) -> u64 {
        self.inner.memory_mb
    }

    /// What is left of the max processing time. The runtime enforces it; a handler that blocks threads or runs
    /// children should look at it.
    pub fn remaining(&self) -> Duration {
        self.inner.stop_at.saturating_duration_since(Instant::now())
    }

    /// Whether the task was cancelled.
    pub fn is_cancelled(&self) -> bool {
        self.inner.cancelled.is_cancelled()
    }

    /// Fires when the task is cancelled, has run out of time, or is handed back: for work outside the handler's own
    /// future, such as blocking threads. The future itself is dropped by the runtime.
    pub fn cancellation(&self) -> CancellationToken {
        self.inner.cancelled.clone()
    }

    /// A span below this attempt.
    pub fn span(&self, name: &'static str, kind: SpanKind) -> Span {
        Span::start(name, kind, self.inner.trace.as_ref())
    }

    /// The attempt's trace context, for sub-calls.
    pub fn trace(&self) -> Option<&TraceContext> {
        self.inner.trace.as_ref()
    }

    /// The service's metrics, for its own.
    pub fn metrics(&self) -> &Metrics {
        &self.inner.metrics
    }

    /// Tells whoever listens how far the task is: `fraction` from 0 to 1.
    pub async fn progress(&self, fraction: f64, message: &str) {
        let fraction = if fraction.is_finite() { fraction.clamp(0.0, 1.0) } else { 0.0 };
        self.event("progress", &serde_json::json!({"fraction": fraction, "message": message})).await;
    }

    /// Tells whoever listens on `events.<task type>.<task id>.<kind>`. Nothing is stored; nobody need listen.
    pub async fn event(&self, kind: &str, body: &impl Serialize) {
        let subject = subjects::event(&self.inner.task_type, &self.inner.task_id, kind);
        let body = match serde_json::to_vec(body) {
            Ok(body) => body,
            Err(e) => return tracing::warn!(kind, "an event cannot be written as JSON: {e}"),
        };
        if let Err(e) = self.inner.bus.tell(subject, Headers::new(), body.into()).await {
            tracing::debug!(kind, "an event was not sent: {e}");
        }
    }

    /// Reads an object of at most `max` bytes.
    ///
    /// # Errors
    /// TL1014 where it does not exist, TL1005 where it is too large, TL3005 where it cannot be read now.
    pub async fn object(&self, bucket: &str, name: &str, max: usize) -> Result<Bytes, TaskError> {
        read_object(&self.inner.bus, bucket, name, max).await
    }
}

/// Reads an object for a task.
pub(crate) async fn read_object(bus: &Bus, bucket: &str, name: &str, max: usize) -> Result<Bytes, TaskError> {
    bus.get_object(bucket, name, max).await.map_err(|e| match e {
        BusError::NotFound(what) => TaskError::failed(
            code::BAD_REFERENCE,
            format!("{what} does not exist; put it there first (`nats obj put {bucket} FILE --name {name}`)"),
        ),
        BusError::ObjectTooLarge { .. } => TaskError::failed(code::TOO_LARGE, e.to_string()),
        e => TaskError::retry(code::PAYLOAD_UNREADABLE, e.to_string()),
    })
}

/// A task's payload.
#[derive(Debug, Clone)]
pub struct Payload {
    /// The bytes, as the publisher wrote them.
    pub bytes: Bytes,
    /// Their content type; empty: JSON.
    pub content_type: String,
}

impl Payload {
    /// The payload as a type; unknown fields are refused where the type says so.
    ///
    /// # Errors
    /// TL1002 for what does not fit, naming the place.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, TaskError> {
        if !headers::is_json(&self.content_type) {
            return Err(TaskError::failed(
                code::WRONG_TYPE,
                format!("the payload is {}; this task type takes JSON", self.content_type),
            ));
        }
        serde_json::from_slice(&self.bytes)
            .map_err(|e| TaskError::failed(code::WRONG_TYPE, format!("the payload cannot be read: {e}")))
    }
}

/// What a handler made.
#[derive(Debug, Clone, PartialEq)]
pub struct Output {
    /// The result's bytes.
    pub bytes: Bytes,
    /// Their content type; empty: JSON.
    pub content_type: String,
}

impl Output {
    /// A JSON result.
    ///
    /// # Errors
    /// TL9001 where the value cannot be written as JSON (a map whose keys are not strings).
    pub fn json(value: &impl Serialize) -> Result<Self, TaskError> {
        match serde_json::to_vec(value) {
            Ok(bytes) => Ok(Self { bytes: bytes.into(), content_type: String::new() }),
            Err(e) => {
                Err(TaskError::failed(code::INTERNAL, format!("the result cannot be written as JSON: {e}")))
            }
        }
    }

    /// Bytes with a content type.
    pub fn raw(bytes: impl Into<Bytes>, content_type: impl Into<String>) -> Self {
        Self { bytes: bytes.into(), content_type: content_type.into() }
    }
}

/// Why a handler failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code} {message}")]
pub struct TaskError {
    /// The stable code.
    pub code: Code,
    /// For people: what was wrong, where, what to do.
    pub message: String,
    /// Whether it may be tried again.
    pub retriable: bool,
    /// When, as the handler wishes; the backoff decides where it does not.
    pub retry_after: Option<Duration>,
    /// Whether the reason lies outside the task and its worker, so that the attempt does not count.
    pub put_off: bool,
}

impl TaskError {
    /// Failed for good.
    pub fn failed(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), retriable: false, retry_after: None, put_off: false }
    }

    /// May be tried again.
    pub fn retry(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), retriable: true, retry_after: None, put_off: false }
    }

    /// May be tried again, not before `after`.
    pub fn retry_after(code: Code, message: impl Into<String>, after: Duration) -> Self {
        Self { retry_after: Some(after), ..Self::retry(code, message) }
    }

    /// Cannot be done now for a reason outside the task: a limit, a provider that is down. It comes back after `after`,
    /// and the attempt does not count; the task's deadline holds, and no task is put off for more than
    /// [`LONGEST_PUT_OFF_MS`](tasklane_domain::retry::LONGEST_PUT_OFF_MS).
    pub fn put_off(code: Code, message: impl Into<String>, after: Duration) -> Self {
        Self { put_off: true, ..Self::retry_after(code, message, after) }
    }
}

/// A handler, whatever its type was.
pub(crate) type Handler =
    Arc<dyn Fn(Ctx, Payload) -> BoxFuture<'static, Result<Output, TaskError>> + Send + Sync>;
