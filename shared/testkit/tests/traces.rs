//! Traces as a collector sees them: our spans, the real exporter, a real receiver.
//!
//! Export is a state of the process, so everything that exports takes turns.

#![expect(clippy::expect_used, reason = "a test stops where it cannot go on")]

use std::time::{Duration, SystemTime};

use tasklane_telemetry::{
    Attribute, Sampler, Span, SpanKind, TraceContext, TraceSettings, TracingGuard, init_tracing, names,
    stats, tracing_enabled,
};
use tasklane_testkit::otlp::{Kind, OtlpReceiver, ReceivedSpan, SpanStatus, children_of, tree};
use tokio::sync::Mutex;

static TURN: Mutex<()> = Mutex::const_new(());
const PATIENCE: Duration = Duration::from_secs(20);
const SAMPLED: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const NOT_SAMPLED: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";

fn settings(receiver: &OtlpReceiver) -> TraceSettings {
    TraceSettings {
        endpoint: receiver.endpoint(),
        flush_interval_ms: 50,
        shutdown_timeout_ms: 20_000,
        ..TraceSettings::default()
    }
}

fn parent(header: &str) -> TraceContext {
    TraceContext::parse(header, Some("vendor=1")).expect("a valid header")
}

/// What a message carries from one process to the next: text.
fn over_the_wire(span: &Span) -> TraceContext {
    let sent = span.context().expect("a context to send");
    TraceContext::parse(&sent.traceparent(), Some(&sent.state)).expect("what we send can be read")
}

async fn export(receiver: &OtlpReceiver) -> TracingGuard {
    init_tracing("document", &settings(receiver)).expect("tracing starts")
}

fn named<'s>(spans: &'s [ReceivedSpan], name: &str) -> &'s ReceivedSpan {
    spans.iter().find(|s| s.name == name).unwrap_or_else(|| panic!("no span {name} in\n{}", tree(spans)))
}

#[tokio::test]
async fn parents_and_children_arrive_as_one_tree() {
    let _turn = TURN.lock().await;
    let receiver = OtlpReceiver::start().await.unwrap();
    let guard = export(&receiver).await;
    let submitted = SystemTime::now() - Duration::from_secs(3);

    let mut submit = Span::start_at("submit echo", SpanKind::Producer, None, submitted);
    submit.set(names::MESSAGING_SYSTEM, names::NATS);
    submit.set(names::MESSAGING_MESSAGE_BODY_SIZE, 42usize);
    let mut route = Span::start("route echo", SpanKind::Consumer, Some(&over_the_wire(&submit)));
    route.set(names::ROUTE_SCORE, 0.97);
    route.event("chosen", &[(names::POOL, &"generic"), (names::ATTEMPT, &1u32)]);
    let mut work = Span::start("process echo", SpanKind::Consumer, Some(&over_the_wire(&route)));
    work.error("TL2003", "no such page");
    let worked_until = SystemTime::now() + Duration::from_secs(1);
    work.end_at(worked_until);
    route.end();
    submit.end();

    let spans = receiver.wait_for(|spans| spans.len() >= 3, PATIENCE).await.unwrap();
    let (submit, route, work) =
        (named(&spans, "submit echo"), named(&spans, "route echo"), named(&spans, "process echo"));
    assert!(submit.is_root(), "{}", tree(&spans));
    assert_eq!(children_of(&spans, submit), [route], "{}", tree(&spans));
    assert_eq!(children_of(&spans, route), [work], "{}", tree(&spans));
    assert_eq!((submit.kind, work.kind), (Kind::Producer, Kind::Consumer));
    assert_eq!(submit.service, "document");
    assert_eq!(submit.attribute(names::MESSAGING_SYSTEM), Some("nats"));
    assert_eq!(submit.attribute(names::MESSAGING_MESSAGE_BODY_SIZE), Some("42"));
    assert_eq!(route.attribute(names::ROUTE_SCORE), Some("0.97"));
    assert_eq!(route.events, ["chosen"]);
    assert_eq!(work.status, SpanStatus::Error("no such page".to_owned()));
    assert_eq!(work.attribute(names::ERROR_TYPE), Some("TL2003"));
    assert!(submit.end.duration_since(submit.start).unwrap() >= Duration::from_secs(3));
    assert_eq!(work.end, worked_until, "the given end was kept");
    assert!(tree(&spans).contains("\n  route echo"), "{}", tree(&spans));
    assert_eq!(guard.shutdown().exported, 3);
}

