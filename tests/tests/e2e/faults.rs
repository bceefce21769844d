//! The promise: every accepted task has exactly one result, whatever single process dies, and whenever.

use std::time::Duration;

use serde_json::{Value, json};
use tasklane_bus::Outgoing;
use tasklane_contract::streams::StreamDef;
use tasklane_contract::{id, streams};
use tasklane_testkit::client::task;
use tasklane_testkit::results::Record;
use tasklane_testkit::{Client, Options, Stack};
use tokio::time::Instant;

/// Tasks of each test.
const TASKS: usize = 20_000;
/// Results that are there when the fault comes: the stack is in full swing.
const SWING: u64 = 3_000;
/// Far more than it takes where all is well, on a machine that does other things too.
const PATIENCE: Duration = Duration::from_secs(180);

fn ids(n: usize) -> Vec<String> {
    (0..n).map(|_| id::fresh()).collect()
}

/// Echoes of 256 bytes.
fn echoes(ids: &[String]) -> impl Iterator<Item = Outgoing> {
    let text = "x".repeat(254);
    ids.iter().map(move |id| task(id, "echo", json!(text), json!({})))
}

async fn in_full_swing(client: &Client) {
    client.at_least(streams::RESULTS, SWING, PATIENCE).await;
    let done = client.messages(streams::RESULTS).await.unwrap_or(0);
    assert!(done < TASKS as u64, "the tasks were done before the fault could come");
}

/// Waits for all results and counts them; tells what the fault cost.
async fn one_result_each(stack: &Stack, ids: &[String], fault: &str, begun: Instant) -> Vec<Value> {
    let records = stack.client.results().await.exactly_one_each(ids, PATIENCE).await;
    let results: Vec<Value> = records.iter().map(Record::json).collect();
    let odd = results.iter().find(|r| r["status"] != "succeeded");
    assert!(odd.is_none(), "all succeed: {odd:?}");
    let again = results.iter().filter(|r| r["attempts"].as_array().unwrap().len() > 1).count();
    println!(
        "{fault}: {} tasks, each one result, after {:?}; {again} were tried again",
        ids.len(),
        begun.elapsed()
    );
    stack.at_rest().await;
    results
}

#[tokio::test]
async fn a_worker_is_killed_with_tasks_in_hand() {
    let Some(mut stack) = Stack::start(Options::default()).await else { return };
    let (client, ids, begun) = (stack.client.clone(), ids(TASKS), Instant::now());
    let fault = async {
        in_full_swing(&client).await;
        stack.kill9("generic");
        stack.start_again("generic").await;
    };
    tokio::join!(client.submit_all(echoes(&ids)), fault);
    one_result_each(&stack, &ids, "a worker was killed", begun).await;
}

#[tokio::test]
async fn the_router_is_killed() {
    let Some(mut stack) = Stack::start(Options::default()).await else { return };
    let (client, ids, begun) = (stack.client.clone(), ids(TASKS), Instant::now());
    let fault = async {
        in_full_swing(&client).await;
        stack.kill9("router");
        stack.start_again("router").await;
    };
    tokio::join!(client.submit_all(echoes(&ids)), fault);
    one_result_each(&stack, &ids, "the router was killed", begun).await;
}

#[tokio::test]
async fn one_of_two_routers_is_killed() {
    let Some(mut stack) = Stack::start(Options::default().router("router-2")).await else { return };
    let (client, ids, begun) = (stack.client.clone(), ids(TASKS), Instant::now());
    let fault = async {
        in_full_swing(&client).await;
        stack.kill9("router");
    };
    tokio::join!(client.submit_all(echoes(&ids)), fault);
    one_result_each(&stack, &ids, "one of two routers was killed", begun).await;
    assert_eq!(client.run("echo", json!(1)).await["status"], "succeeded", "the other one goes on");
}

#[tokio::test]
async fn the_nats_server_is_killed() {
    let Some(mut stack) = Stack::start(Options::default()).await else { return };
    let (client, ids, begun) = (stack.client.clone(), ids(TASKS), Instant::now());
    let fault = async {
        in_full_swing(&client).await;
        stack.kill9_nats();
        stack.start_nats_again().await;
    };
    tokio::join!(client.submit_all(echoes(&ids)), fault);
    one_result_each(&stack, &ids, "the NATS server was killed", begun).await;
}

/// Workers with few slots and tasks of some length, so that there is always something in hand.
fn two_workers(more: &[(&str, &str)]) -> Options {
    let own = [&[("TASKLANE_WORKER_SLOTS", "32")], more].concat();
    Options::no_workers().worker("generic", &own).worker("second", &own)
}

