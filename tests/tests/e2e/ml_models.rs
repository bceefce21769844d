//! Models come, are replaced and go while tasks use them: `tasklane models` against a running stack.

use std::path::Path;

use futures::future::join_all;
use serde_json::{Value, json};
use tasklane_contract::id;
use tasklane_testkit::client::task;
use tasklane_testkit::ml::{ML, expected, metric};
use tasklane_testkit::results::Record;
use tasklane_testkit::wait::{self, PATIENCE};
use tasklane_testkit::{Options, Stack, ml};
use tempfile::TempDir;

use crate::command::{Said, say};
use crate::ml_tasks::{apart, start, succeeded};

/// A stack whose service has no models but those of the object store, and where Python's are.
async fn empty() -> Option<(Stack, &'static Path, TempDir)> {
    let (models, cache) = (ml::models()?, TempDir::new().unwrap());
    let stack = Stack::start(Options::no_workers().ml("", cache.path(), &[])).await?;
    Some((stack, models, cache))
}

/// `tasklane models` with these arguments, and what its answer is.
async fn models(stack: &Stack, args: &[&str]) -> Said {
    say(stack, &[&["models", "--json"], args].concat()).await
}

async fn done(stack: &Stack, args: &[&str]) -> Value {
    let said = models(stack, args).await;
    assert_eq!(said.code, 0, "{args:?}: {}{}", said.out, said.err);
    said.json()
}

async fn push(stack: &Stack, folder: &Path, more: &[&str]) -> Value {
    done(stack, &[&["push", folder.to_str().unwrap()], more].concat()).await
}

fn ask(model: &str) -> Value {
    json!({"model": model, "input": "the quick brown fox"})
}

/// Which of these models says this of the first text.
fn who_says<'a>(models: &Path, folders: &[&'a str], vector: &Value) -> &'a str {
    let is = |folder: &&&str| apart(vector, &expected(models, folder)[0]["vector"]) < 1e-5;
    folders.iter().find(is).unwrap_or_else(|| panic!("none of {folders:?} says {vector}"))
}

const TINIES: [&str; 3] = ["tiny", "other/tiny-2", "other/tiny-replaced"];

#[tokio::test]
async fn models_are_pushed_loaded_listed_unloaded_and_pulled_and_two_versions_serve_at_once() {
    let Some((stack, folder, cache)) = empty().await else { return };
    let embed = async |model: &str| {
        let said = succeeded(stack.client.run("embed_text", ask(model)).await);
        who_says(folder, &TINIES, &said["vectors"][0])
    };
    let absent = stack.client.run("embed_text", ask("tiny")).await;
    assert_eq!(absent["error"]["code"], "TL2401", "{absent}");
    assert_eq!(push(&stack, &folder.join("tiny"), &[]).await["moved"], true);
    assert_eq!(push(&stack, &folder.join("tiny"), &[]).await["moved"], false, "it is there already");
    let loaded = done(&stack, &["load", "tiny"]).await;
    assert_eq!(loaded["workers"][0]["model"], "tiny@1", "{loaded}");
    assert_eq!(embed("tiny").await, "tiny");

    push(&stack, &folder.join("other/tiny-2"), &[]).await;
    assert_eq!((embed("tiny@2").await, embed("tiny@1").await), ("other/tiny-2", "tiny"));
    let listed = done(&stack, &["list"]).await;
    let stored: Vec<&Value> = listed["store"].as_array().unwrap().iter().map(|one| &one["model"]).collect();
    assert_eq!(stored, ["tiny@1", "tiny@2"], "{listed}");
    let held = listed["workers"][0]["models"].as_array().unwrap();
    assert!(held.len() == 2 && held.iter().all(|one| one["state"] == "loaded"), "{listed}");

    let unloaded = done(&stack, &["unload", "tiny"]).await;
    assert_eq!(unloaded["workers"][0]["unloaded"], json!(["tiny@1", "tiny@2"]));
    assert_eq!(done(&stack, &["list"]).await["workers"][0]["models"], json!([]));
    // Who asks for it has it again, and a name without a version is the newest.
    assert_eq!(embed("tiny").await, "other/tiny-2");

    let pulled = cache.path().join("pulled");
    done(&stack, &["pull", "tiny@1", pulled.to_str().unwrap()]).await;
    for file in ["model.toml", "model.safetensors", "tokenizer.json", "config.json"] {
        let read = |folder: &Path| std::fs::read(folder.join(file)).unwrap();
        assert!(read(&pulled) == read(&folder.join("tiny")), "{file}");
    }
}

