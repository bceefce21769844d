//! One trace from the publisher to the result, over every process and every attempt.

use std::time::Duration;

use serde_json::{Value, json};
use tasklane_bus::Outgoing;
use tasklane_contract::{headers, id};
use tasklane_testkit::child::Plan;
use tasklane_testkit::client::task;
use tasklane_testkit::otlp::{OtlpReceiver, ReceivedSpan, children_of, tree};
use tasklane_testkit::{Options, Stack, http, port, tool, wait};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PUBLISHER: &str = "00f067aa0ba902b7";

fn traced(endpoint: &str) -> Options {
    let own = [("TASKLANE_WORKER_RETRY_BASE_MS", "100")];
    Options::no_workers()
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
        .env("OTEL_BSP_SCHEDULE_DELAY", "100")
        .worker("generic", &own)
}

fn with_parent(out: Outgoing, sampled: bool) -> Outgoing {
    out.header(headers::TRACEPARENT, &format!("00-{TRACE}-{PUBLISHER}-0{}", u8::from(sampled)))
}

async fn spans_of(receiver: &OtlpReceiver, trace: &str, n: usize) -> Vec<ReceivedSpan> {
    let ours = |spans: &[ReceivedSpan]| spans.iter().filter(|s| s.trace_id == trace).count() >= n;
    let spans = receiver.wait_for(ours, wait::PATIENCE).await.unwrap_or_else(|e| panic!("{e}"));
    spans.into_iter().filter(|s| s.trace_id == trace).collect()
}

/// Names of the spans under another, sorted.
fn names_under(spans: &[ReceivedSpan], parent: &ReceivedSpan) -> Vec<String> {
    let mut names: Vec<_> = children_of(spans, parent).iter().map(|s| s.name.clone()).collect();
    names.sort();
    names
}

fn child<'s>(spans: &'s [ReceivedSpan], parent: &ReceivedSpan, name: &str) -> &'s ReceivedSpan {
    let found = children_of(spans, parent).into_iter().find(|s| s.name == name);
    found.unwrap_or_else(|| panic!("no {name} under {}:\n{}", parent.name, tree(spans)))
}

/// One attempt: the route with the wait and the work under it. Returns the work.
fn attempt<'s>(spans: &'s [ReceivedSpan], route: &ReceivedSpan, n: &str, id: &str) -> &'s ReceivedSpan {
    assert_eq!((route.name.as_str(), route.service.as_str()), ("route error", "router"), "{}", tree(spans));
    assert_eq!(names_under(spans, route), ["process error", "queue generic"], "{}", tree(spans));
    let work = child(spans, route, "process error");
    assert_eq!((work.service.as_str(), work.attribute("messaging.system")), ("generic", Some("nats")));
    assert_eq!(work.attribute("messaging.message.id"), Some(id));
    assert_eq!(work.attribute("tasklane.attempt"), Some(n), "{}", tree(spans));
    work
}

#[tokio::test]
async fn a_task_that_is_retried_is_one_trace_with_every_span_in_its_place() {
    let receiver = OtlpReceiver::start().await.unwrap();
    let Some(stack) = Stack::start(traced(&receiver.endpoint())).await else { return };
    let id = id::fresh();
    let out = task(&id, "error", json!({"mode": "flaky"}), json!({}));
    stack.client.publish(with_parent(out, true)).await;
    let result = stack.client.result(&id).await;
    assert_eq!((&result["trace_id"], &result["status"]), (&json!(TRACE), &json!("succeeded")), "{result}");
    // Route, queue, process, schedule retry; route, queue, process, send results.
    let spans = spans_of(&receiver, TRACE, 8).await;
    assert_eq!(spans.len(), 8, "{}", tree(&spans));
    let first: Vec<_> = spans.iter().filter(|s| s.parent_span_id == PUBLISHER).collect();
    assert_eq!(first.len(), 1, "one span is the publisher's child:\n{}", tree(&spans));
    let work = attempt(&spans, first[0], "1", &id);
    assert_eq!(names_under(&spans, work), ["schedule retry"], "{}", tree(&spans));
    let retry = child(&spans, work, "schedule retry");
    assert_eq!(names_under(&spans, retry), ["route error"], "{}", tree(&spans));
    let work = attempt(&spans, child(&spans, retry, "route error"), "2", &id);
    assert_eq!(names_under(&spans, work), ["send results"], "{}", tree(&spans));
    let sent = child(&spans, work, "send results");
    let destination = format!("results.{id}");
    assert_eq!(sent.attribute("messaging.destination.name"), Some(destination.as_str()));
    assert_eq!(names_under(&spans, sent), [""; 0]);
}

