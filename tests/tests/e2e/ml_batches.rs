//! What happens between tasks that share a model: one that fails, one that hurries, one that is late; and the memory that
//! many of them leave behind.

use futures::StreamExt as _;
use futures::future::join_all;
use serde_json::{Value, json};
use tasklane_contract::{id, time};
use tasklane_testkit::client::task;
use tasklane_testkit::ml::{ML, expected, metric};
use tasklane_testkit::{Client, wait};

use crate::ml_tasks::{Served, apart, start, succeeded};

#[tokio::test]
async fn a_text_that_cannot_be_computed_fails_alone_beside_good_ones_in_one_batch() {
    // A batch waits until these are there.
    let own = [("TASKLANE_BATCH_MAX_WAIT_MS", "1000"), ("TASKLANE_BATCH_MAX_ITEMS", "5")];
    let Some(ml) = start(&own).await else { return };
    let cases = expected(ml.models, "spoilt");
    let cases = cases.as_array().unwrap();
    ml.run("embed_text", json!({"model": "spoilt", "input": ""})).await;
    let split = ml.metric("ml_batches_split_total", "spoilt").await;
    let embed = |text: Value| ml.stack.client.run("embed_text", json!({"model": "spoilt", "input": text}));
    let good = join_all(cases.iter().map(|case| embed(case["text"].clone())));
    let (good, bad) = tokio::join!(good, embed(json!("the dog")));
    assert_eq!(cases.len(), 4, "with the bad one, a full batch");
    assert_eq!(bad["error"]["code"], "TL2406", "{bad}");
    assert!(bad["error"]["message"].as_str().unwrap().contains("not a number"), "{bad}");
    for (record, case) in good.into_iter().zip(cases) {
        assert!(apart(&succeeded(record)["vectors"][0], &case["vector"]) < 1e-5, "{}", case["text"]);
    }
    assert_eq!(ml.metric("ml_batches_split_total", "spoilt").await, split + 1.0);
}

/// Waits until a task has begun.
async fn begun(client: &Client, task_type: &str, submit: impl Future<Output = String>) -> String {
    let heard = client.bus.listen(format!("events.{task_type}.*.started")).await.unwrap();
    let mut heard = Box::pin(heard);
    client.bus.flush().await.unwrap();
    let id = submit.await;
    tokio::time::timeout(wait::PATIENCE, heard.next()).await.unwrap().unwrap();
    id
}

/// Waits until so many have had their turn.
async fn turns(ml: &Served, model: &str, n: f64) {
    wait::until("it has its turn", async || {
        (ml.metric("ml_batch_wait_seconds_count", model).await >= n).then_some(())
    })
    .await;
}

fn in_ms(ms: i64) -> String {
    time::to_rfc3339(time::now_us() + ms * 1_000).unwrap()
}

#[tokio::test]
async fn an_urgent_text_overtakes_and_a_late_one_is_not_computed() {
    let own = [("TASKLANE_TORCH_THREADS", "1"), ("TASKLANE_BATCH_MAX_TOKENS", "1024")];
    let Some(ml) = start(&own).await else { return };
    let client = &ml.stack.client;
    let embed = |input: Value| json!({"model": "minilm", "input": input});
    ml.run("embed_text", embed(json!("warm"))).await;
    let many: Vec<String> = (0..48).map(|n| format!("{n} {}", "word ".repeat(300))).collect();
    let low = begun(
        client,
        "embed_text",
        client.submit_with("embed_text", embed(json!(many)), json!({"priority": "low"})),
    )
    .await;
    turns(&ml, "minilm", 5.0).await;
    let more = json!({"priority": "low", "deadline": in_ms(150)});
    let late = client.submit_with("embed_text", embed(json!("late")), more).await;
    // Batches are full without it, and when the urgent one leaves some room, its time is over.
    let late = client.result(&late).await;
    let urgent = client.submit_with("embed_text", embed(json!("now")), json!({"priority": "critical"})).await;
    let (low, urgent) = tokio::join!(client.record(&low), client.record(&urgent));
    assert!(urgent.sequence < low.sequence, "the urgent one came later and was done first");
    assert_eq!((&late["status"], &late["error"]["code"]), (&json!("expired"), &json!("TL2011")), "{late}");
    assert_eq!(succeeded(low.json())["vectors"].as_array().unwrap().len(), 48);
    succeeded(urgent.json());
    assert_eq!(
        ml.metric("ml_batch_texts_sum", "minilm").await,
        1.0 + 48.0 + 1.0,
        "the late one was not computed"
    );
}

