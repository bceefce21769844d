//! Profiles of durability: what is written to the disk before it is acknowledged, in atomic batches. (Three replicas are
//! tested with the other faults.)

use std::collections::BTreeMap;

use serde_json::json;
use tasklane_bus::{BusConfig, Outgoing, Stored};
use tasklane_contract::streams::Policy;
use tasklane_contract::{headers, id, streams};
use tasklane_testkit::client::task;
use tasklane_testkit::wait::PATIENCE;
use tasklane_testkit::{Client, Options, Stack};

/// Servers that sync always, and services that publish in batches.
fn fsync() -> Options {
    Options::default().env("TASKLANE_NATS_BATCHES", "true").jetstream("sync_interval: always")
}

async fn batching(stack: &Stack) -> Client {
    Client::connect_as(&BusConfig { url: stack.url(), batches: true, ..BusConfig::default() }).await
}

#[tokio::test]
async fn in_batches_every_task_has_one_result_and_duplicates_are_told() {
    let Some(stack) = Stack::start(fsync()).await else { return };
    let client = batching(&stack).await;
    let ids: Vec<String> = (0..2_000).map(|_| id::fresh()).collect();
    client.submit_all(ids.iter().map(|id| task(id, "echo", json!(id), json!({})))).await;
    // Some that are stored already among many that are not: the batch is refused, and the rest of it is stored.
    let more: Vec<String> = (0..200).map(|_| id::fresh()).collect();
    let mixed = ids.iter().take(3).chain(&more);
    let sending = mixed.map(|id| client.bus.store(task(id, "echo", json!(id), json!({}))));
    let said = futures::future::join_all(sending).await;
    let said: Vec<Stored> = said.into_iter().collect::<Result<_, _>>().unwrap();
    assert_eq!(said[..3], [Stored::Duplicate; 3]);
    assert!(said[3..].iter().all(|said| matches!(said, Stored::New { .. })), "{said:?}");
    let all = [ids, more].concat();
    let records = client.results().await.exactly_one_each(&all, PATIENCE).await;
    for record in records {
        let result = record.json();
        assert_eq!(result["result"], json!(record.task_id), "{result}");
        assert_eq!(result["attempts"].as_array().unwrap().len(), 1, "{result}");
    }
    stack.at_rest().await;
}

#[tokio::test]
async fn a_batch_tells_the_sequence_of_each_and_who_came_second() {
    let Some(stack) = Stack::start(fsync()).await else { return };
    let client = batching(&stack).await;
    let result = |n: usize| Outgoing::new(format!("results.r{n}"), format!("{n}")).only_first();
    let said = futures::future::join_all((0..700).map(|n| client.bus.store(result(n)))).await;
    let mut by_sequence = BTreeMap::new();
    for (n, said) in said.into_iter().enumerate() {
        let Stored::New { sequence } = said.unwrap() else { panic!("{n} is new") };
        by_sequence.insert(sequence, n);
    }
    assert_eq!(by_sequence.len(), 700);
    for (sequence, n) in by_sequence {
        let stored = client.bus.message_at(streams::RESULTS, sequence).await.unwrap();
        assert_eq!((stored.subject, stored.body), (format!("results.r{n}"), format!("{n}").into()));
    }
    // One that is not the first on its subject does not keep the others from being stored.
    let said = futures::future::join_all((690..800).map(|n| client.bus.store(result(n)))).await;
    for (n, said) in (690..).zip(said) {
        let said = said.unwrap();
        assert_eq!(said == Stored::NotFirst, n < 700, "{n}: {said:?}");
    }
    assert_eq!(client.messages(streams::RESULTS).await, Some(800));
    let large = Outgoing::new("tasks.submit.echo", vec![b'x'; 9 << 20]).header(headers::MSG_ID, "large");
    assert!(client.bus.store(large).await.is_err(), "past the server's size");
}

#[tokio::test]
async fn a_system_gets_its_replicas_while_it_runs() {
    let Some(stack) = Stack::start(Options::default().nodes(3)).await else { return };
    let bus = &stack.client.bus;
    let name = |bucket: &str, kind: &str| format!("{kind}_{bucket}");
    let mut all: Vec<String> =
        [streams::TASKS, streams::WORK, streams::RESULTS, streams::DEAD].map(str::to_owned).into();
    all.extend([streams::WORKERS, streams::CANCELLED, streams::CONTROL].map(|b| name(b, "KV")));
    all.extend([streams::PAYLOADS, streams::DOCUMENTS].map(|b| name(b, "OBJ")));
    // As a router does that is started again with `streams.replicas = 3`.
    for replicas in [1, 3] {
        let policy = Policy { replicas, ..Policy::default() };
        bus.provision(&policy).await.unwrap();
        for stream in &all {
            assert_eq!(bus.stream_load(stream).await.unwrap().replicas, replicas, "{stream}");
        }
        // While a stream is copied it may not answer for a moment; who publishes tries again.
        let id = id::fresh();
        bus.store_surely(task(&id, "echo", json!(1), json!({}))).await.unwrap();
        assert_eq!(stack.client.result(&id).await["status"], "succeeded");
    }
}

#[tokio::test]
async fn the_server_is_killed_under_batches_and_nothing_is_lost() {
    let Some(mut stack) = Stack::start(fsync()).await else { return };
    let client = batching(&stack).await;
    let ids: Vec<String> = (0..8_000).map(|_| id::fresh()).collect();
    let watching = stack.client.clone();
    let fault = async {
        watching.at_least(streams::RESULTS, 500, PATIENCE).await;
        stack.kill9_nats();
        stack.start_nats_again().await;
    };
    let more = json!({"retry": {"max_attempts": 10}});
    tokio::join!(client.submit_all(ids.iter().map(|id| task(id, "echo", json!(id), more.clone()))), fault);
    let records = stack.client.results().await.exactly_one_each(&ids, PATIENCE).await;
    assert!(records.iter().all(|record| record.json()["status"] == "succeeded"));
    stack.at_rest().await;
}