#[tokio::test]
async fn who_is_not_sampled_exports_nothing_and_who_has_no_trace_gets_one() {
    let receiver = OtlpReceiver::start().await.unwrap();
    let Some(stack) = Stack::start(traced(&receiver.endpoint())).await else { return };
    let client = &stack.client;
    let id = id::fresh();
    client.publish(with_parent(task(&id, "echo", json!(1), json!({})), false)).await;
    assert_eq!(
        client.result(&id).await["trace_id"],
        TRACE,
        "the result names the publisher's trace all the same"
    );
    // The router begins a trace where there is none. What it exports comes after anything of the first task.
    let result = client.run("echo", json!(1)).await;
    let trace = result["trace_id"].as_str().unwrap_or_else(|| panic!("no trace: {result}"));
    assert_ne!(trace, TRACE);
    let spans = spans_of(&receiver, trace, 4).await;
    let roots: Vec<_> = spans.iter().filter(|s| s.is_root()).collect();
    assert_eq!((roots.len(), roots[0].name.as_str()), (1, "route echo"), "{}", tree(&spans));
    assert_eq!(names_under(&spans, roots[0]), ["process echo", "queue generic"], "{}", tree(&spans));
    assert!(receiver.spans().iter().all(|s| s.trace_id != TRACE), "{}", receiver.tree());
}

#[tokio::test]
async fn what_a_service_still_holds_is_exported_when_it_ends() {
    let receiver = OtlpReceiver::start().await.unwrap();
    // A minute between exports: only the end can be the reason.
    let options = traced(&receiver.endpoint()).env("OTEL_BSP_SCHEDULE_DELAY", "60000");
    let Some(mut stack) = Stack::start(options).await else { return };
    let result = stack.client.run("echo", json!(1)).await;
    stack.at_rest().await;
    for name in ["generic", "router"] {
        stack.term(name);
        assert!(stack.ended(name).await.success(), "{name} ends well");
    }
    let spans = spans_of(&receiver, result["trace_id"].as_str().unwrap(), 4).await;
    assert_eq!(spans.len(), 4, "{}", tree(&spans));
}

#[tokio::test]
async fn jaeger_shows_the_trace() {
    let Some(jaeger) = tool::outside("jaeger") else {
        return tool::skipped("jaeger", "(`scripts/setup.sh jaeger` gets it)");
    };
    let (otlp, query) = (port::free(), port::free());
    let folder = tempfile::tempdir().unwrap();
    let local = |flag: &str, port: u16| format!("--{flag}=127.0.0.1:{port}");
    let args = vec![
        local("collector.otlp.grpc.host-port", otlp),
        local("query.http-server.host-port", query),
        local("collector.otlp.http.host-port", port::free()),
        local("query.grpc-server.host-port", port::free()),
        local("collector.grpc-server.host-port", port::free()),
        local("collector.http-server.host-port", port::free()),
        local("admin.http.host-port", port::free()),
    ];
    let plan =
        Plan { name: "jaeger".to_owned(), program: jaeger, args, env: std::collections::BTreeMap::new() };
    let mut running = plan.start(folder.path());
    wait::until("Jaeger answers", async || {
        assert!(
            running.is_running(),
            "Jaeger ended: {}",
            tasklane_testkit::child::log(folder.path(), "jaeger")
        );
        http::get(query, "/api/services").await.filter(|page| page.status == 200)
    })
    .await;
    let Some(stack) = Stack::start(traced(&format!("http://127.0.0.1:{otlp}"))).await else { return };
    let id = id::fresh();
    stack.client.publish(with_parent(task(&id, "error", json!({"mode": "flaky"}), json!({})), true)).await;
    assert_eq!(stack.client.result(&id).await["status"], "succeeded");
    let shown = wait::until_within("Jaeger has eight spans", Duration::from_secs(60), async || {
        let page = http::get(query, &format!("/api/traces/{TRACE}")).await?;
        let shown: Value = serde_json::from_str(&page.body).ok()?;
        let spans = shown["data"][0]["spans"].as_array()?.clone();
        (spans.len() >= 8).then_some(spans)
    })
    .await;
    let mut names: Vec<_> = shown.iter().map(|s| s["operationName"].as_str().unwrap()).collect();
    names.sort_unstable();
    let expected = [
        "process error",
        "process error",
        "queue generic",
        "queue generic",
        "route error",
        "route error",
        "schedule retry",
        "send results",
    ];
    assert_eq!(names, expected);
}
