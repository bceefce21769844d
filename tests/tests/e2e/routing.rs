//! Which pool gets a task, and what happens to queues when pools come, go and pause.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tasklane_contract::{id, v1};
use tasklane_runtime::{Output, TaskType, Worker};
use tasklane_testkit::client::task;
use tasklane_testkit::wait::{self, PATIENCE};
use tasklane_testkit::{Client, LocalWorker, Options, Stack};
use tokio::time::Instant;

const ONE_SLOT: (&str, &str) = ("TASKLANE_WORKER_SLOTS", "1");
const B: (&str, &str) = ("TASKLANE_WORKER_POOL", "b");

async fn lane(client: &Client, pool: &str) -> Option<Value> {
    let lanes = client.ask("api.lanes", json!({})).await.ok()?;
    lanes["lanes"].as_array()?.iter().find(|row| row["pool"] == pool).cloned()
}

async fn until_lane(client: &Client, pool: &str, what: &str, holds: impl Fn(&Value) -> bool) {
    let what = format!("lane {pool}: {what}");
    wait::until(&what, async || lane(client, pool).await.filter(&holds)).await;
}

/// A worker of another type that serves one of the generic service's types, and counts what it does.
fn special(task_type: &str, capabilities: &[&str]) -> (Worker, Arc<AtomicUsize>) {
    let done = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&done);
    let handler = move |_, _| {
        counted.fetch_add(1, Ordering::Relaxed);
        async { Output::json(&"done by the special one") }
    };
    // The rule of the generic service: its own type is preferred.
    let rule = v1::Rule {
        required_capabilities: vec!["basic_computation".to_owned()],
        preferred_worker_type: "generic".to_owned(),
        max_processing_time_ms: 5_000,
        ..v1::Rule::default()
    };
    let task = TaskType::new(task_type, "For tests.", handler).rule(rule);
    (Worker::new("special", "special", capabilities).task(task), done)
}

/// Takes the only slot of a worker for as long as a test needs it.
async fn occupy(client: &Client, pool: &str) -> String {
    let id = client.submit("error", json!({"mode": "sleep", "delay_ms": 29_000})).await;
    until_lane(client, pool, "the slot is taken", |row| row["running"] == 1).await;
    id
}

async fn submit_echoes(client: &Client, n: usize) -> Vec<String> {
    let ids: Vec<String> = (0..n).map(|_| id::fresh()).collect();
    client.submit_all(ids.iter().map(|id| task(id, "echo", json!(1), json!({})))).await;
    ids
}

#[tokio::test]
async fn the_preferred_worker_type_wins_and_its_absence_is_no_hindrance() {
    let Some(stack) = Stack::start(Options::default()).await else { return };
    let client = &stack.client;
    let (worker, _) = special("echo", &["basic_computation"]);
    let local = LocalWorker::start(client, worker, "special", 8).await;
    let pool_of = async |preferred: &str| {
        let more = json!({"requirements": {"preferred_worker_type": preferred}});
        let id = client.submit_with("echo", json!(1), more).await;
        client.result(&id).await["route"]["pool"].clone()
    };
    assert_eq!(pool_of("special").await, "special");
    assert_eq!(pool_of("generic").await, "generic");
    let result = client.run("echo", json!(1)).await;
    assert_eq!(result["route"]["pool"], "generic", "the type's own rule prefers it: {result}");
    assert_eq!(result["route"]["candidates"].as_array().unwrap().len(), 2);
    local.stop().await;
    assert_eq!(pool_of("special").await, "generic");
}

#[tokio::test]
async fn a_long_backlog_spills_over_to_the_next_pool() {
    let options = Options::no_workers().worker("generic", &[("TASKLANE_WORKER_SLOTS", "2")]);
    let Some(stack) = Stack::start(options).await else { return };
    let client = &stack.client;
    let (worker, done) = special("error", &["basic_computation"]);
    let _local = LocalWorker::start(client, worker, "special", 64).await;
    let ids: Vec<String> = (0..100).map(|_| id::fresh()).collect();
    let payload = json!({"mode": "sleep", "delay_ms": 200});
    // 100 tasks of 200 ms on two slots: the last would wait for ten seconds.
    let more = json!({"requirements": {"max_processing_time_ms": 1_000}});
    client.submit_all(ids.iter().map(|id| task(id, "error", payload.clone(), more.clone()))).await;
    let records = client.results().await.exactly_one_each(&ids, PATIENCE).await;
    let results: Vec<Value> = records.iter().map(tasklane_testkit::results::Record::json).collect();
    assert!(results.iter().all(|r| r["status"] == "succeeded"), "{results:?}");
    let spilled = results.iter().filter(|r| r["route"]["pool"] == "special").count();
    assert_eq!(spilled, done.load(Ordering::Relaxed));
    assert!((50..100).contains(&spilled), "{spilled} of 100 went to the pool that was not preferred");
}

