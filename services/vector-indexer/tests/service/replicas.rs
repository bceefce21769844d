//! Several processes that follow one log.

use serde_json::json;
use tasklane_testkit::client;

use crate::rig::{Rig, point, points, vector};

#[tokio::test(flavor = "multi_thread")]
async fn replicas_follow_one_log_and_read_what_was_just_written() {
    let Some(mut rig) = Rig::start(&["one", "two"]).await else { return };
    rig.create("docs", 4).await;
    let mut last = 0;
    for n in 0..40 {
        let sequence = rig.put("docs", json!([point(n)])).await;
        assert!(sequence > last);
        last = sequence;
        // Whichever replica answers has it.
        let search = json!({"collection": "docs", "vector": vector(n), "top_k": 1, "min_sequence": sequence});
        let found = rig.done("vector_search", search).await;
        assert_eq!(found["hits"][0]["id"], format!("p{n:05}"), "{found}");
    }
    rig.everywhere(2, "docs", last, 40).await;

    // One that comes later, and one that comes back, get all of it; also what was dropped meanwhile.
    rig.stack.kill9("two");
    rig.create("more", 4).await;
    rig.put("more", points(0..100)).await;
    rig.done("vector_collections", json!({"action": "drop", "collection": "docs"})).await;
    let last = rig.put("more", points(100..200)).await;
    rig.stack.start_again("two").await;
    rig.indexer("three", &[]).await;
    rig.everywhere(3, "more", last, 200).await;
    for replica in rig.replicas(3).await {
        assert_eq!(replica["collections"].as_array().unwrap().len(), 1, "{replica}");
        assert_eq!((&replica["caught_up"], &replica["behind"]), (&json!(true), &json!(0)), "{replica}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_goes_and_comes_is_followed_again() {
    let Some(mut rig) = Rig::start(&["one"]).await else { return };
    rig.create("docs", 4).await;
    rig.put("docs", points(0..10)).await;
    rig.stack.kill9_nats();
    rig.stack.start_nats_again().await;
    let payload = json!({"collection": "docs", "points": points(10..20)});
    let task = client::task("again", "vector_indexing", payload, json!({}));
    rig.stack.client.bus.store_surely(task).await.unwrap();
    let result = rig.stack.client.result("again").await;
    let last = result["result"]["sequence"].as_u64().unwrap_or_else(|| panic!("{result}"));
    rig.everywhere(1, "docs", last, 20).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_comes_twice_is_stored_once() {
    let Some(rig) = Rig::start(&["one"]).await else { return };
    rig.create("docs", 4).await;
    let bus = &rig.stack.client.bus;
    let id = bus.subjects("VECTORS", "vectors.*", 10).await.unwrap();
    assert!(id.is_empty());
    let upsert = |n: usize| {
        tasklane_vector_indexer::ops::Kind::Upsert(tasklane_vector_indexer::ops::Upsert {
            id: format!("p{n}"),
            vector: vector(n),
            text: None,
            metadata: String::new(),
        })
    };
    let described = rig.done("vector_collections", json!({"action": "describe", "collection": "docs"})).await;
    let id = described["id"].as_str().unwrap();
    let first = tasklane_vector_indexer::log::write(bus, id, "task", (0..5).map(upsert)).await.unwrap();
    let second = tasklane_vector_indexer::log::write(bus, id, "task", (0..5).map(upsert)).await.unwrap();
    assert_eq!(first, second);
    assert_eq!(bus.subjects("VECTORS", "vectors.*", 10).await.unwrap()[0].1, 1);
    assert_eq!(rig.ids("docs", second).await.len(), 5);
}
