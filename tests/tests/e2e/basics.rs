//! A task's way from submission to result.

use futures::StreamExt as _;
use serde_json::{Value, json};
use tasklane_bus::{Headers, Outgoing, Stored};
use tasklane_contract::{Message as _, headers, id, streams, subjects, v1};
use tasklane_testkit::client::task;
use tasklane_testkit::wait::PATIENCE;
use tasklane_testkit::{Options, Stack};

#[tokio::test]
async fn a_task_in_json_is_done_and_its_result_tells_the_whole_story() {
    let Some(stack) = Stack::start(Options::default()).await else { return };
    let payload = json!({"hello": "world", "n": [1, 2.5, null, "ü"]});
    let more = json!({"tenant": "acme", "labels": {"order": "17"}});
    let id = stack.client.submit_with("echo", payload.clone(), more).await;
    let result = stack.client.result(&id).await;
    assert_eq!(result["task_id"], id);
    assert_eq!(result["task_type"], "echo");
    assert_eq!(result["status"], "succeeded");
    assert_eq!(result["result"], payload);
    assert_eq!((&result["tenant"], &result["labels"]), (&json!("acme"), &json!({"order": "17"})));
    assert_eq!(result.get("error"), None);

    let attempts = result["attempts"].as_array().unwrap();
    assert_eq!(attempts.len(), 1, "{result}");
    assert_eq!((&attempts[0]["n"], &attempts[0]["outcome"]), (&json!(1), &json!("succeeded")));
    assert_eq!(attempts[0]["worker"], stack.worker_id("generic"));
    assert!(attempts[0]["duration_ms"].as_f64().unwrap() >= 0.0);

    let route = &result["route"];
    assert_eq!(route["pool"], "generic");
    assert!(route["score"].as_f64().unwrap() > 0.5, "{route}");
    assert!(!route["reason"].as_str().unwrap().is_empty());
    assert_eq!(route["candidates"][0]["pool"], "generic");

    let time = |what: &str| result["timings"][what].as_str().unwrap_or_else(|| panic!("no {what}: {result}"));
    let (submitted, routed, finished) = (time("submitted_at"), time("routed_at"), time("finished_at"));
    let started = attempts[0]["started_at"].as_str().unwrap();
    // RFC 3339 in UTC is in the order of time as text, if the fractions are of one length.
    let micros = |text: &str| tasklane_contract::time::parse_rfc3339(text).unwrap();
    let times = [submitted, routed, started, finished].map(micros);
    assert!(times.is_sorted(), "{result}");
    assert!(result["timings"]["queue_wait_ms"].as_f64().unwrap() >= 0.0);
    assert!(result["timings"]["processing_ms"].as_f64().unwrap() >= 0.0);
}