#[tokio::test]
async fn a_task_nobody_can_do_waits_and_is_done_by_the_first_who_can() {
    let Some(stack) = Stack::start(Options::default()).await else { return };
    let client = &stack.client;
    let more = json!({"requirements": {"required_capabilities": ["basic_computation", "quantum_computing"]}});
    let id = client.submit_with("echo", json!(1), more.clone()).await;
    until_lane(client, "_", "the task waits", |row| {
        let queued: u64 = row["queued"].as_object().unwrap().values().filter_map(Value::as_u64).sum();
        queued + row["running"].as_u64().unwrap() == 1
    })
    .await;
    assert!(client.record_now(&id).await.is_none());
    let mut asked = json!({"task_type": "echo", "payload": 1});
    asked.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let explained = client.api("api.route.explain", asked).await;
    assert_eq!(explained["route"]["candidates"][0]["eligible"], false, "{explained}");
    assert!(explained["route"]["candidates"][0]["why"].as_str().unwrap().contains("quantum_computing"));

    let (worker, done) = special("echo", &["basic_computation", "quantum_computing"]);
    let _local = LocalWorker::start(client, worker, "quantum", 1).await;
    let result = client.result(&id).await;
    assert_eq!(
        (&result["status"], &result["route"]["pool"]),
        (&json!("succeeded"), &json!("quantum")),
        "{result}"
    );
    assert_eq!(done.load(Ordering::Relaxed), 1);
    stack.at_rest().await;
}

#[tokio::test]
async fn explain_names_every_candidate_with_its_reason_and_submits_nothing() {
    let Some(stack) = Stack::start(Options::default().worker("b", &[B])).await else { return };
    let client = &stack.client;
    let (worker, _) = special("something_else", &["text_processing"]);
    let _local = LocalWorker::start(client, worker, "special", 1).await;
    client.api("api.pool.pause", json!({"pool": "b"})).await;
    until_lane(client, "b", "it is paused", |row| row["paused"] == true).await;
    let explained = client.api("api.route.explain", json!({"task_type": "Echo", "payload": 1})).await;
    assert_eq!(explained["needs"]["required_capabilities"], json!(["basic_computation"]), "{explained}");
    assert_eq!(explained["needs"]["preferred_worker_type"], "generic");
    assert_eq!(explained["route"]["pool"], "generic");
    let candidates = explained["route"]["candidates"].as_array().unwrap();
    let of =
        |pool: &str| candidates.iter().find(|c| c["pool"] == pool).unwrap_or_else(|| panic!("{explained}"));
    assert_eq!((candidates.len(), &of("generic")["eligible"]), (3, &json!(true)), "{explained}");
    assert_eq!(of("b")["eligible"], false);
    assert!(of("b")["why"].as_str().unwrap().contains("paused"), "{explained}");
    assert!(of("special")["why"].as_str().unwrap().contains("basic_computation"), "{explained}");
    let (code, _) = client.ask("api.route.explain", json!({"task_type": "echo"})).await.unwrap_err();
    assert_eq!(code, "TL1004");
    assert_eq!((client.messages("TASKS").await, client.messages("RESULTS").await), (Some(0), Some(0)));
}

#[tokio::test]
async fn pausing_a_pool_moves_its_queue_and_resuming_brings_it_back() {
    let options = Options::no_workers().worker("generic", &[ONE_SLOT]);
    let Some(mut stack) = Stack::start(options).await else { return };
    let client = stack.client.clone();
    let blocker = occupy(&client, "generic").await;
    let ids = submit_echoes(&client, 20).await;
    until_lane(&client, "generic", "twenty are queued", |row| row["queued"]["normal"] == 20).await;
    stack.start_worker("b", &[B]).await;
    assert_eq!(client.api("api.pool.pause", json!({"pool": "generic"})).await["paused"], true);
    for id in &ids {
        let result = client.result(id).await;
        assert_eq!(
            (&result["status"], &result["route"]["pool"]),
            (&json!("succeeded"), &json!("b")),
            "{result}"
        );
    }
    assert!(client.record_now(&blocker).await.is_none(), "what runs goes on");
    client.api("api.task.cancel", json!({"id": blocker})).await;
    client.record(&blocker).await;

    client.api("api.pool.resume", json!({"pool": "generic"})).await;
    client.api("api.pool.pause", json!({"pool": "b"})).await;
    until_lane(&client, "b", "it is paused", |row| row["paused"] == true).await;
    until_lane(&client, "generic", "it is resumed", |row| row["paused"] == false).await;
    let result = client.run("echo", json!(1)).await;
    assert_eq!(
        (&result["status"], &result["route"]["pool"]),
        (&json!("succeeded"), &json!("generic")),
        "{result}"
    );
    let (code, text) = client.ask("api.pool.pause", json!({"pool": "nobody"})).await.unwrap_err();
    assert_eq!(code, "TL1021");
    assert!(text.contains("generic"), "{text}");
}