#[tokio::test]
async fn a_remote_parent_is_kept_with_its_state() {
    let _turn = TURN.lock().await;
    let receiver = OtlpReceiver::start().await.unwrap();
    let guard = export(&receiver).await;
    let span = Span::start("route", SpanKind::Consumer, Some(&parent(SAMPLED)));
    let passed_on = over_the_wire(&span);
    span.end();
    assert_eq!(passed_on.trace_id, parent(SAMPLED).trace_id);
    assert_ne!(passed_on.span_id, parent(SAMPLED).span_id);
    assert_eq!(passed_on.state, "vendor=1");
    guard.flush();
    let spans = receiver.spans();
    assert_eq!(spans.len(), 1, "a flush returns once the spans are there");
    assert_eq!(spans[0].parent_span_id, parent(SAMPLED).span_id_hex());
    assert_eq!(spans[0].span_id, passed_on.span_id_hex());
}

#[tokio::test]
async fn off_sends_nothing_computes_nothing_and_passes_the_context_on() {
    let _turn = TURN.lock().await;
    let guard = init_tracing("document", &TraceSettings::default()).unwrap();
    assert!(!guard.is_exporting() && !tracing_enabled());
    for header in [SAMPLED, NOT_SAMPLED] {
        let mut span = Span::start("route", SpanKind::Consumer, Some(&parent(header)));
        span.set_with(names::TASK_ID, || -> &str { panic!("computed although nobody records") });
        assert!(!span.is_recording());
        assert_eq!(span.context(), Some(parent(header)));
    }
    assert_eq!(Span::start("submit", SpanKind::Producer, None).context(), None);
}

#[tokio::test]
async fn what_the_parent_decided_holds_for_the_whole_chain() {
    let _turn = TURN.lock().await;
    let receiver = OtlpReceiver::start().await.unwrap();
    let guard = export(&receiver).await;
    let span = Span::start("dropped", SpanKind::Consumer, Some(&parent(NOT_SAMPLED)));
    assert!(!span.is_recording());
    assert_eq!(span.context(), Some(parent(NOT_SAMPLED)));
    span.end();
    Span::start("kept", SpanKind::Consumer, Some(&parent(SAMPLED))).end();
    assert_eq!(guard.shutdown().exported, 1);
    let spans = receiver.spans();
    assert_eq!(spans.iter().map(|s| s.name.as_str()).collect::<Vec<_>>(), ["kept"]);
}

#[tokio::test]
async fn a_share_of_new_traces_is_kept_each_of_them_whole() {
    let _turn = TURN.lock().await;
    let receiver = OtlpReceiver::start().await.unwrap();
    let halved = TraceSettings { sample_ratio: 0.5, ..settings(&receiver) };
    let guard = init_tracing("router", &halved).unwrap();
    let mut sampled = 0;
    for _ in 0..400 {
        let root = Span::start("root", SpanKind::Producer, None);
        let context = over_the_wire(&root);
        let child = Span::start("child", SpanKind::Consumer, Some(&context));
        assert_eq!(context.sampled, root.is_recording());
        assert_eq!(child.is_recording(), root.is_recording());
        assert_eq!(over_the_wire(&child).sampled, context.sampled);
        assert_eq!(over_the_wire(&child).trace_id, context.trace_id);
        sampled += u64::from(context.sampled);
    }
    // Binomial(400, 1/2): outside of 120..280 lies less than one run in 10^14.
    assert!((120..280).contains(&sampled), "{sampled} of 400");
    assert_eq!(guard.shutdown().exported, sampled * 2);
    let spans = receiver.spans();
    for root in spans.iter().filter(|s| s.name == "root") {
        assert_eq!(children_of(&spans, root).len(), 1, "{}", receiver.tree());
    }
}

