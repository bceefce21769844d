//! The `tasklane` command against a running stack, as a user and as a script would call it.

use std::process::{Output, Stdio};

use serde_json::{Value, json};
use tasklane_testkit::wait::PATIENCE;
use tasklane_testkit::{Options, Stack, child, tool};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;

/// The command with a connection to the stack, and no other setting.
fn tasklane(stack: &Stack, args: &[&str]) -> Command {
    let mut command = Command::from(child::command(tool::ours("tasklane")));
    command.env("TASKLANE_NATS_URL", stack.url()).args(args).stdin(Stdio::null()).kill_on_drop(true);
    command
}

pub struct Said {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Said {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("{e}: {}{}", self.out, self.err))
    }
}

pub async fn say(stack: &Stack, args: &[&str]) -> Said {
    let ended = tokio::time::timeout(PATIENCE, tasklane(stack, args).output()).await;
    let Output { status, stdout, stderr } =
        ended.unwrap_or_else(|_| panic!("tasklane {args:?} does not end")).unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let code = status.code().unwrap_or_else(|| panic!("tasklane {args:?} was killed"));
    Said { code, out: text(stdout), err: text(stderr) }
}

#[tokio::test]
async fn run_uploads_a_file_waits_and_ends_as_the_task_did() {
    let options = Options::default().service("document", "tasklane-document", &[]);
    let Some(stack) = Stack::start(options).await else { return };
    let file = tool::repository().join("examples/documents/keepers-handbook.md");
    let said = say(&stack, &["run", "document_analysis", file.to_str().unwrap()]).await;
    let record = said.json();
    assert_eq!((said.code, &record["status"]), (0, &json!("succeeded")), "{}{}", said.out, said.err);
    assert_eq!(record["result"]["format"], "markdown");

    let said = say(&stack, &["run", "compute", r#"{"expression": "6 * 7"}"#]).await;
    assert_eq!((said.code, &said.json()["result"]["value"]), (0, &json!(42)));
    let said = say(&stack, &["run", "error", r#"{"mode": "permanent", "message": "no such luck"}"#]).await;
    assert_eq!((said.code, &said.json()["error"]["message"]), (1, &json!("no such luck")));
    for wrong in [
        &["run", "compute", "{"][..],
        &["run", "compute", r#"{"expresion": "1"}"#],
        &["run", "echo", "1", "--priority", "urgent"],
    ] {
        let said = say(&stack, wrong).await;
        assert!(
            [1, 2].contains(&said.code) && !said.err.is_empty() || said.json()["error"]["code"] == "TL1010",
            "{wrong:?}: {} {}{}",
            said.code,
            said.out,
            said.err
        );
    }
}

#[tokio::test]
async fn a_task_is_submitted_looked_at_cancelled_and_its_letter_replayed() {
    let Some(stack) = Stack::start(Options::default()).await else { return };
    let said = say(&stack, &["submit", "echo", r#"{"light":"on"}"#, "--priority", "high"]).await;
    let id = said.out.trim().to_owned();
    assert_eq!((said.code, id.len()), (0, 36), "{}{}", said.out, said.err);
    let record = say(&stack, &["result", &id, "--wait", "30s"]).await;
    assert_eq!((record.code, &record.json()["result"]), (0, &json!({"light": "on"})));
    assert_eq!(say(&stack, &["result", "nobody"]).await.code, 5);

    let said = say(&stack, &["submit", "error", r#"{"mode":"sleep","delay_ms":60000}"#]).await;
    let long = said.out.trim().to_owned();
    assert_eq!(say(&stack, &["cancel", &long]).await.code, 0);
    let record = say(&stack, &["result", &long, "--wait", "30s"]).await;
    assert_eq!((record.code, &record.json()["status"]), (3, &json!("cancelled")));
    assert_eq!(say(&stack, &["cancel", &long]).await.code, 1, "it has ended before");

    assert_eq!(say(&stack, &["run", "error", r#"{"mode":"permanent"}"#]).await.code, 1);
    let listed = say(&stack, &["dead", "list", "--json"]).await.json();
    assert_eq!(listed["dead"].as_array().unwrap().len(), 1, "{listed}");
    let number = listed["dead"][0]["sequence"].to_string();
    let shown = say(&stack, &["dead", "show", &number]).await;
    assert!(shown.code == 0 && shown.out.contains("TL2001"), "{}{}", shown.out, shown.err);
    let replayed = say(&stack, &["dead", "replay", &number]).await;
    assert!(
        replayed.code == 0 && replayed.out.contains("submitted again"),
        "{}{}",
        replayed.out,
        replayed.err
    );
    assert_eq!(say(&stack, &["dead", "show", "999"]).await.code, 1);
}

#[tokio::test]
async fn an_operator_sees_workers_lanes_decisions_and_what_is_wrong() {
    let Some(stack) = Stack::start(Options::default()).await else { return };
    let workers = say(&stack, &["workers"]).await;
    assert!(workers.code == 0 && workers.out.contains(&stack.worker_id("generic")), "{}", workers.out);
    let types = say(&stack, &["workers", "--types"]).await;
    assert!(["echo", "compute", "error"].iter().all(|t| types.out.contains(t)), "{}", types.out);
    let lanes = say(&stack, &["lanes"]).await;
    assert!(
        lanes.code == 0 && lanes.out.contains("generic") && lanes.out.contains("RESULTS"),
        "{}",
        lanes.out
    );
    let top = say(&stack, &["top"]).await;
    assert!(top.code == 0 && top.out.contains("queued"), "{}", top.out);

    let decision = say(&stack, &["explain", "echo"]).await;
    assert!(decision.code == 0 && decision.out.contains("generic"), "{}{}", decision.out, decision.err);
    let nobody = say(&stack, &["explain", "ech_o"]).await;
    assert!(nobody.code == 1 && nobody.out.contains("did you mean `echo`"), "{}{}", nobody.out, nobody.err);

    assert_eq!(say(&stack, &["pause", "generic"]).await.code, 0);
    assert_eq!(say(&stack, &["explain", "echo"]).await.code, 1, "its only pool is paused");
    assert_eq!(say(&stack, &["resume", "generic"]).await.code, 0);

    let doctor = say(&stack, &["doctor", "--json"]).await;
    let checks = doctor.json()["checks"].clone();
    let level = |what: &str| {
        let found = checks.as_array().unwrap().iter().find(|check| check["check"] == what);
        found.unwrap_or_else(|| panic!("no {what}: {checks}"))["level"].clone()
    };
    for what in ["nats", "jetstream", "streams", "router"] {
        assert_eq!(level(what), "ok", "{checks}");
    }
    // What the doctor looks at is what the service reads.
    let named = "TASKLANE_PARSER_PDFIUM_LIBRARY";
    let said = child::command(tool::ours("tasklane-document")).arg("--print-variables").output().unwrap();
    assert!(String::from_utf8(said.stdout).unwrap().contains(named));
    let mut lost = tasklane(&stack, &["doctor"]);
    let ended = lost.env(named, "/nowhere/libpdfium.so").output().await.unwrap();
    let text = String::from_utf8(ended.stdout).unwrap();
    assert!(text.contains(&format!("{named} names /nowhere/libpdfium.so, which is no file")), "{text}");

    let mut unreachable = tasklane(&stack, &["doctor"]);
    let ended = unreachable.env("TASKLANE_NATS_URL", "nats://127.0.0.1:1").output().await.unwrap();
    assert_eq!(ended.status.code(), Some(1));
    assert!(String::from_utf8(ended.stdout).unwrap().contains("start"), "it says how to mend it");
}

#[tokio::test]
async fn watching_tells_what_happens_and_ends_with_the_result() {
    let Some(stack) = Stack::start(Options::default()).await else { return };
    let mut watching = tasklane(&stack, &["watch", "w-1", "--json"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(watching.stdout.take().unwrap()).lines();
    let payload = r#"{"mode":"sleep","delay_ms":300}"#;
    assert_eq!(say(&stack, &["submit", "error", payload, "--id", "w-1"]).await.code, 0);
    let mut told = Vec::new();
    let reading = async {
        while let Some(line) = lines.next_line().await.unwrap() {
            told.push(line);
        }
    };
    tokio::time::timeout(PATIENCE, reading).await.unwrap_or_else(|_| panic!("watching does not end"));
    let code = watching.wait().await.unwrap().code();
    let last: Value = serde_json::from_str(told.last().unwrap()).unwrap();
    assert!(last.to_string().contains("w-1"), "{told:?}");
    assert_eq!(code, Some(if last.to_string().contains("succeeded") { 0 } else { 1 }), "{told:?}");
}