#[tokio::test]
async fn a_model_that_fails_its_examples_is_refused_and_the_one_before_stays() {
    let Some((stack, folder, _cache)) = empty().await else { return };
    push(&stack, &folder.join("tiny"), &[]).await;
    done(&stack, &["load", "tiny"]).await;
    push(&stack, &folder.join("other/tiny-3"), &[]).await;
    let said = models(&stack, &["load", "tiny@3"]).await;
    let error = said.json()["workers"][0]["error"].clone();
    assert_eq!((said.code, &error["code"]), (1, &json!("TL2402")), "{}", said.out);
    let message = error["message"].as_str().unwrap();
    assert!(
        message.contains("`tiny@3` is refused: example 1 of its manifest: vectors[0][0] is"),
        "{message}"
    );
    let failed = stack.client.run("embed_text", ask("tiny@3")).await;
    assert_eq!(
        (&failed["status"], &failed["error"]["code"]),
        (&json!("failed"), &json!("TL2402")),
        "{failed}"
    );
    let said = succeeded(stack.client.run("embed_text", ask("tiny")).await);
    assert_eq!(who_says(folder, &TINIES, &said["vectors"][0]), "tiny");
    // Another one under the name of one that is there has to be meant.
    let refused = models(&stack, &["push", folder.join("other/tiny-replaced").to_str().unwrap()]).await;
    assert!(refused.code == 1 && refused.err.contains("--replace"), "{}{}", refused.out, refused.err);
}

#[tokio::test]
async fn a_model_is_replaced_and_unloaded_under_load_and_no_task_is_dropped() {
    let Some((stack, folder, _cache)) = empty().await else { return };
    let client = &stack.client;
    push(&stack, &folder.join("tiny"), &[]).await;
    done(&stack, &["load", "tiny"]).await;
    let mut ids: Vec<String> = Vec::new();
    let changes = async {
        push(&stack, &folder.join("other/tiny-2"), &[]).await;
        done(&stack, &["load", "tiny"]).await;
        done(&stack, &["unload", "tiny"]).await;
        push(&stack, &folder.join("other/tiny-replaced"), &["--replace"]).await;
        done(&stack, &["load", "tiny@1"]).await;
        done(&stack, &["unload", "tiny@1"]).await;
    };
    let mut changes = std::pin::pin!(changes);
    let mut model = ["tiny", "tiny@1"].into_iter().cycle();
    // As long as models come and go, so do tasks.
    loop {
        let some: Vec<String> = (0..50).map(|_| id::fresh()).collect();
        let tasks = some.iter().map(|id| task(id, "embed_text", ask(model.next().unwrap()), json!({})));
        client.submit_all(tasks.collect::<Vec<_>>()).await;
        let last = some[49].clone();
        ids.extend(some);
        tokio::select! {
            () = &mut changes => break,
            _ = client.record(&last) => {}
        }
    }
    let after = client.submit("embed_text", ask("tiny@1")).await;
    ids.push(after.clone());
    let records = client.results().await.exactly_one_each(&ids, PATIENCE).await;
    let mut said = Vec::new();
    for record in records.iter().map(Record::json) {
        assert_eq!(record["attempts"].as_array().unwrap().len(), 1, "nobody had to try again: {record}");
        said.push(who_says(folder, &TINIES, &succeeded(record)["vectors"][0]));
    }
    println!("{} tasks while a model was replaced twice and unloaded twice", ids.len());
    assert!(TINIES.iter().all(|one| said.contains(one)), "each of them has served");
    let after = succeeded(client.result(&after).await);
    assert_eq!(who_says(folder, &TINIES, &after["vectors"][0]), "other/tiny-replaced");
}

#[tokio::test]
async fn two_models_that_have_room_one_at_a_time_take_turns() {
    // Each has three megabytes.
    let Some(ml) = start(&[("TASKLANE_MODELS_MEMORY_MB", "5")]).await else { return };
    let name = |n: usize| ["left", "right"][n % 2];
    let check = |n: usize, said: &Value| {
        let apart = apart(&said["vectors"][0], &expected(ml.models, name(n))[0]["vector"]);
        assert!(apart < 1e-5, "{}: {apart}", name(n));
    };
    for n in 0..6 {
        check(n, &ml.run("embed_text", ask(name(n))).await);
    }
    let bytes = ml.stack.client.api("api.models.list", json!({})).await["memory"]["bytes"].as_u64().unwrap();
    assert!(bytes <= 5 << 20, "{bytes}");
    // Also where both are asked for at once: who has no room waits until the other has none to serve.
    let runs = join_all((0..60).map(|n| ml.run("embed_text", ask(name(n))))).await;
    for (n, said) in runs.iter().enumerate() {
        check(n, said);
    }
    // What can never have room is told at once.
    let refused = ml.stack.client.run("embed_text", ask("minilm")).await;
    assert_eq!(
        (&refused["status"], &refused["error"]["code"]),
        (&json!("failed"), &json!("TL2405")),
        "{refused}"
    );
    wait::until("nothing waits", async || {
        metric(ml.stack.port(ML), "tasklane_ml_waiting", "model=\"left\"").await.filter(|n| *n == 0.0)
    })
    .await;
}