#[tokio::test]
async fn of_calls_that_wait_the_urgent_goes_first_and_nobody_computes_what_nobody_wants() {
    let Some(ml) = start(&[]).await else { return };
    let client = &ml.stack.client;
    let call = |times: u32| json!({"model": "slow", "inputs": [times]});
    ml.run("ml_inference", call(1)).await;
    let blocker = begun(client, "ml_inference", client.submit("ml_inference", call(800))).await;
    turns(&ml, "slow", 2.0).await;
    let submit = |more: Value| client.submit_with("ml_inference", call(2), more);
    let low = join_all((0..10).map(|_| submit(json!({"priority": "low"})))).await;
    let late = submit(json!({"deadline": in_ms(200)})).await;
    let unwanted = submit(json!({})).await;
    wait::until("all wait", async || (ml.metric("ml_waiting", "slow").await >= 12.0).then_some(())).await;
    let urgent = submit(json!({"priority": "critical"})).await;
    assert_eq!(client.api("api.task.cancel", json!({"id": unwanted})).await["cancelled"], true);
    let first = client.record(&blocker).await.sequence;
    let urgent = client.record(&urgent).await;
    succeeded(urgent.json());
    for id in &low {
        let record = client.record(id).await;
        assert!(first < urgent.sequence && urgent.sequence < record.sequence, "the urgent one goes first");
        succeeded(record.json());
    }
    assert_eq!(client.result(&late).await["status"], "expired");
    assert_eq!(client.result(&unwanted).await["status"], "cancelled");
    assert_eq!(
        ml.metric("ml_batch_texts_count", "slow").await,
        1.0 + 1.0 + 10.0 + 1.0,
        "what nobody wants is not computed"
    );
}

/// Requests of the measurement; `TASKLANE_TEST_ML_REQUESTS` says how many, where it shall be more.
fn requests() -> usize {
    let told = std::env::var_os("TASKLANE_TEST_ML_REQUESTS");
    told.and_then(|n| n.to_str()?.parse().ok()).unwrap_or(2_000)
}

async fn embed_many(ml: &Served, n: usize) {
    // Lengths in no order, from nothing up to more than the model reads.
    let words = |n: usize| "fox ".repeat(n * 7919 % 80);
    let ids: Vec<String> = (0..n).map(|_| id::fresh()).collect();
    let payload = |n: usize| json!({"model": "left", "input": words(n)});
    let client = &ml.stack.client;
    client
        .submit_all(ids.iter().enumerate().map(|(n, id)| task(id, "embed_text", payload(n), json!({}))))
        .await;
    ml.stack.at_rest().await;
}

async fn resident_mb(ml: &Served) -> f64 {
    metric(ml.stack.port(ML), "process_resident_memory_bytes", "").await.unwrap() / 1e6
}

#[tokio::test]
async fn memory_stays_flat_over_requests_of_mixed_lengths() {
    let Some(ml) = start(&[]).await else { return };
    // Until every thread has its buffers.
    embed_many(&ml, 2_000).await;
    let (n, before) = (requests(), resident_mb(&ml).await);
    let mut left = n;
    while left > 0 {
        let some = left.min(10_000);
        embed_many(&ml, some).await;
        left -= some;
        println!("{} requests: {:.1} MB", n - left, resident_mb(&ml).await);
    }
    let after = resident_mb(&ml).await;
    // One tensor of the model's that stays behind of each request would be 16 KB each. It goes up and down by some 20 MB.
    let most = before + 24.0 + n as f64 * 0.4e-3;
    assert!(after < most, "from {before:.0} MB to {after:.0} MB over {n} requests");
}
