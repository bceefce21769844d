//! Weighted priorities: what is urgent goes first, and what is not goes too.

use serde_json::json;
use tasklane_contract::id;
use tasklane_testkit::client::task;
use tasklane_testkit::wait::{self, PATIENCE};
use tasklane_testkit::{Options, Stack};

const PRIORITIES: [&str; 4] = ["critical", "high", "normal", "low"];
const EACH: usize = 150;

#[tokio::test]
async fn four_full_lanes_are_served_eight_to_four_to_two_to_one() {
    let options = Options::no_workers().worker("generic", &[("TASKLANE_WORKER_SLOTS", "2")]);
    let Some(stack) = Stack::start(options).await else { return };
    let client = &stack.client;
    // Both slots are taken until all lanes are full.
    let mut gates = Vec::new();
    for _ in 0..2 {
        gates.push(client.submit("error", json!({"mode": "sleep", "delay_ms": 29_000})).await);
    }
    let lane = async || {
        let lanes = client.ask("api.lanes", json!({})).await.ok()?;
        lanes["lanes"].as_array()?.iter().find(|row| row["pool"] == "generic").cloned()
    };
    wait::until("both slots are taken", async || lane().await.filter(|row| row["running"] == 2)).await;
    // The lowest first: the order of submission says nothing.
    let mut ids = Vec::new();
    for priority in PRIORITIES.iter().rev() {
        for _ in 0..EACH {
            ids.push((id::fresh(), *priority));
        }
    }
    client.submit_all(ids.iter().map(|(id, p)| task(id, "echo", json!(p), json!({"priority": p})))).await;
    let full = json!({"critical": EACH, "high": EACH, "normal": EACH, "low": EACH});
    wait::until("all lanes are full", async || lane().await.filter(|row| row["queued"] == full)).await;
    for gate in &gates {
        assert_eq!(client.api("api.task.cancel", json!({"id": gate})).await["cancelled"], true);
    }
    let mut results = client.results().await;
    let records = results.read(ids.len() + gates.len(), PATIENCE).await;
    let order: Vec<String> = records
        .iter()
        .map(tasklane_testkit::results::Record::json)
        .filter(|r| r["task_type"] == "echo")
        .map(|r| r["result"].as_str().unwrap().to_owned())
        .collect();

    // As long as all four lanes are full, shares are as 8:4:2:1. Critical runs dry first, after 150 * 15 / 8 = 281.
    let counted = 240;
    let among = |first: usize, p: &str| order[..first].iter().filter(|o| *o == p).count();
    let shares = PRIORITIES.map(|p| among(counted, p));
    for (share, weight) in shares.iter().zip([8, 4, 2, 1]) {
        let expected = counted * weight / 15;
        assert!(
            share.abs_diff(expected) <= 2 + expected / 4,
            "{shares:?} of the first {counted}; {expected} expected"
        );
    }
    // Low is slow, and never starved: there is one in every thirty or so.
    let low: Vec<usize> = (0..counted).filter(|n| order[*n] == "low").collect();
    let gaps: Vec<usize> = low.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(low[0] <= 45 && gaps.iter().all(|gap| *gap <= 45), "low at {low:?}");
}
