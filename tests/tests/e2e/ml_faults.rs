//! Faults of the ml service: it is killed, and a model kills it.

use serde_json::json;
use tasklane_contract::{id, streams};
use tasklane_testkit::Options;
use tasklane_testkit::client::task;
use tasklane_testkit::ml::ML;
use tasklane_testkit::results::Record;
use tasklane_testkit::wait::PATIENCE;

use crate::ml_tasks::{Served, start_with};

/// Tasks of a stack that is killed under them.
const TASKS: usize = 2_000;

/// A stack that soon sees that a worker is silent.
async fn alert(slots: &str) -> Option<Served> {
    let own = [("TASKLANE_WORKER_ACK_WAIT_MS", "2000"), ("TASKLANE_WORKER_SLOTS", slots)];
    start_with(Options::no_workers().router_env("TASKLANE_STREAMS_ACK_WAIT_MS", "2000"), &own).await
}

#[tokio::test]
async fn a_killed_service_loses_nothing_and_repeats_nothing() {
    let Some(mut ml) = alert("64").await else { return };
    let client = ml.stack.client.clone();
    let ids: Vec<String> = (0..TASKS).map(|_| id::fresh()).collect();
    let payload = |n: usize| json!({"model": "tiny", "input": "fox ".repeat(n % 60)});
    let tasks = ids.iter().enumerate().map(|(n, id)| task(id, "embed_text", payload(n), json!({})));
    let fault = async {
        client.at_least(streams::RESULTS, 300, PATIENCE).await;
        ml.stack.kill9(ML);
        let done = client.messages(streams::RESULTS).await.unwrap();
        assert!(done < TASKS as u64, "the tasks were done before the fault could come");
        ml.stack.start_again(ML).await;
    };
    tokio::join!(client.submit_all(tasks), fault);
    let records = client.results().await.exactly_one_each(&ids, PATIENCE).await;
    let results: Vec<_> = records.iter().map(Record::json).collect();
    for result in &results {
        assert_eq!(
            (&result["status"], &result["result"]["dimensions"]),
            (&json!("succeeded"), &json!(32)),
            "{result}"
        );
    }
    let lost = |r: &&serde_json::Value| r["attempts"][0]["outcome"] == "lost";
    assert!(results.iter().any(|r| lost(&r)), "it was killed with tasks in hand");
    ml.stack.at_rest().await;
}

#[tokio::test]
async fn a_model_that_ends_the_process_each_time_ends_as_a_dead_letter_and_its_neighbours_succeed() {
    let Some(mut ml) = alert("8").await else { return };
    let client = ml.stack.client.clone();
    let call = |x: f32| json!({"model": "breaks", "inputs": [[x]]});
    assert_eq!(ml.run("ml_inference", call(0.0)).await["output"]["values"], json!([0.0]));
    let killer = id::fresh();
    let neighbours: Vec<String> = (0..40).map(|_| id::fresh()).collect();
    let mut tasks: Vec<_> = neighbours
        .iter()
        .map(|id| task(id, "embed_text", json!({"model": "tiny", "input": "fox"}), json!({})))
        .collect();
    tasks.insert(4, task(&killer, "ml_inference", call(1.0), json!({})));
    client.submit_all(tasks).await;
    let mut deaths = 0;
    let result = loop {
        tokio::select! {
            result = client.result(&killer) => break result,
            status = ml.stack.ended(ML) => {
                assert!(!status.success());
                deaths += 1;
                ml.stack.launch_again(ML);
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
    for id in &neighbours {
        assert_eq!(client.result(id).await["status"], "succeeded", "an innocent neighbour");
    }
    let letters = client.api("api.dead.list", json!({})).await;
    let letters = letters["dead"].as_array().unwrap();
    assert_eq!(letters.len(), 1, "{letters:?}");
    assert_eq!(letters[0]["task_id"], killer);
    ml.stack.at_rest().await;
}
