//! Users with least permissions, nkeys and TLS: everything works with them, and nobody can do more than its part.

use std::time::Duration;

use futures::{FutureExt as _, StreamExt as _};
use serde_json::{Value, json};
use tasklane_bus::pull::{Pulled, Puller};
use tasklane_bus::{Bus, BusConfig, Outgoing};
use tasklane_contract::{permissions, streams};
use tasklane_runtime::domain::lane;
use tasklane_runtime::domain::priority::Priority;
use tasklane_testkit::wait::{self, PATIENCE};
use tasklane_testkit::{Client, Options, Stack};

async fn stack() -> Option<Stack> {
    Stack::start(Options::default().service("document", "tasklane-document", &[]).secure()).await
}

/// A user that does not wait long for what it will not get.
async fn user(stack: &Stack, name: &str) -> Client {
    let keys = stack.keys.as_ref().unwrap();
    Client::connect_as(&BusConfig { timeout_ms: 300, ..keys.config(name, &stack.url()) }).await
}

/// Nobody of ours was refused anything.
fn assert_nothing_refused(stack: &Stack) {
    for member in ["router", "generic", "document"] {
        let log = stack.log(member);
        let refused: Vec<&str> = log.lines().filter(|line| line.contains("NATS refused")).collect();
        assert_eq!(refused, Vec::<&str>::new(), "{member}");
    }
}

#[tokio::test]
async fn everything_works_with_users_and_tls() {
    let Some(stack) = stack().await else { return };
    // What an application gets.
    let publisher = user(&stack, "publisher").await;
    let done = publisher.run("echo", json!({"a": 1})).await;
    assert_eq!(done["result"], json!({"a": 1}));
    let flaky = publisher.run("error", json!({"mode": "flaky", "fail_attempts": 1})).await;
    assert_eq!(
        (&flaky["status"], flaky["attempts"].as_array().unwrap().len()),
        (&json!("succeeded"), 2),
        "{flaky}"
    );
    let failed = publisher.run("error", json!({"mode": "permanent"})).await;
    assert_eq!(failed["error"]["code"], "TL2001");
    let answer = publisher.api("api.run.compute", json!({"expression": "6 * 7"})).await;
    assert_eq!(answer["result"]["value"], 42);

    let text = "# A lamp\n\nThe lamp was lit in 1887, and turned on a bath of mercury.\n";
    publisher.bus.put_object(streams::DOCUMENTS, "lamp.md", &mut text.as_bytes()).await.unwrap();
    let read = publisher.run("document_extract", json!({"source": "obj://documents/lamp.md"})).await;
    assert_eq!(read["status"], "succeeded", "{read}");
    // Past the message size, both ways.
    let large: Vec<u8> = (0..9u32 << 20).map(|n| (n % 251) as u8).collect();
    publisher.bus.put_object(streams::PAYLOADS, "large.bin", &mut large.as_slice()).await.unwrap();
    let more = json!({"payload_ref": "obj://payloads/large.bin", "content_type": "application/octet-stream"});
    let mut body = json!({"id": "large", "task_type": "echo"});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    publisher.publish(Outgoing::new("tasks.submit", body.to_string())).await;
    let result = publisher.result("large").await;
    let name =
        result["result_ref"].as_str().and_then(|r| r.strip_prefix("obj://payloads/")).unwrap_or_default();
    let stored = publisher.bus.get_object(streams::PAYLOADS, name, large.len()).await.unwrap();
    assert!(stored == large, "{result}");

    let sleeps = publisher.submit("error", json!({"mode": "sleep", "delay_ms": 60_000})).await;
    assert_eq!(publisher.api("api.task.cancel", json!({"id": sleeps})).await["cancelled"], true);
    assert_eq!(publisher.result(&sleeps).await["status"], "cancelled");
    stack.client.api("api.pool.pause", json!({"pool": "generic"})).await;
    stack.client.api("api.pool.resume", json!({"pool": "generic"})).await;
    assert_eq!(publisher.run("echo", json!(2)).await["status"], "succeeded");
    assert_eq!(stack.client.api("api.dead.list", json!({})).await["dead"].as_array().unwrap().len(), 1);
    stack.at_rest().await;
    assert_nothing_refused(&stack);
}

#[tokio::test]
async fn nobody_gets_in_without_a_key_or_without_tls() {
    let Some(stack) = stack().await else { return };
    let good = stack.keys.as_ref().unwrap().config("publisher", &stack.url());
    let patience = Duration::from_millis(500);
    let foreign = stack.folder().join("foreign");
    let foreign = tasklane_testkit::keys::Keys::make(&foreign);
    for (why, config) in [
        ("no key", BusConfig { nkey_file: String::new(), ..good.clone() }),
        (
            "a key nobody knows",
            BusConfig { nkey_file: foreign.config("publisher", "").nkey_file, ..good.clone() },
        ),
        (
            "a server that another authority vouches for",
            BusConfig { tls_ca_file: foreign.config("publisher", "").tls_ca_file, ..good.clone() },
        ),
    ] {
        assert!(Bus::connect(&config, "test", patience).await.is_err(), "{why}");
    }
    assert!(Bus::connect(&good, "test", PATIENCE).await.is_ok());
}