#[tokio::test]
async fn the_queue_of_a_pool_that_dies_is_done_by_another_within_ten_seconds() {
    let options = Options::no_workers().worker("generic", &[ONE_SLOT]);
    let Some(mut stack) = Stack::start(options).await else { return };
    let client = stack.client.clone();
    let blocker = occupy(&client, "generic").await;
    let ids = submit_echoes(&client, 50).await;
    until_lane(&client, "generic", "fifty are queued", |row| row["queued"]["normal"] == 50).await;
    stack.start_worker("b", &[B]).await;
    stack.kill9("generic");
    let killed = Instant::now();
    for id in &ids {
        let result = client.result(id).await;
        assert_eq!(
            (&result["status"], &result["route"]["pool"]),
            (&json!("succeeded"), &json!("b")),
            "{result}"
        );
    }
    let took = killed.elapsed();
    println!("fifty queued tasks of a dead pool were done after {took:?}");
    assert!(took < Duration::from_secs(10), "{took:?}");
    // What the dead worker held is not lost either.
    client.api("api.task.cancel", json!({"id": blocker})).await;
    assert_eq!(client.result(&blocker).await["status"], "cancelled");
    stack.at_rest().await;
}

#[tokio::test]
async fn memory_counts_and_who_is_missing_is_said() {
    let options = Options::no_workers().worker("generic", &[("TASKLANE_WORKER_MEMORY_MB", "100")]);
    let Some(stack) = Stack::start(options).await else { return };
    let client = &stack.client;
    let needing = |mb: u64, capability: &str| {
        let deadline = tasklane_contract::time::to_rfc3339(tasklane_contract::time::now_us() + 2_000_000);
        let requirements = json!({"memory_requirement_mb": mb, "required_capabilities": [capability]});
        json!({"requirements": requirements, "deadline": deadline})
    };
    let fits = client.submit_with("echo", json!(1), needing(100, "basic_computation")).await;
    let too_large = client.submit_with("echo", json!(1), needing(101, "basic_computation")).await;
    let nobody = client.submit_with("echo", json!(1), needing(1, "telepathy")).await;
    assert_eq!(client.result(&fits).await["status"], "succeeded");
    for (id, code, named) in [(too_large, "TL4004", "101 MB"), (nobody, "TL4001", "telepathy")] {
        let result = client.result(&id).await;
        assert_eq!(
            (&result["status"], &result["error"]["code"]),
            (&json!("expired"), &json!(code)),
            "{result}"
        );
        assert!(result["error"]["message"].as_str().unwrap().contains(named), "{result}");
    }
    // And where all are paused, that is the reason.
    client.api("api.pool.pause", json!({"pool": "generic"})).await;
    until_lane(client, "generic", "it is paused", |row| row["paused"] == true).await;
    let paused = client.submit_with("echo", json!(1), needing(1, "basic_computation")).await;
    let result = client.result(&paused).await;
    assert_eq!(
        (&result["status"], &result["error"]["code"]),
        (&json!("expired"), &json!("TL4003")),
        "{result}"
    );
    stack.at_rest().await;
}

#[tokio::test]
async fn workers_of_one_pool_share_its_queue() {
    let own = [("TASKLANE_WORKER_SLOTS", "4")];
    let options = Options::no_workers().worker("generic", &own).worker("second", &own).worker("third", &own);
    let Some(stack) = Stack::start(options).await else { return };
    let client = &stack.client;
    let ids: Vec<String> = (0..60).map(|_| id::fresh()).collect();
    let payload = json!({"mode": "sleep", "delay_ms": 100});
    client.submit_all(ids.iter().map(|id| task(id, "error", payload.clone(), json!({})))).await;
    let records = client.results().await.exactly_one_each(&ids, PATIENCE).await;
    let by = |name: &str| {
        let worker = stack.worker_id(name);
        records.iter().filter(|r| r.json()["attempts"][0]["worker"] == worker).count()
    };
    let shares = ["generic", "second", "third"].map(by);
    assert_eq!(shares.iter().sum::<usize>(), 60, "nobody else did any: {shares:?}");
    // Each has a third of the slots; a fair share is 20.
    assert!(shares.iter().all(|n| *n >= 10), "{shares:?}");
}
