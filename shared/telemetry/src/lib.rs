//! Traces, metrics and logs for every Tasklane process.
//!
//! This crate depends on no other of ours and is the only owner of `opentelemetry*`, `prometheus-client` and
//! `tracing-subscriber`. Traces go through our own [`Span`], not through `tracing`: a span here is a fact about
//! a task that must be cheap when nobody exports; `tracing` is for log lines alone.

mod attribute;
pub mod context;
mod error;
mod export;
pub mod logs;
pub mod metrics;
pub mod names;
mod secret;
mod settings;
mod span;
pub mod trace;

pub use attribute::{Attribute, Value};
pub use context::TraceContext;
pub use error::TelemetryError;
pub use logs::{LogFormat, LogSettings, init_logs, task_log_span};
pub use metrics::{Metrics, Outcome, TaskMetrics};
pub use secret::Secret;
pub use settings::{Sampler, TraceSettings};
pub use span::{Span, SpanKind};
pub use trace::{TraceStats, TracingGuard, init_tracing, stats, tracing_enabled};
