//! What is wrong is refused with its code, a result and a dead letter, and harms nobody.

use serde_json::{Value, json};
use tasklane_bus::Outgoing;
use tasklane_contract::{Message as _, headers, streams, subjects, time, v1};
use tasklane_testkit::{Client, Options, Stack, tool, wait};

/// A wrong submission, and the code it is refused with.
fn wrong() -> Vec<(&'static str, Outgoing)> {
    let text = |body: &str| Outgoing::new(subjects::SUBMIT, body.to_owned());
    let bytes = |body: &[u8]| Outgoing::new(subjects::SUBMIT, body.to_vec());
    let echo = |more: Value| {
        let mut task = json!({"task_type": "echo", "payload": 1});
        task.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        text(&task.to_string())
    };
    let of_type =
        |name: &str, payload: Value| text(&json!({"task_type": name, "payload": payload}).to_string());
    let bare =
        |name: &str, body: &str| Outgoing::new(format!("{}{name}", subjects::SUBMIT_PREFIX), body.to_owned());
    let deep = format!(r#"{{"task_type":"echo","payload":{}1{}}}"#, "[".repeat(200), "]".repeat(200));
    vec![
        ("TL1001", text(r#"{"task_type":"#)),
        ("TL1001", text("")),
        ("TL1001", text("hello")),
        ("TL1001", bare("echo", "hello")),
        ("TL1002", text(r#"{"task_type":7,"payload":1}"#)),
        ("TL1002", text("[]")),
        ("TL1002", echo(json!({"priority": "urgent"}))),
        ("TL1002", echo(json!({"labels": {"n": 1}}))),
        ("TL1002", echo(json!({"content_type": "text/plain"}))),
        ("TL1002", bare("echo", "1").header(headers::PRIORITY, "urgent")),
        ("TL1003", echo(json!({"prioritty": "high"}))),
        ("TL1003", echo(json!({"requirements": {"max_time": 1}}))),
        ("TL1004", text(r#"{"payload":1}"#)),
        ("TL1004", text(r#"{"task_type":"echo"}"#)),
        ("TL1005", bare("echo", &json!("x".repeat(2 << 20)).to_string())),
        ("TL1006", bytes(b"{\"task_type\":\"echo\",\"payload\":\"\xff\"}")),
        ("TL1007", text(&deep)),
        ("TL1008", echo(json!({"task_type": "no such type"}))),
        ("TL1008", echo(json!({"tenant": "a.b"}))),
        ("TL1008", echo(json!({"requirements": {"required_capabilities": ["a.b"]}}))),
        ("TL1008", bare("no-such-type", "1")),
        ("TL1009", echo(json!({"requirements": {"max_processing_time_ms": 0}}))),
        ("TL1009", echo(json!({"requirements": {"memory_requirement_mb": 1u64 << 40}}))),
        ("TL1009", echo(json!({"retry": {"max_attempts": 1000}}))),
        ("TL1010", of_type("error", json!({"mode": "panik"}))),
        ("TL1010", of_type("compute", json!({}))),
        ("TL1010", bare("compute", r#"{"expression": 1}"#)),
        ("TL1011", bytes(b"\xff\xff\xff").header(headers::CONTENT_TYPE, headers::PROTOBUF)),
        ("TL1012", echo(json!({"id": "a.b"}))),
        ("TL1012", echo(json!({"id": ">"}))),
        ("TL1013", echo(json!({"deadline": "tomorrow"}))),
        ("TL1013", echo(json!({"not_before": "2100-01-01T00:00:00Z"}))),
        ("TL1013", echo(json!({"not_before": "2030-01-02T00:00:00Z", "deadline": "2030-01-01T00:00:00Z"}))),
        ("TL1014", text(r#"{"task_type":"echo","payload_ref":"file:///etc/passwd"}"#)),
        ("TL1014", echo(json!({"payload_ref": "obj://documents/a"}))),
        ("TL1015", echo(json!({})).header(headers::REPLY_TO, "results.of-another")),
        ("TL1015", echo(json!({})).header(headers::REPLY_TO, "tasks.submit")),
        ("TL1015", bare("echo", "1").header(headers::REPLY_TO, "$JS.API.STREAM.DELETE.RESULTS")),
        ("TL1015", bare("echo", "1").header(headers::REPLY_TO, "mine.>")),
    ]
}

/// The dead letter of a submission, by the id in its header.
async fn letter_of(client: &Client, id: &str) -> v1::DeadLetter {
    let mut next = 1;
    loop {
        let stored = client.bus.next_on(streams::DEAD, "dead.*", next).await;
        let stored = stored.unwrap_or_else(|e| panic!("no dead letter of {id}: {e}"));
        let letter = v1::DeadLetter::decode(stored.body).unwrap();
        let in_header = letter.headers.get(headers::MSG_ID).is_some_and(|of| of == id);
        let task = letter.story.as_ref().and_then(|story| story.task.as_ref());
        if in_header || task.is_some_and(|task| task.id == id) {
            return letter;
        }
        next = stored.sequence + 1;
    }
}

#[tokio::test]
async fn what_is_wrong_has_a_code_a_result_a_dead_letter_and_a_page() {
    let Some(stack) = Stack::start(Options::default()).await else { return };
    let client = &stack.client;
    let cases = wrong();
    for (n, (_, out)) in cases.iter().enumerate() {
        client.publish(out.clone().header(headers::MSG_ID, &format!("wrong-{n}"))).await;
    }
    let mut whole = 0;
    for (n, (code, out)) in cases.iter().enumerate() {
        let id = format!("wrong-{n}");
        let shown = String::from_utf8_lossy(&out.body[..out.body.len().min(200)]).into_owned();
        let record = client.record(&id).await;
        let (status, error, attempts) =
            if headers::is_protobuf(out.headers.get(headers::CONTENT_TYPE).unwrap_or_default()) {
                let result = record.protobuf();
                let error = result.error.clone().unwrap_or_default();
                (
                    result.status(),
                    json!({"code": error.code, "message": error.message}),
                    result.attempts.len(),
                )
            } else {
                let result = record.json();
                assert_eq!(result["status"], "failed", "{shown}: {result}");
                (v1::Status::Failed, result["error"].clone(), result["attempts"].as_array().unwrap().len())
            };
        assert_eq!(
            (error["code"].as_str().unwrap(), status, attempts),
            (*code, v1::Status::Failed, 0),
            "{shown}: {error}"
        );
        let message = error["message"].as_str().unwrap();
        assert!(message.len() > 10 && message.len() < 2_000, "{shown}: {message}");

        let letter = letter_of(client, &id).await;
        match letter.story.and_then(|story| story.task) {
            // What could be read and is only not accepted can be replayed, for schemas change.
            Some(task) => {
                let payload = String::from_utf8(task.payload.to_vec()).unwrap();
                assert!(String::from_utf8_lossy(&out.body).contains(&payload), "{shown}: {payload}");
                whole += 1;
            }
            None => assert_eq!(letter.raw, out.body, "{shown}: the letter has the raw bytes"),
        }
        assert_eq!(
            (letter.subject.as_str(), letter.error.unwrap().code.as_str()),
            (out.subject.as_str(), *code)
        );
        let page = tool::repository().join(format!("docs/errors/{code}.md"));
        let page = std::fs::read_to_string(&page).unwrap_or_else(|e| panic!("{}: {e}", page.display()));
        assert!(page.contains(code), "the page of {code} names it");
    }
    stack.at_rest().await;
    assert_eq!(client.messages(streams::DEAD).await, Some(cases.len() as u64));
    // What nobody could read cannot be replayed; the rest fails as it did.
    let listed = client.api("api.dead.list", json!({"limit": 1000})).await;
    let replayable =
        listed["dead"].as_array().unwrap().iter().filter(|letter| letter["replayable"] == true).count();
    assert!(replayable == whole && (1..6).contains(&whole), "{whole}: {listed}");
    let asked = client.api("api.dead.replay", json!({"all": true})).await;
    let (replayed, refused) = (asked["replayed"].as_array().unwrap(), asked["refused"].as_array().unwrap());
    assert_eq!((replayed.len(), refused.len()), (whole, cases.len() - whole), "{asked}");
    for one in replayed {
        let result = client.result(one["new_task_id"].as_str().unwrap()).await;
        assert!(
            ["TL1010", "succeeded"]
                .iter()
                .any(|how| *how == result["error"]["code"] || *how == result["status"]),
            "{result}"
        );
    }
    assert_eq!(client.run("echo", json!(1)).await["status"], "succeeded");
}

#[tokio::test]
async fn a_type_that_nobody_serves_is_refused_at_once_to_who_waits_and_expires_for_who_does_not() {
    let Some(stack) = Stack::start(Options::default()).await else { return };
    let client = &stack.client;
    let (code, text) = client.ask("api.run.ecko", json!(1)).await.unwrap_err();
    assert_eq!(code, "TL4002");
    assert!(text.contains("echo"), "it says what may have been meant: {text}");
    let deadline = time::to_rfc3339(time::now_us() + 2_000_000);
    let id = client.submit_with("ecko", json!(1), json!({"deadline": deadline})).await;
    let result = client.result(&id).await;
    assert_eq!(
        (&result["status"], &result["error"]["code"]),
        (&json!("expired"), &json!("TL4002")),
        "{result}"
    );
    assert!(result["error"]["message"].as_str().unwrap().contains("echo"), "{result}");
    // Who waits is told of every other mistake as well.
    let (code, _) = client.ask("api.run.error", json!({"mode": "panik"})).await.unwrap_err();
    assert_eq!(code, "TL1010");
    let (code, _) =
        client.ask_with("api.run.echo", tasklane_bus::Headers::new(), "{".to_owned()).await.unwrap_err();
    assert_eq!(code, "TL1001");
}

#[tokio::test]
async fn garbage_where_only_we_write_becomes_a_dead_letter_and_harms_nobody() {
    let Some(stack) = Stack::start(Options::default()).await else { return };
    let client = &stack.client;
    let lanes = ["work.basic_computation.generic.p0", "work.basic_computation.generic.p3", "work.any._.p2"];
    // The empty message is one that protobuf can read: an envelope without a task.
    let bodies: [&[u8]; 3] = [b"", b"\xff\xfe garbage", b"{}"];
    let mut sent = 0;
    for subject in lanes.iter().chain(&[subjects::RETRY]) {
        for body in bodies {
            client.publish(Outgoing::new(*subject, body.to_vec())).await;
            sent += 1;
        }
    }
    assert_eq!(client.run("echo", json!("well")).await["result"], "well");
    client.at_least(streams::DEAD, sent, wait::PATIENCE).await;
    stack.at_rest().await;
    let listed = client.api("api.dead.list", json!({"limit": 1000})).await;
    let listed = listed["dead"].as_array().unwrap().clone();
    assert_eq!(listed.len() as u64, sent, "one letter each");
    assert!(listed.iter().all(|letter| letter["error"]["code"] == "TL9003"), "{listed:?}");
}
