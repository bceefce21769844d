//! Failures: what is tried again, what is given up, and what can be done with it then.

use serde_json::{Value, json};
use tasklane_contract::{streams, time};
use tasklane_testkit::{Client, Options, Stack};

fn quick() -> Options {
    Options::no_workers().worker("generic", &[("TASKLANE_WORKER_RETRY_BASE_MS", "100")])
}

/// What the attempts ended with: outcome and code of each.
fn story(result: &Value) -> Vec<(String, Option<String>)> {
    let text = |v: &Value| v.as_str().map(str::to_owned);
    let attempts = result["attempts"].as_array().expect("a result tells its attempts");
    attempts.iter().map(|a| (text(&a["outcome"]).unwrap(), text(&a["error"]["code"]))).collect()
}

fn tried(outcome: &str, code: &str) -> (String, Option<String>) {
    (outcome.to_owned(), Some(code.to_owned()))
}

fn started_us(result: &Value, attempt: usize) -> i64 {
    time::parse_rfc3339(result["attempts"][attempt]["started_at"].as_str().unwrap()).unwrap()
}

async fn only_letter(client: &Client, id: &str) -> Value {
    let listed = client.api("api.dead.list", json!({})).await;
    let of_it: Vec<Value> =
        listed["dead"].as_array().unwrap().iter().filter(|letter| letter["task_id"] == id).cloned().collect();
    assert_eq!(of_it.len(), 1, "one dead letter of {id}: {listed}");
    of_it[0].clone()
}

#[tokio::test]
async fn a_task_that_fails_once_succeeds_the_second_time_and_both_are_told() {
    let Some(stack) = Stack::start(quick()).await else { return };
    let result = stack.client.run("error", json!({"mode": "flaky", "message": "not yet"})).await;
    assert_eq!(
        (&result["status"], &result["result"]["attempt"]),
        (&json!("succeeded"), &json!(2)),
        "{result}"
    );
    assert_eq!(story(&result), [tried("retried", "TL3001"), ("succeeded".to_owned(), None)]);
    assert_eq!(result["attempts"][0]["error"]["message"], "not yet");
    assert_eq!((&result["attempts"][0]["n"], &result["attempts"][1]["n"]), (&json!(1), &json!(2)));
    stack.at_rest().await;
    assert_eq!(stack.client.messages(streams::DEAD).await, Some(0));
}

#[tokio::test]
async fn what_is_put_off_comes_back_without_an_attempt_that_counts_until_its_deadline() {
    let Some(stack) = Stack::start(quick()).await else { return };
    let client = &stack.client;
    let only_one = json!({"retry": {"max_attempts": 1}});
    let in_a_second = time::to_rfc3339(time::now_us() + 1_000_000).unwrap();
    let payload = json!({"mode": "put_off", "until": in_a_second, "retry_after_ms": 150});
    let id = client.submit_with("error", payload, only_one).await;
    let in_half_a_second = time::to_rfc3339(time::now_us() + 500_000).unwrap();
    let payload = json!({"mode": "put_off", "until": "2999-01-01T00:00:00Z", "retry_after_ms": 150});
    let late = client.submit_with("error", payload, json!({"deadline": in_half_a_second})).await;
    let result = client.result(&id).await;
    assert_eq!(
        (&result["status"], &result["result"]["attempt"]),
        (&json!("succeeded"), &json!(1)),
        "{result}"
    );
    assert_eq!(story(&result), [("succeeded".to_owned(), None)]);
    let late = client.result(&late).await;
    assert_eq!((&late["status"], &late["error"]["code"]), (&json!("expired"), &json!("TL2011")), "{late}");
}

#[tokio::test]
async fn a_permanent_failure_is_given_up_at_once() {
    let Some(stack) = Stack::start(quick()).await else { return };
    let id = stack.client.submit("error", json!({"mode": "permanent", "message": "no such page"})).await;
    let result = stack.client.result(&id).await;
    assert_eq!((&result["status"], &result["error"]["code"]), (&json!("failed"), &json!("TL2001")));
    assert_eq!(result["error"]["message"], "no such page");
    assert_eq!(story(&result), [tried("failed", "TL2001")]);
    // Whoever sees the result finds the letter.
    let letter = only_letter(&stack.client, &id).await;
    assert_eq!((&letter["error"]["code"], &letter["replayable"]), (&json!("TL2001"), &json!(true)));
}

#[tokio::test]
async fn attempts_are_used_up_and_as_many_as_the_publisher_says() {
    let Some(stack) = Stack::start(quick()).await else { return };
    let client = &stack.client;
    let id = client.submit("error", json!({"mode": "retriable", "message": "down"})).await;
    let more = json!({"retry": {"max_attempts": 5}});
    let patient = client.submit_with("error", json!({"mode": "flaky", "fail_attempts": 4}), more).await;
    let result = client.result(&id).await;
    assert_eq!(
        (&result["status"], &result["error"]["code"]),
        (&json!("failed"), &json!("TL2002")),
        "{result}"
    );
    let message = result["error"]["message"].as_str().unwrap();
    assert!(message.contains("3 of 3") && message.contains("down"), "{message}");
    assert_eq!(
        story(&result),
        [tried("retried", "TL3001"), tried("retried", "TL3001"), tried("failed", "TL3001")]
    );
    only_letter(client, &id).await;
    let result = client.result(&patient).await;
    assert_eq!((&result["status"], story(&result).len()), (&json!("succeeded"), 5), "{result}");
}

#[tokio::test]
async fn a_handlers_own_wish_when_to_be_tried_again_is_kept() {
    let Some(stack) = Stack::start(quick()).await else { return };
    let result = stack.client.run("error", json!({"mode": "flaky", "retry_after_ms": 2_000})).await;
    let waited_ms = (started_us(&result, 1) - started_us(&result, 0)) / 1000;
    assert!((2_000..12_000).contains(&waited_ms), "{waited_ms} ms: {result}");
}

