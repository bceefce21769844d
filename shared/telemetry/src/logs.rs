//! Log lines: human on a terminal, JSON otherwise, always on stderr.
//!
//! In JSON every field of the line and of the spans around it stands at the top level, so that `task_id` and
//! `trace_id` can be searched for without knowing where a line came from. The innermost value of a name wins;
//! the names this file writes itself (`timestamp`, `level`, `target`, `service`, `message`) cannot be overwritten.

use std::fmt;
use std::io::IsTerminal as _;

use serde::Deserialize;
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::format::{JsonFields, Writer};
use tracing_subscriber::fmt::time::{FormatTime as _, SystemTime as Clock};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormattedFields, MakeWriter};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer, Registry};

use crate::{TelemetryError, TraceContext};

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// Human when stderr is a terminal, JSON otherwise.
    #[default]
    Auto,
    /// For people.
    Human,
    /// One JSON object a line.
    Json,
}

/// Settings of the log.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogSettings {
    /// How lines look.
    pub format: LogFormat,
    /// A level, or directives as in `RUST_LOG`; `RUST_LOG` itself goes before it.
    pub level: String,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self { format: LogFormat::Auto, level: "info".to_owned() }
    }
}

/// Starts logging for this process.
///
/// # Errors
/// When the level cannot be read, or logging was started before.
pub fn init_logs(service: &str, settings: &LogSettings) -> Result<(), TelemetryError> {
    let filter = filter(&rust_log().unwrap_or_else(|| settings.level.clone()))?;
    let terminal = std::io::stderr().is_terminal();
    let human = match settings.format {
        LogFormat::Auto => terminal,
        LogFormat::Human => true,
        LogFormat::Json => false,
    };
    let layer =
        if human { human_layer(terminal, std::io::stderr) } else { json_layer(service, std::io::stderr) };
    let subscriber = Registry::default().with(layer.with_filter(filter));
    subscriber.try_init().map_err(|_| TelemetryError::AlreadySet { what: "logs" })
}

/// A span for log lines about one task; enter it, or instrument a future with it. Its level is `error`, the one
/// that every filter lets through, for it is no line itself.
pub fn task_log_span(task_id: &str, task_type: &str, trace: Option<&TraceContext>) -> tracing::Span {
    let span = tracing::error_span!("task", task_id, task_type, trace_id = tracing::field::Empty);
    if let Some(trace) = trace.filter(|_| !span.is_disabled()) {
        span.record("trace_id", trace.trace_id_hex());
    }
    span
}

#[expect(clippy::disallowed_methods, reason = "RUST_LOG is the same in every Rust program")]
fn rust_log() -> Option<String> {
    std::env::var("RUST_LOG").ok().filter(|v| !v.trim().is_empty())
}

/// Libraries speak from `warn` on, unless they are named.
fn filter(directives: &str) -> Result<EnvFilter, TelemetryError> {
    const QUIET: [&str; 6] = ["async_nats", "h2", "hyper", "hyper_util", "tonic", "tower"];
    // A word alone would be read as the name of a module, and everything else would be silent.
    let is_odd =
        |word: &&str| !word.is_empty() && !word.contains(['=', '[']) && word.parse::<LevelFilter>().is_err();
    if let Some(word) = directives.split(',').map(str::trim).find(is_odd) {
        let reason = format!("`{word}` is no level: error, warn, info, debug, trace or off; or name=level");
        return Err(TelemetryError::LogLevel { given: directives.to_owned(), reason });
    }
    let quiet = QUIET.iter().filter(|name| !directives.contains(*name)).map(|name| format!("{name}=warn,"));
    let all = quiet.collect::<String>() + directives;
    EnvFilter::builder()
        .parse(all)
        .map_err(|error| TelemetryError::LogLevel { given: directives.to_owned(), reason: error.to_string() })
}

type BoxedLayer = Box<dyn Layer<Registry> + Send + Sync>;

fn human_layer<W>(colour: bool, writer: W) -> BoxedLayer
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    tracing_subscriber::fmt::layer().compact().with_ansi(colour).with_writer(writer).boxed()
}

fn json_layer<W>(service: &str, writer: W) -> BoxedLayer
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    tracing_subscriber::fmt::layer()
        .fmt_fields(JsonFields::new())
        .event_format(FlatJson { service: service.to_owned() })
        .with_writer(writer)
        .boxed()
}

/// One flat JSON object a line.
struct FlatJson {
    service: String,
}

impl<S> FormatEvent<S, JsonFields> for FlatJson
where
    S: Subscriber + for<'l> LookupSpan<'l>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, JsonFields>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut line = Map::new();
        for span in context.event_scope().into_iter().flat_map(|scope| scope.from_root()) {
            let extensions = span.extensions();
            if let Some(fields) = extensions.get::<FormattedFields<JsonFields>>()
                && let Ok(Value::Object(fields)) = serde_json::from_str(&fields.fields)
            {
                line.extend(fields);
            }
        }
        let mut own = Fields(Map::new());
        event.record(&mut own);
        let message = own.0.remove("message").unwrap_or_default();
        line.extend(own.0);
        line.insert("timestamp".to_owned(), now().into());
        line.insert("level".to_owned(), event.metadata().level().as_str().into());
        line.insert("target".to_owned(), event.metadata().target().into());
        line.insert("service".to_owned(), self.service.as_str().into());
        line.insert("message".to_owned(), message);
        writeln!(writer, "{}", Value::Object(line))
    }
}

/// RFC 3339 in UTC with microseconds; empty should the clock be beyond what that can say.
fn now() -> String {
    let mut text = String::with_capacity(32);
    if Clock.format_time(&mut Writer::new(&mut text)).is_err() {
        text.clear();
    }
    text
}

/// Collects the fields of one line.
struct Fields(Map<String, Value>);

impl Fields {
    fn put(&mut self, field: &Field, value: impl Into<Value>) {
        self.0.insert(field.name().to_owned(), value.into());
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value);
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.put(field, value.to_string());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests;
