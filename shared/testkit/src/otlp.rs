//! An OTLP receiver: a real gRPC server on a loopback port that keeps the spans it is sent.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::trace::v1 as otlp;
use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};

/// The name that a process gives itself.
const SERVICE_NAME: &str = "service.name";

/// What a span is to the call or message it stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Nothing was said.
    Unspecified,
    /// Work within the process.
    Internal,
    /// A call that is answered.
    Server,
    /// A call that is made.
    Client,
    /// A message that is sent.
    Producer,
    /// A message that is worked on.
    Consumer,
}

/// How a span ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SpanStatus {
    /// Nothing was said.
    Unset,
    /// Well.
    Ok,
    /// Badly, with this message.
    Error(String),
}

/// One span as it arrived. Ids are lower-case hexadecimal.
#[derive(Clone, Debug, PartialEq)]
pub struct ReceivedSpan {
    /// Names the trace.
    pub trace_id: String,
    /// Names the span.
    pub span_id: String,
    /// Names the span above it; empty for a root.
    pub parent_span_id: String,
    /// What was done.
    pub name: String,
    /// What it is to the call or message.
    pub kind: Kind,
    /// Values as text: `42`, `true`, `nats`. A list is `[a, b]`.
    pub attributes: BTreeMap<String, String>,
    /// Names of its events, in order.
    pub events: Vec<String>,
    /// How it ended.
    pub status: SpanStatus,
    /// The service it came from.
    pub service: String,
    /// When it started.
    pub start: SystemTime,
    /// When it ended.
    pub end: SystemTime,
}

impl ReceivedSpan {
    /// The attribute of this name, as text.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.get(name).map(String::as_str)
    }

    /// Whether it is the root of its trace.
    pub fn is_root(&self) -> bool {
        self.parent_span_id.is_empty()
    }
}

/// What was waited for did not arrive. Shows what did.
#[derive(Debug)]
pub struct NotReceived {
    /// How long was waited.
    pub waited: Duration,
    /// The spans that arrived, as a tree.
    pub tree: String,
}

impl std::fmt::Display for NotReceived {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the spans waited for did not arrive within {:?}; there are:\n{}", self.waited, self.tree)
    }
}

impl std::error::Error for NotReceived {}

/// The receiver. It stops when it is dropped.
#[derive(Debug)]
pub struct OtlpReceiver {
    address: SocketAddr,
    spans: watch::Receiver<Vec<ReceivedSpan>>,
    /// Its end tells the server to stop.
    _stop: oneshot::Sender<()>,
}

impl OtlpReceiver {
    /// Starts a receiver on a free port of the loopback address.
    ///
    /// # Errors
    /// When no port or thread can be had.
    pub async fn start() -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (sender, spans) = watch::channel(Vec::new());
        let (stop, stopped) = oneshot::channel();
        let listener = listener.into_std()?;
        std::thread::Builder::new().name("otlp-receiver".to_owned()).spawn(move || {
            if let Err(error) = serve(listener, sender, stopped) {
                eprintln!("the OTLP receiver stopped: {error}");
            }
        })?;
        Ok(Self { address, spans, _stop: stop })
    }

    /// What to give `OTEL_EXPORTER_OTLP_ENDPOINT`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// All spans so far, in the order they arrived.
    pub fn spans(&self) -> Vec<ReceivedSpan> {
        self.spans.borrow().clone()
    }

    /// Waits until `enough` holds of the spans, and returns them.
    ///
    /// # Errors
    /// When it does not within `timeout`; the error shows the spans there are.
    pub async fn wait_for(
        &self,
        mut enough: impl FnMut(&[ReceivedSpan]) -> bool,
        timeout: Duration,
    ) -> Result<Vec<ReceivedSpan>, NotReceived> {
        let mut spans = self.spans.clone();
        match tokio::time::timeout(timeout, spans.wait_for(|spans| enough(spans))).await {
            Ok(Ok(spans)) => Ok(spans.clone()),
            // Time is up, or the server is gone.
            Ok(Err(_)) | Err(_) => Err(NotReceived { waited: timeout, tree: self.tree() }),
        }
    }

    /// The spans so far as an indented tree.
    pub fn tree(&self) -> String {
        tree(&self.spans())
    }
}

/// Runs on a thread of its own, so that a test may block its runtime, as an exporter's shutdown does.
#[tokio::main(flavor = "current_thread")]
async fn serve(
    listener: std::net::TcpListener,
    spans: watch::Sender<Vec<ReceivedSpan>>,
    stopped: oneshot::Receiver<()>,
) -> Result<(), Box<dyn std::error::Error>> {
    let incoming = TcpIncoming::from(TcpListener::from_std(listener)?);
    let service = TraceServiceServer::new(Collector(spans));
    tokio::select! {
        served = Server::builder().add_service(service).serve_with_incoming(incoming) => Ok(served?),
        // The sender is dropped, never used.
        _ = stopped => Ok(()),
    }
}