#[tokio::test]
async fn what_a_part_does_not_need_it_cannot_publish() {
    let Some(stack) = stack().await else { return };
    let (generic, publisher) = (user(&stack, "generic").await, user(&stack, "publisher").await);
    let for_workers = ["work.any.document.p2", "work.any.generic.p2", "tasks.submit.echo"];
    let for_publishers =
        ["work.any.generic.p2", "results.of-another", "dead.any", "tasks.retry", "tasks.sched.x"];
    for (client, subjects) in [(&generic, &for_workers[..]), (&publisher, &for_publishers[..])] {
        for subject in subjects {
            let stored = client.bus.store(Outgoing::new(*subject, "{}")).await;
            assert!(stored.is_err(), "{subject}: {stored:?}");
        }
    }
    for stream in [streams::TASKS, streams::WORK, streams::RESULTS, streams::DEAD] {
        assert_eq!(stack.client.messages(stream).await, Some(0), "{stream}");
        assert!(generic.bus.drop_stream(stream).await.is_err(), "{stream}");
        assert!(publisher.bus.drop_stream(stream).await.is_err(), "{stream}");
    }
    let workers = generic.bus.bucket(streams::WORKERS).await.unwrap();
    assert!(workers.put("document.forged", "x".into()).await.is_err(), "it speaks for another pool");
    let switches = generic.bus.bucket(streams::CONTROL).await.unwrap();
    assert!(switches.put("pause.document", "x".into()).await.is_err(), "it pauses a pool");
    // What is refused here is not refused to everybody.
    assert!(stack.client.bus.store(Outgoing::new("results.of-another", "{}")).await.is_ok());
}

#[tokio::test]
async fn a_worker_neither_reads_nor_acknowledges_what_is_on_anothers_lanes() {
    let Some(mut stack) = stack().await else { return };
    stack.term("document");
    stack.ended("document").await;
    let generic = user(&stack, "generic").await;
    let consumer = lane::consumer_name("document", Priority::Normal);
    let out = lane::work_subject("text_processing", "document", Priority::Normal);
    stack.client.publish(Outgoing::new(out, "a task of another pool")).await;

    let mut forbidden = Puller::open(&generic.bus, streams::WORK, &consumer).await.unwrap();
    forbidden.ask(1).await.unwrap();
    generic.bus.flush().await.unwrap();
    let load = stack.client.bus.lane(streams::WORK, &consumer).await.unwrap();
    assert_eq!((load.waiting, load.queued, load.out), (0, 1, 0), "its pull was not taken");

    // The operator may, and so holds the message; the worker's forged acknowledgement does not take it away.
    let mut allowed = Puller::open(&stack.client.bus, streams::WORK, &consumer).await.unwrap();
    allowed.ask(1).await.unwrap();
    let Pulled::Message(held) = allowed.next().await else { panic!("no message for the operator") };
    let sequence = held.place.sequence;
    let ack = format!("$JS.ACK.WORK.{consumer}.1.{sequence}.1.1.0");
    let tell = async |client: &Client| {
        client.bus.tell(ack.clone(), tasklane_bus::Headers::new(), "+ACK".into()).await.unwrap();
        client.bus.flush().await.unwrap();
    };
    tell(&generic).await;
    assert_eq!(stack.client.bus.lane(streams::WORK, &consumer).await.unwrap().out, 1);
    tell(&stack.client).await;
    wait::until("the operator's word counts", async || {
        let load = stack.client.bus.lane(streams::WORK, &consumer).await.ok()?;
        (load.out == 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn nobody_listens_to_what_is_not_for_it() {
    let Some(stack) = stack().await else { return };
    let (generic, publisher) = (user(&stack, "generic").await, user(&stack, "publisher").await);
    let mut ears = Vec::new();
    for (client, subject) in [
        (&generic, "work.>"),
        (&generic, "results.>"),
        (&generic, "_INBOX.>"),
        (&generic, "tasks.>"),
        (&generic, ">"),
        (&publisher, "work.>"),
        (&publisher, "_INBOX.operator.>"),
        (&publisher, "tasks.>"),
    ] {
        ears.push((subject, Box::pin(client.bus.listen(subject.to_owned()).await.unwrap())));
        client.bus.flush().await.unwrap();
    }
    // The operator hears all of it, and so it is there to be heard.
    let mut heard = Box::pin(stack.client.bus.listen(">".to_owned()).await.unwrap());
    stack.client.bus.flush().await.unwrap();
    let answer: Value = stack.client.api("api.run.echo", json!("a secret")).await;
    assert_eq!(answer["result"], "a secret");
    let inbox = permissions::inbox_prefix("operator");
    let mut missing =
        vec!["tasks.submit.echo", "work.basic_computation.generic.p2", "results.", inbox.as_str()];
    while !missing.is_empty() {
        let (subject, ..) = tokio::time::timeout(PATIENCE, heard.next()).await.unwrap().unwrap();
        missing.retain(|wanted| !subject.starts_with(wanted));
    }
    for client in [&generic, &publisher] {
        client.bus.flush().await.unwrap();
    }
    for (subject, mut ear) in ears {
        assert!(ear.next().now_or_never().flatten().is_none(), "{subject}");
    }
}