#[tokio::test]
async fn always_off_hands_out_contexts_that_say_so() {
    let _turn = TURN.lock().await;
    let receiver = OtlpReceiver::start().await.unwrap();
    let off = TraceSettings { sampler: Sampler::AlwaysOff, ..settings(&receiver) };
    let guard = init_tracing("router", &off).unwrap();
    let root = Span::start("root", SpanKind::Producer, None);
    assert!(!over_the_wire(&root).sampled);
    root.end();
    let child = Span::start("child", SpanKind::Consumer, Some(&parent(SAMPLED)));
    assert_eq!((child.is_recording(), over_the_wire(&child).sampled), (false, false));
    child.end();
    assert_eq!(guard.shutdown().exported, 0);
    assert_eq!(receiver.spans(), []);
}

#[tokio::test]
async fn a_full_queue_drops_and_counts_and_never_waits() {
    let _turn = TURN.lock().await;
    // A collector that accepts connections and never answers.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let small = TraceSettings {
        endpoint: format!("http://{}", silent.local_addr().unwrap()),
        queue_size: 10,
        flush_interval_ms: 60_000,
        shutdown_timeout_ms: 200,
        ..TraceSettings::default()
    };
    let guard = init_tracing("router", &small).unwrap();
    let started = std::time::Instant::now();
    for _ in 0..1000 {
        Span::start("s", SpanKind::Internal, None).end();
    }
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    // The exporter takes full batches of ten from the queue; the first of them hangs, so one more fits.
    let counts = stats();
    assert_eq!(counts.exported + counts.failed, 0, "{counts:?}");
    assert!((980..=990).contains(&counts.dropped), "{counts:?}");
    let started = std::time::Instant::now();
    guard.shutdown();
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_wrong_or_dead_endpoint_breaks_nothing() {
    let _turn = TURN.lock().await;
    let closed = {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    for (endpoint, exporting) in [("not a url at all", false), ("http://[::bad", false), (&*closed, true)] {
        let settings = TraceSettings {
            endpoint: endpoint.to_owned(),
            export_timeout_ms: 300,
            shutdown_timeout_ms: 5000,
            ..TraceSettings::default()
        };
        let guard = init_tracing("router", &settings).unwrap();
        assert_eq!(guard.is_exporting(), exporting, "{endpoint}");
        let span = Span::start("s", SpanKind::Internal, Some(&parent(SAMPLED)));
        assert_eq!(span.context().map(|c| c.trace_id), Some(parent(SAMPLED).trace_id));
        span.end();
        let started = std::time::Instant::now();
        let counts = guard.shutdown();
        assert!(started.elapsed() < Duration::from_secs(8), "{:?}", started.elapsed());
        assert_eq!(counts.failed, u64::from(exporting), "{endpoint}");
    }
}

#[tokio::test]
async fn it_is_started_once_and_can_start_again_after_the_end() {
    let _turn = TURN.lock().await;
    let receiver = OtlpReceiver::start().await.unwrap();
    let first = export(&receiver).await;
    let second = init_tracing("document", &settings(&receiver)).unwrap_err();
    assert_eq!(second.code(), "TL9802");
    first.shutdown();
    assert!(!tracing_enabled());
    let third = export(&receiver).await;
    assert!(tracing_enabled());
    drop(third);
    assert!(!tracing_enabled());
}

#[tokio::test]
async fn every_kind_of_value_arrives_as_it_was_meant() {
    let _turn = TURN.lock().await;
    let receiver = OtlpReceiver::start().await.unwrap();
    let guard = export(&receiver).await;
    let mut span = Span::start(String::from("owned name"), SpanKind::Client, None);
    let values: [(&'static str, &dyn Attribute, &str); 6] = [
        ("bool", &true, "true"),
        ("text", &String::from("a\nb"), "a\nb"),
        ("negative", &-5i64, "-5"),
        ("too large", &u64::MAX, "9223372036854775807"),
        ("duration", &Duration::from_micros(1500), "1.5"),
        ("float", &0.25, "0.25"),
    ];
    for (name, value, _) in values {
        span.set(name, value.to_value());
    }
    span.end();
    guard.shutdown();
    let spans = receiver.spans();
    assert_eq!(spans[0].kind, Kind::Client);
    for (name, _, expected) in values {
        assert_eq!(spans[0].attribute(name), Some(expected), "{name}");
    }
}