/// The spans directly under `parent`, by start.
pub fn children_of<'s>(spans: &'s [ReceivedSpan], parent: &ReceivedSpan) -> Vec<&'s ReceivedSpan> {
    let under = |s: &&ReceivedSpan| s.trace_id == parent.trace_id && s.parent_span_id == parent.span_id;
    let mut children: Vec<_> = spans.iter().filter(under).collect();
    children.sort_by_key(|s| s.start);
    children
}

/// Spans as an indented tree, one trace after the other. A span whose parent did not arrive stands at the left
/// with the parent's id.
pub fn tree(spans: &[ReceivedSpan]) -> String {
    let mut out = String::new();
    let has_parent =
        |s: &ReceivedSpan| spans.iter().any(|p| p.trace_id == s.trace_id && p.span_id == s.parent_span_id);
    let mut tops: Vec<_> = spans.iter().filter(|s| !has_parent(s)).collect();
    tops.sort_by(|a, b| (&a.trace_id, a.start).cmp(&(&b.trace_id, b.start)));
    for top in tops {
        branch(spans, top, 0, &mut out);
    }
    if out.is_empty() { "(no spans)\n".to_owned() } else { out }
}

fn branch(spans: &[ReceivedSpan], span: &ReceivedSpan, depth: usize, out: &mut String) {
    // A hostile or broken sender could build a ring of parents.
    if depth > 64 {
        return;
    }
    let took = span.end.duration_since(span.start).unwrap_or_default();
    let orphan = match span.parent_span_id.as_str() {
        parent if depth == 0 && !parent.is_empty() => format!(" (parent {parent} did not arrive)"),
        _ => String::new(),
    };
    let status = match &span.status {
        SpanStatus::Error(message) => format!(" ERROR {message}"),
        SpanStatus::Ok | SpanStatus::Unset => String::new(),
    };
    // Writing into a String cannot fail.
    let _infallible = writeln!(
        out,
        "{:indent$}{} [{:?}, {}] {took:?} trace={} {:?}{status}{orphan}",
        "",
        span.name,
        span.kind,
        span.service,
        span.trace_id,
        span.attributes,
        indent = depth * 2
    );
    for child in children_of(spans, span) {
        branch(spans, child, depth + 1, out);
    }
}

struct Collector(watch::Sender<Vec<ReceivedSpan>>);

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let received = received(request.into_inner());
        self.0.send_modify(|spans| spans.extend(received));
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

fn received(request: ExportTraceServiceRequest) -> Vec<ReceivedSpan> {
    let mut out = Vec::new();
    for resource in request.resource_spans {
        let attributes = resource.resource.map(|r| map(r.attributes)).unwrap_or_default();
        let service = attributes.get(SERVICE_NAME).cloned().unwrap_or_default();
        for span in resource.scope_spans.into_iter().flat_map(|scope| scope.spans) {
            out.push(one(span, &service));
        }
    }
    out
}

fn one(span: otlp::Span, service: &str) -> ReceivedSpan {
    ReceivedSpan {
        kind: kind(span.kind()),
        trace_id: hex(&span.trace_id),
        span_id: hex(&span.span_id),
        parent_span_id: hex(&span.parent_span_id),
        name: span.name,
        attributes: map(span.attributes),
        events: span.events.into_iter().map(|event| event.name).collect(),
        status: span.status.map_or(SpanStatus::Unset, status),
        service: service.to_owned(),
        start: SystemTime::UNIX_EPOCH + Duration::from_nanos(span.start_time_unix_nano),
        end: SystemTime::UNIX_EPOCH + Duration::from_nanos(span.end_time_unix_nano),
    }
}

fn kind(kind: otlp::span::SpanKind) -> Kind {
    match kind {
        otlp::span::SpanKind::Unspecified => Kind::Unspecified,
        otlp::span::SpanKind::Internal => Kind::Internal,
        otlp::span::SpanKind::Server => Kind::Server,
        otlp::span::SpanKind::Client => Kind::Client,
        otlp::span::SpanKind::Producer => Kind::Producer,
        otlp::span::SpanKind::Consumer => Kind::Consumer,
    }
}

fn status(status: otlp::Status) -> SpanStatus {
    match status.code() {
        otlp::status::StatusCode::Unset => SpanStatus::Unset,
        otlp::status::StatusCode::Ok => SpanStatus::Ok,
        otlp::status::StatusCode::Error => SpanStatus::Error(status.message),
    }
}

fn map(attributes: Vec<KeyValue>) -> BTreeMap<String, String> {
    attributes.into_iter().map(|kv| (kv.key, kv.value.map(text).unwrap_or_default())).collect()
}

fn text(value: AnyValue) -> String {
    match value.value {
        Some(any_value::Value::StringValue(v)) => v,
        Some(any_value::Value::BoolValue(v)) => v.to_string(),
        Some(any_value::Value::IntValue(v)) => v.to_string(),
        Some(any_value::Value::DoubleValue(v)) => v.to_string(),
        Some(any_value::Value::ArrayValue(list)) => {
            format!("[{}]", list.values.into_iter().map(text).collect::<Vec<_>>().join(", "))
        }
        Some(other) => format!("{other:?}"),
        None => String::new(),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
        // Writing into a String cannot fail.
        let _infallible = write!(out, "{byte:02x}");
        out
    })
}