#[tokio::test]
async fn a_panic_ends_the_attempt_and_nothing_else() {
    let Some(stack) = Stack::start(quick()).await else { return };
    let client = &stack.client;
    let neighbour = client.submit("error", json!({"mode": "sleep", "delay_ms": 1_000})).await;
    let more = json!({"retry": {"max_attempts": 2}});
    let id = client.submit_with("error", json!({"mode": "panic", "message": "oh no"}), more).await;
    let result = client.result(&id).await;
    assert_eq!(story(&result), [tried("retried", "TL3003"), tried("failed", "TL3003")], "{result}");
    assert_eq!(result["error"]["code"], "TL2002");
    assert!(result["error"]["message"].as_str().unwrap().contains("oh no"), "{result}");
    let result = client.result(&neighbour).await;
    assert_eq!((&result["status"], story(&result).len()), (&json!("succeeded"), 1), "the neighbour is well");
}

#[tokio::test]
async fn an_attempt_that_takes_too_long_is_ended() {
    let Some(stack) = Stack::start(quick()).await else { return };
    let more = json!({"retry": {"max_attempts": 2}, "requirements": {"max_processing_time_ms": 300}});
    let id = stack.client.submit_with("error", json!({"mode": "timeout"}), more).await;
    let result = stack.client.result(&id).await;
    assert_eq!(story(&result), [tried("retried", "TL3002"), tried("failed", "TL3002")], "{result}");
    assert_eq!(result["error"]["code"], "TL2002");
    for attempt in result["attempts"].as_array().unwrap() {
        let ms = attempt["duration_ms"].as_f64().unwrap();
        assert!((300.0..5_000.0).contains(&ms), "{ms} ms");
    }
}

#[tokio::test]
async fn a_dead_letter_is_found_shown_and_replayed_once_its_cause_is_mended() {
    let Some(stack) = Stack::start(quick()).await else { return };
    let client = &stack.client;
    // The task names an object that somebody forgot to put there.
    let id = "forgotten";
    let body = json!({"id": id, "task_type": "echo", "payload_ref": "obj://documents/forgotten.json",
        "labels": {"order": "17"}});
    client.publish(tasklane_bus::Outgoing::new("tasks.submit", body.to_string())).await;
    let result = client.result(id).await;
    assert_eq!(
        (&result["status"], &result["error"]["code"]),
        (&json!("failed"), &json!("TL1014")),
        "{result}"
    );

    let letter = only_letter(client, id).await;
    let sequence = letter["sequence"].clone();
    let shown = client.api("api.dead.show", json!({"sequence": sequence})).await;
    assert_eq!((&shown["task_id"], &shown["task_type"]), (&json!(id), &json!("echo")));
    assert_eq!(shown["attempts"][0]["outcome"], "failed", "{shown}");
    assert_eq!(shown["route"]["pool"], "generic");

    client.bus.put_object(streams::DOCUMENTS, "forgotten.json", &mut &b"{\"found\":true}"[..]).await.unwrap();
    let replay = client.api("api.dead.replay", json!({"sequences": [sequence]})).await;
    assert_eq!(replay["refused"], json!([]), "{replay}");
    assert_eq!(replay["replayed"][0]["task_id"], id);
    let new = replay["replayed"][0]["new_task_id"].as_str().unwrap();
    assert_ne!(new, id);
    let result = client.result(new).await;
    assert_eq!(
        (&result["status"], &result["result"]),
        (&json!("succeeded"), &json!({"found": true})),
        "{result}"
    );
    assert_eq!(result["labels"], json!({"order": "17", "replay_of": id}));

    // The letter is gone; nobody replays it a second time by accident.
    assert_eq!(client.api("api.dead.list", json!({})).await["dead"], json!([]));
    let again = client.api("api.dead.replay", json!({"sequences": [sequence]})).await;
    assert_eq!(again["replayed"], json!([]));
    assert!(again["refused"][0]["why"].as_str().unwrap().contains("TL1021"), "{again}");
    let (code, _) = client.ask("api.dead.show", json!({"sequence": sequence})).await.unwrap_err();
    assert_eq!(code, "TL1021");
}

#[tokio::test]
async fn dead_letters_are_listed_page_by_page_and_replayed_by_type() {
    let Some(stack) = Stack::start(quick()).await else { return };
    let client = &stack.client;
    for _ in 0..3 {
        client.run("error", json!({"mode": "permanent"})).await;
    }
    client.run("compute", json!({"expression": "1 +"})).await;
    let page = client.api("api.dead.list", json!({"limit": 2})).await;
    assert_eq!(page["dead"].as_array().unwrap().len(), 2);
    let rest = client.api("api.dead.list", json!({"limit": 2, "after": page["next"]})).await;
    assert_eq!((rest["dead"].as_array().unwrap().len(), &rest["next"]), (2, &json!(null)));
    let of_type = client.api("api.dead.list", json!({"task_type": "compute"})).await;
    assert_eq!(of_type["dead"].as_array().unwrap().len(), 1, "{of_type}");
    let replay = client.api("api.dead.replay", json!({"task_type": "error"})).await;
    let replayed = replay["replayed"].as_array().unwrap();
    assert_eq!(replayed.len(), 3, "{replay}");
    for one in replayed {
        let result = client.result(one["new_task_id"].as_str().unwrap()).await;
        assert_eq!(result["error"]["code"], "TL2001", "it fails as it did");
    }
    let dead = client.api("api.dead.list", json!({})).await;
    assert_eq!(dead["dead"].as_array().unwrap().len(), 4, "the replays died as well: {dead}");
}