/// Waits until a worker holds tasks.
async fn busy(stack: &Stack, name: &str) {
    let id = stack.worker_id(name);
    tasklane_testkit::wait::until(&format!("{name} is busy"), async || {
        let workers = stack.client.ask("api.workers", json!({})).await.ok()?;
        let worker = workers["workers"].as_array()?.iter().find(|w| w["worker"] == id)?.clone();
        (worker["busy"].as_u64()? > 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_worker_that_is_asked_to_stop_loses_and_repeats_nothing() {
    let Some(mut stack) = Stack::start(two_workers(&[])).await else { return };
    let (client, ids, begun) = (stack.client.clone(), ids(600), Instant::now());
    let executed = Executions::listen(&client).await;
    let payload = json!({"mode": "sleep", "delay_ms": 500});
    client.submit_all(ids.iter().map(|id| task(id, "error", payload.clone(), json!({})))).await;
    busy(&stack, "second").await;
    stack.term("second");
    assert!(stack.ended("second").await.success(), "a drained worker ends well");
    let left = client.messages(streams::RESULTS).await.unwrap();
    assert!(left < 600, "it was asked to stop under load");
    let results = one_result_each(&stack, &ids, "a worker was asked to stop", begun).await;
    let gone = results.iter().filter(|r| r["attempts"][0]["worker"] != stack.worker_id("generic")).count();
    assert!(gone > 0, "the worker that stopped had done something");
    for result in &results {
        assert_eq!(result["attempts"].as_array().unwrap().len(), 1, "{result}");
    }
    executed.each_once(&ids).await;
}

#[tokio::test]
async fn what_takes_longer_than_the_drain_is_handed_back_and_costs_no_attempt() {
    let Some(mut stack) = Stack::start(two_workers(&[("TASKLANE_WORKER_DRAIN_MS", "300")])).await else {
        return;
    };
    let (client, ids, begun) = (stack.client.clone(), ids(40), Instant::now());
    let payload = json!({"mode": "sleep", "delay_ms": 4_000});
    client.submit_all(ids.iter().map(|id| task(id, "error", payload.clone(), json!({})))).await;
    busy(&stack, "second").await;
    stack.term("second");
    assert!(stack.ended("second").await.success());
    let (results, other) = (
        one_result_each(&stack, &ids, "a worker was short of time to drain", begun).await,
        stack.worker_id("generic"),
    );
    for result in &results {
        assert_eq!(result["attempts"].as_array().unwrap().len(), 1, "{result}");
        assert_eq!(result["attempts"][0]["worker"], other, "{result}");
    }
}

/// Every beginning of an attempt that takes more than an instant is told on `events.>`.
struct Executions(tokio::task::JoinHandle<()>, std::sync::Arc<std::sync::Mutex<Vec<String>>>);

impl Executions {
    async fn listen(client: &Client) -> Self {
        use futures::StreamExt as _;
        let heard = std::sync::Arc::<std::sync::Mutex<Vec<String>>>::default();
        let mut events = Box::pin(client.bus.listen("events.error.*.started".to_owned()).await.unwrap());
        client.bus.flush().await.unwrap();
        let ours = std::sync::Arc::clone(&heard);
        let listening = tokio::spawn(async move {
            while let Some((subject, _, _)) = events.next().await {
                ours.lock().unwrap().push(subject.split('.').nth(2).unwrap_or_default().to_owned());
            }
        });
        Self(listening, heard)
    }

    /// Asserts that each task began exactly once. Events are sent before results, and so came before them.
    async fn each_once(self, ids: &[String]) {
        self.0.abort();
        let mut began = self.1.lock().unwrap().clone();
        let all = began.len();
        began.sort_unstable();
        began.dedup();
        assert_eq!((all, began.len()), (ids.len(), ids.len()), "beginnings, and tasks that began");
    }
}

#[tokio::test]
async fn a_task_that_kills_its_worker_dies_alone() {
    let own = [
        ("TASKLANE_ERROR_DANGEROUS", "true"),
        ("TASKLANE_WORKER_SLOTS", "8"),
        ("TASKLANE_WORKER_ACK_WAIT_MS", "2000"),
    ];
    let options =
        Options::no_workers().router_env("TASKLANE_STREAMS_ACK_WAIT_MS", "2000").worker("generic", &own);
    let Some(mut stack) = Stack::start(options).await else { return };
    let client = stack.client.clone();
    let neighbours = ids(40);
    let killer = "killer".to_owned();
    let kind = json!({"mode": "sleep", "delay_ms": 500});
    let mut tasks: Vec<Outgoing> =
        neighbours.iter().map(|id| task(id, "error", kind.clone(), json!({}))).collect();
    tasks.insert(4, task(&killer, "error", json!({"mode": "exit", "delay_ms": 100}), json!({})));
    client.submit_all(tasks).await;
    let mut deaths = 0;
    let result = loop {
        tokio::select! {
            result = client.result(&killer) => break result,
            _ = stack.ended("generic") => {
                deaths += 1;
                stack.launch_again("generic");
            }
        }
    };
    assert_eq!(
        (&result["status"], &result["error"]["code"]),
        (&json!("failed"), &json!("TL2003")),
        "{result}"
    );
    assert_eq!(deaths, 3, "as often as it may be tried");
    let attempts = result["attempts"].as_array().unwrap();
    assert!(attempts.len() == 3 && attempts.iter().all(|a| a["outcome"] == "lost"), "{result}");
    let letters = client.api("api.dead.list", json!({})).await;
    assert_eq!(letters["dead"][0]["task_id"], killer, "{letters}");
    assert_eq!(letters["dead"].as_array().unwrap().len(), 1, "{letters}");

    let mut all = neighbours.clone();
    all.push(killer.clone());
    let records = client.results().await.exactly_one_each(&all, PATIENCE).await;
    for result in records.iter().filter(|r| r.task_id != killer).map(Record::json) {
        assert_eq!(result["status"], "succeeded", "an innocent neighbour: {result}");
    }
    stack.at_rest().await;
}

#[tokio::test]
async fn delays_and_retries_outlive_the_nats_server() {
    let own = [("TASKLANE_WORKER_RETRY_BASE_MS", "100")];
    let Some(mut stack) = Stack::start(Options::no_workers().worker("generic", &own)).await else { return };
    let client = stack.client.clone();
    let not_before = tasklane_contract::time::to_rfc3339(tasklane_contract::time::now_us() + 4_000_000);
    let ids = ids(200);
    let (delayed, retried) = ids.split_at(100);
    let flaky = json!({"mode": "flaky", "retry_after_ms": 4_000});
    let later = json!({"not_before": not_before});
    client.submit_all(delayed.iter().map(|id| task(id, "echo", json!(1), later.clone()))).await;
    client.submit_all(retried.iter().map(|id| task(id, "error", flaky.clone(), json!({})))).await;
    let scheduled = async || {
        let (tasks, work) = (client.messages(streams::TASKS).await?, client.messages(streams::WORK).await?);
        (tasks == 200 && work == 0).then_some(())
    };
    tasklane_testkit::wait::until("all two hundred wait for their time", scheduled).await;
    stack.kill9_nats();
    stack.start_nats_again().await;
    let results = one_result_each(&stack, &ids, "the NATS server was killed", Instant::now()).await;
    let twice = results.iter().filter(|r| r["attempts"].as_array().unwrap().len() == 2).count();
    assert_eq!(twice, 100, "attempts before the fault are remembered");
}

#[tokio::test]
async fn everything_dies_at_once_and_comes_back() {
    let Some(mut stack) = Stack::start(Options::default()).await else { return };
    let (client, ids, begun) = (stack.client.clone(), ids(TASKS), Instant::now());
    let fault = async {
        in_full_swing(&client).await;
        stack.kill9_nats();
        stack.kill9("generic");
        stack.kill9("router");
        stack.start_nats_again().await;
        stack.start_again("router").await;
        stack.start_again("generic").await;
    };
    tokio::join!(client.submit_all(echoes(&ids)), fault);
    one_result_each(&stack, &ids, "everything died", begun).await;
}

#[tokio::test]
async fn one_of_three_nats_servers_is_killed() {
    let options = Options::default().nodes(3).router_env("TASKLANE_STREAMS_REPLICAS", "3");
    let Some(mut stack) = Stack::start(options).await else { return };
    let (client, ids, begun) = (stack.client.clone(), ids(TASKS), Instant::now());
    let fault = async {
        in_full_swing(&client).await;
        // Clients are connected to it, and it may lead streams: both move.
        stack.kill9_nats();
    };
    tokio::join!(client.submit_all(echoes(&ids)), fault);
    one_result_each(&stack, &ids, "one of three NATS servers was killed", begun).await;
    // It comes back and catches up, and nothing happens twice.
    stack.start_nats_again().await;
    assert_eq!(stack.client.run("echo", json!(1)).await["status"], "succeeded");
    stack.at_rest().await;
    assert_eq!(stack.client.results().await.read(TASKS + 1, PATIENCE).await.len(), TASKS + 1);
}

#[tokio::test]
async fn tasks_go_on_while_a_bucket_cannot_be_made() {
    let Some(stack) = Stack::start(Options::default()).await else { return };
    let bus = &stack.client.bus;
    // What a bucket on a server that is away looks like to the router: it is not there, and cannot be made.
    bus.drop_stream("OBJ_llm-cache").await.unwrap();
    let thief = StreamDef {
        name: "THIEF",
        subjects: vec!["$O.llm-cache.>".to_owned()],
        ..streams::streams(&streams::Policy::default()).remove(0)
    };
    bus.make_stream(thief).await.unwrap();
    bus.drop_consumer(streams::TASKS, streams::ROUTER_CONSUMER).await.unwrap();
    assert_eq!(stack.client.run("echo", json!(1)).await["status"], "succeeded");
}

#[tokio::test]
async fn who_is_asked_to_stop_while_the_server_is_away_stops() {
    let Some(mut stack) = Stack::start(Options::default()).await else { return };
    stack.kill9_nats();
    let begun = Instant::now();
    for member in ["generic", "router"] {
        stack.term(member);
    }
    for member in ["generic", "router"] {
        assert!(stack.ended(member).await.success(), "{member}");
    }
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(20), "nothing ran, and nothing could be said: {took:?}");
}