#[tokio::test]
async fn a_bare_payload_is_a_task() {
    let Some(stack) = Stack::start(Options::default()).await else { return };
    // As `nats pub tasks.submit.echo '{"a":1}'`: no id, no header. The id is found in the stream of results.
    stack.client.publish(Outgoing::new("tasks.submit.echo", r#"{"a":1}"#)).await;
    let records = stack.client.results().await.read(1, PATIENCE).await;
    let result = records[0].json();
    assert_eq!((&result["status"], &result["result"]), (&json!("succeeded"), &json!({"a": 1})));
    assert_eq!(result["task_id"], records[0].task_id);
    assert_eq!(records[0].task_id.len(), 36, "a UUID: {}", records[0].task_id);
    // Text is no JSON, and comes back as it was.
    let out = Outgoing::new("tasks.submit.echo", "plain text")
        .header(headers::MSG_ID, "plain")
        .header(headers::CONTENT_TYPE, "text/plain");
    stack.client.publish(out).await;
    let result = stack.client.result("plain").await;
    assert_eq!(
        (&result["result"], &result["content_type"]),
        (&json!("cGxhaW4gdGV4dA=="), &json!("text/plain"))
    );
}

#[tokio::test]
async fn names_are_taken_in_camel_case() {
    let Some(stack) = Stack::start(Options::default()).await else { return };
    let more = json!({"requirements": {"required_capabilities": ["BasicComputation"]}});
    let id = stack.client.submit_with("Echo", json!(1), more).await;
    let result = stack.client.result(&id).await;
    assert_eq!((&result["status"], &result["task_type"]), (&json!("succeeded"), &json!("echo")), "{result}");
}

#[tokio::test]
async fn who_submits_protobuf_gets_protobuf() {
    let Some(stack) = Stack::start(Options::default()).await else { return };
    let task = v1::Task {
        id: "in-protobuf".to_owned(),
        task_type: "echo".to_owned(),
        payload: vec![0u8, 159, 146, 150].into(),
        content_type: "application/octet-stream".to_owned(),
        priority: v1::Priority::High.into(),
        ..v1::Task::default()
    };
    let out = Outgoing::new(subjects::SUBMIT, task.encode_to_vec())
        .header(headers::CONTENT_TYPE, headers::PROTOBUF);
    stack.client.publish(out).await;
    let record = stack.client.record("in-protobuf").await;
    assert_eq!(record.headers.get(headers::CONTENT_TYPE), Some(headers::PROTOBUF));
    let result = record.protobuf();
    assert_eq!((result.status(), &result.result), (v1::Status::Succeeded, &task.payload));
    assert_eq!((result.content_type, result.attempts.len()), (task.content_type, 1));
    // The API speaks JSON, whatever the result is stored as.
    let asked = stack.client.api("api.task.get", json!({"id": "in-protobuf"})).await;
    assert_eq!((&asked["status"], &asked["result"]), (&json!("succeeded"), &json!("AJ+Slg==")));
}

#[tokio::test]
async fn who_asks_and_waits_gets_the_result_as_the_answer() {
    let Some(stack) = Stack::start(Options::default()).await else { return };
    let client = &stack.client;
    let payload = json!({"expression": "6 * 7"});
    let answer = client.api("api.run.compute", payload).await;
    assert_eq!(
        (&answer["status"], &answer["task_type"]),
        (&json!("succeeded"), &json!("compute")),
        "{answer}"
    );
    let id = answer["task_id"].as_str().unwrap();
    assert_eq!(
        client.api("api.task.get", json!({"id": id})).await,
        answer,
        "what is stored is what was answered"
    );
    // A failure of the task is an answer too, and no error of the request.
    let answer = client.api("api.run.error", json!({"mode": "permanent", "message": "so be it"})).await;
    assert_eq!((&answer["status"], &answer["error"]["message"]), (&json!("failed"), &json!("so be it")));
    // The asker chooses id and priority as a publisher does.
    let given = Headers::new().with(headers::MSG_ID, "asked").with(headers::PRIORITY, "critical");
    let answer = client.ask_with("api.run.Echo", given, "[1]".to_owned()).await.unwrap();
    assert_eq!((&answer["task_id"], &answer["result"]), (&json!("asked"), &json!([1])));
    let (code, _) = client.ask("api.task.get", json!({"id": "nobody"})).await.unwrap_err();
    assert_eq!(code, "TL1021");
}

#[tokio::test]
async fn the_priority_of_a_bare_payload_is_a_header() {
    let Some(stack) = Stack::start(Options::default()).await else { return };
    let mut lanes = Box::pin(stack.client.bus.listen("work.>".to_owned()).await.unwrap());
    stack.client.bus.flush().await.unwrap();
    for (priority, lane) in
        [("critical", "p0"), ("high", "p1"), ("normal", "p2"), ("low", "p3"), ("High", "p1")]
    {
        let out = Outgoing::new("tasks.submit.echo", "1").header(headers::PRIORITY, priority);
        stack.client.publish(out).await;
        let coming = tokio::time::timeout(PATIENCE, lanes.next()).await.expect("nothing came on a lane");
        let (subject, _, _) = coming.unwrap();
        assert_eq!(subject, format!("work.basic_computation.generic.{lane}"), "{priority}");
    }
}

#[tokio::test]
async fn a_task_that_is_submitted_twice_is_one_task() {
    let Some(stack) = Stack::start(Options::default()).await else { return };
    let client = &stack.client;
    // The stream itself refuses the second message with an id.
    assert!(matches!(client.publish(task("once", "echo", json!(1), json!({}))).await, Stored::New { .. }));
    assert_eq!(client.publish(task("once", "echo", json!(2), json!({}))).await, Stored::Duplicate);
    assert_eq!(client.result("once").await["result"], 1);
    // Without the header both are stored, and the id in the body makes them one: the first result stands.
    let same = |n: u32| {
        Outgoing::new(subjects::SUBMIT, json!({"id": "same", "task_type": "echo", "payload": n}).to_string())
    };
    client.publish(same(1)).await;
    let first = client.result("same").await;
    client.publish(same(2)).await;
    let last = id::fresh();
    client.publish(task(&last, "echo", json!(3), json!({}))).await;
    client.record(&last).await;
    stack.at_rest().await;
    assert_eq!(client.result("same").await, first);
    let ids = ["once".to_owned(), "same".to_owned(), last];
    client.results().await.exactly_one_each(&ids, PATIENCE).await;
}

#[tokio::test]
async fn what_is_done_leaves_nothing_behind_but_its_result() {
    let Some(stack) = Stack::start(Options::default()).await else { return };
    let ids: Vec<String> = (0..50).map(|_| id::fresh()).collect();
    stack.client.submit_all(ids.iter().map(|id| task(id, "echo", json!({"id": id}), json!({})))).await;
    let records = stack.client.results().await.exactly_one_each(&ids, PATIENCE).await;
    assert!(records.iter().all(|r| r.json()["result"] == json!({"id": r.task_id})));
    stack.at_rest().await;
    assert_eq!(stack.client.messages(streams::DEAD).await, Some(0));
    let none: Value = stack.client.api("api.dead.list", json!({})).await;
    assert_eq!(none, json!({"dead": [], "next": null}));
}

#[tokio::test]
async fn what_is_larger_than_a_message_goes_through_the_object_store() {
    let Some(stack) = Stack::start(Options::default()).await else { return };
    let (client, bus) = (&stack.client, &stack.client.bus);
    // Past the server's message size of 8 MB, both ways.
    let large: Vec<u8> = (0..9u32 << 20).map(|n| (n % 251) as u8).collect();
    bus.put_object(streams::PAYLOADS, "large.bin", &mut large.as_slice()).await.unwrap();
    let body = json!({"id": "large", "task_type": "echo", "payload_ref": "obj://payloads/large.bin",
        "content_type": "application/octet-stream"});
    client.publish(Outgoing::new(subjects::SUBMIT, body.to_string())).await;
    let result = client.result("large").await;
    assert_eq!((&result["status"], result.get("result")), (&json!("succeeded"), None), "{}", result["error"]);
    let name = result["result_ref"].as_str().and_then(|r| r.strip_prefix("obj://payloads/")).unwrap();
    let stored = bus.get_object(streams::PAYLOADS, name, large.len()).await.unwrap();
    assert!(stored == large, "the object is what was echoed: {} bytes", stored.len());
    stack.at_rest().await;
}

#[tokio::test]
async fn the_result_also_goes_where_the_publisher_listens() {
    let Some(stack) = Stack::start(Options::default()).await else { return };
    let client = &stack.client;
    let mut mine = Box::pin(client.bus.listen("my.results".to_owned()).await.unwrap());
    client.bus.flush().await.unwrap();
    let out = task("heard", "echo", json!(7), json!({})).header(headers::REPLY_TO, "my.results");
    client.publish(out).await;
    let (_, _, body) = tokio::time::timeout(PATIENCE, mine.next()).await.expect("nobody told us").unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&body).unwrap(), client.result("heard").await);
    // A refusal is told as well.
    let out = Outgoing::new(subjects::SUBMIT, "{")
        .header(headers::MSG_ID, "bad")
        .header(headers::REPLY_TO, "my.results");
    client.publish(out).await;
    let (_, _, body) = tokio::time::timeout(PATIENCE, mine.next()).await.expect("nobody told us").unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&body).unwrap()["error"]["code"], "TL1001");
}
