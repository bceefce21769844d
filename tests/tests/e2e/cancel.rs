//! Cancelling, deadlines and delays.

use std::time::Duration;

use futures::StreamExt as _;
use serde_json::{Value, json};
use tasklane_contract::time;
use tasklane_testkit::wait::{self, PATIENCE};
use tasklane_testkit::{Client, Options, Stack};
use tokio::time::Instant;

/// One task at a time.
fn one_slot() -> Options {
    Options::no_workers().worker("generic", &[("TASKLANE_WORKER_SLOTS", "1")])
}

fn in_ms(ms: i64) -> Option<String> {
    time::to_rfc3339(time::now_us() + ms * 1000)
}

/// Submits a task that runs until it is cancelled, and waits until it runs.
async fn occupy(client: &Client) -> String {
    let mut started = Box::pin(client.bus.listen("events.error.*.started".to_owned()).await.unwrap());
    client.bus.flush().await.unwrap();
    let id = client.submit("error", json!({"mode": "sleep", "delay_ms": 25_000})).await;
    let told = tokio::time::timeout(PATIENCE, started.next()).await.expect("the task never started");
    assert!(told.unwrap().0.contains(&id));
    id
}

async fn cancel(client: &Client, id: &str) -> Value {
    client.api("api.task.cancel", json!({"id": id})).await
}

fn assert_cancelled(result: &Value, outcomes: &[&str]) {
    assert_eq!(
        (&result["status"], &result["error"]["code"]),
        (&json!("cancelled"), &json!("TL2010")),
        "{result}"
    );
    let attempts = result["attempts"].as_array().unwrap();
    let told: Vec<_> = attempts.iter().map(|a| a["outcome"].as_str().unwrap()).collect();
    assert_eq!(told, outcomes, "{result}");
}

#[tokio::test]
async fn a_running_task_and_a_queued_one_are_cancelled() {
    let Some(stack) = Stack::start(one_slot()).await else { return };
    let client = &stack.client;
    let running = occupy(client).await;
    let queued = client.submit("echo", json!(1)).await;
    assert_eq!(cancel(client, &queued).await, json!({"id": queued, "cancelled": true}));
    assert_eq!(cancel(client, &running).await, json!({"id": running, "cancelled": true}));
    let asked = Instant::now();
    assert_cancelled(&client.result(&running).await, &["cancelled"]);
    assert_cancelled(&client.result(&queued).await, &[]);
    assert!(asked.elapsed() < Duration::from_secs(10), "not after the 25 s that it would have run");
    assert_eq!(client.run("echo", json!(2)).await["status"], "succeeded", "the slot is free again");
    stack.at_rest().await;
}

#[tokio::test]
async fn a_task_that_waits_for_somebody_who_can_do_it_is_cancelled() {
    let Some(stack) = Stack::start(Options::default()).await else { return };
    let id = stack.client.submit("nobody_does_this", json!(1)).await;
    assert_eq!(cancel(&stack.client, &id).await["cancelled"], true);
    assert_cancelled(&stack.client.result(&id).await, &[]);
    stack.at_rest().await;
}

#[tokio::test]
async fn a_delayed_task_is_cancelled_at_once_and_not_only_when_it_is_due() {
    let Some(stack) = Stack::start(Options::default()).await else { return };
    let client = &stack.client;
    let id = client.submit_with("echo", json!(1), json!({"not_before": in_ms(3_600_000)})).await;
    let subject = tasklane_contract::subjects::schedule(&id);
    wait::until("the task is scheduled", async || client.bus.last_on("TASKS", &subject).await.ok()).await;
    assert_eq!(cancel(client, &id).await["cancelled"], true);
    assert_cancelled(&client.result(&id).await, &[]);
    // Nothing is left that would be due in an hour.
    stack.at_rest().await;
}

#[tokio::test]
async fn a_task_that_waits_for_its_next_attempt_is_cancelled() {
    let Some(stack) = Stack::start(Options::default()).await else { return };
    let client = &stack.client;
    let id = client.submit("error", json!({"mode": "retriable", "retry_after_ms": 3_600_000})).await;
    let subject = tasklane_contract::subjects::schedule(&id);
    wait::until("the retry is scheduled", async || client.bus.last_on("TASKS", &subject).await.ok()).await;
    assert_eq!(cancel(client, &id).await["cancelled"], true);
    assert_cancelled(&client.result(&id).await, &["retried"]);
    stack.at_rest().await;
}

#[tokio::test]
async fn a_finished_task_cannot_be_cancelled_and_that_is_said() {
    let Some(stack) = Stack::start(Options::default()).await else { return };
    let id = stack.client.submit("echo", json!(1)).await;
    let result = stack.client.result(&id).await;
    let answer = cancel(&stack.client, &id).await;
    assert_eq!(answer, json!({"id": id, "cancelled": false, "status": "succeeded"}));
    assert_eq!(stack.client.result(&id).await, result);
    let (code, _) = stack.client.ask("api.task.cancel", json!({"id": "a.b"})).await.unwrap_err();
    assert_eq!(code, "TL1012");
    let (code, _) = stack.client.ask("api.task.cancel", json!({"task": "x"})).await.unwrap_err();
    assert_eq!(code, "TL1020");
}

#[tokio::test]
async fn a_deadline_ends_a_task_wherever_it_is() {
    let Some(stack) = Stack::start(one_slot()).await else { return };
    let client = &stack.client;
    let past = client.submit_with("echo", json!(1), json!({"deadline": in_ms(-1_000)})).await;
    let more = json!({"deadline": in_ms(1_500)});
    let running = client.submit_with("error", json!({"mode": "sleep", "delay_ms": 20_000}), more).await;
    let queued = client.submit_with("echo", json!(1), json!({"deadline": in_ms(1_000)})).await;
    for (id, what) in [(past, "past"), (running, "running"), (queued, "queued")] {
        let result = client.result(&id).await;
        assert_eq!(
            (&result["status"], &result["error"]["code"]),
            (&json!("expired"), &json!("TL2011")),
            "{what}: {result}"
        );
        let attempts = result["attempts"].as_array().unwrap().len();
        assert_eq!(attempts, usize::from(what == "running"), "{what}: {result}");
    }
    stack.at_rest().await;
    assert_eq!(client.messages("DEAD").await, Some(0), "late is not dead");
}

#[tokio::test]
async fn a_task_does_not_run_before_its_time() {
    let Some(stack) = Stack::start(Options::default()).await else { return };
    let not_before = time::now_us() + 2_000_000;
    let more = json!({"not_before": time::to_rfc3339(not_before), "deadline": in_ms(60_000)});
    let id = stack.client.submit_with("echo", json!(1), more).await;
    let result = stack.client.result(&id).await;
    assert_eq!(result["status"], "succeeded", "{result}");
    let started = time::parse_rfc3339(result["attempts"][0]["started_at"].as_str().unwrap()).unwrap();
    // The server's schedules are at most 250 ms late by themselves; the rest is for a busy machine.
    let late_ms = (started - not_before) / 1000;
    assert!((0..10_000).contains(&late_ms), "{late_ms} ms: {result}");
    assert!(result["timings"]["queue_wait_ms"].as_f64().unwrap() < 2_000.0, "the delay is no wait: {result}");
}
