//! Snapshots: taken while points are put, the log let go of, replicas that begin with one, restoring.

use serde_json::{Value, json};
use tasklane_testkit::wait;
use tasklane_vector_indexer::log;
use tasklane_vector_indexer::ops::{Kind, Upsert};

use crate::rig::{self, Rig, points};

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_lets_go_of_the_log_and_a_new_replica_begins_with_it() {
    let Some(mut rig) = Rig::start(&["one"]).await else { return };
    rig.create("docs", 4).await;
    rig.put("docs", points(0..500)).await;
    let last =
        rig.done("vector_delete", json!({"collection": "docs", "filter": {"even": true}})).await["sequence"]
            .as_u64()
            .unwrap();
    assert_eq!(rig.ids("docs", last).await.len(), 250);
    // Points are put while it is taken.
    let take = rig.done("vector_snapshot", json!({"action": "take", "collection": "docs"}));
    let putting = async {
        let mut sequence = 0;
        for n in 5..15 {
            sequence = rig.put("docs", points(n * 100..n * 100 + 100)).await;
        }
        sequence
    };
    let (taken, last) = tokio::join!(take, putting);
    let sequence = taken["sequence"].as_u64().unwrap();
    assert!(sequence <= last && taken["bytes"].as_u64().unwrap() > 0, "{taken}");
    wait::until("the log is let go of", async || {
        let first = rig.stack.client.bus.stream_load("VECTORS").await.ok()?.first;
        (first > sequence).then_some(())
    })
    .await;
    rig.indexer("two", &[]).await;
    rig.everywhere(2, "docs", last, 1_250).await;

    // One that lost its folder, and one whose folder is damaged, come back from it.
    for name in ["one", "two"] {
        rig.stack.kill9(name);
    }
    std::fs::remove_dir_all(rig.folder_of("one")).unwrap();
    damage(&rig.folder_of("two"));
    for name in ["one", "two"] {
        rig.stack.start_again(name).await;
    }
    rig.everywhere(2, "docs", last, 1_250).await;
    let listed = rig.done("vector_snapshot", json!({"action": "list", "collection": "docs"})).await;
    assert_eq!(listed["snapshots"].as_array().unwrap().len(), 1, "{listed}");

    let name = taken["snapshot"].as_str().unwrap();
    restore(&rig, name, sequence, last).await;
}

async fn restore(rig: &Rig, snapshot: &str, sequence: u64, last: u64) {
    let at: Vec<Value> = rig.points("docs", last, &json!({})).await;
    let restore = |into: Option<&str>| {
        let mut payload = json!({"action": "restore", "collection": "docs", "snapshot": snapshot});
        if let Some(into) = into {
            payload["into"] = into.into();
        }
        payload
    };
    let copied = rig.done("vector_snapshot", restore(Some("copy"))).await;
    let count = copied["points"].as_u64().unwrap();
    assert!((250..=1_250).contains(&count) && copied["sequence"].as_u64().unwrap() >= sequence, "{copied}");
    assert_eq!(rig.code("vector_snapshot", restore(Some("copy"))).await, "TL2502");
    // Both go on by themselves.
    let more = rig.put("copy", points(9_000..9_010)).await;
    rig.everywhere(2, "copy", more, count + 10).await;
    assert_eq!(rig.points("docs", last, &json!({})).await, at);
    // In its own place; what came after the snapshot is gone, on both.
    let back = rig.done("vector_snapshot", restore(None)).await;
    assert_eq!(back["points"].as_u64(), Some(count), "{back}");
    rig.everywhere(2, "docs", sequence, count).await;
    let more = rig.put("docs", points(9_000..9_001)).await;
    rig.everywhere(2, "docs", more, count + 1).await;
    let listed = rig.done("vector_snapshot", json!({"action": "list", "collection": "docs"})).await;
    assert_eq!(listed["snapshots"][0]["snapshot"], snapshot, "it is still its own: {listed}");
}

/// Cuts every file of every collection in half.
fn damage(folder: &std::path::Path) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            damage(&path);
        } else if path.file_name().is_some_and(|name| name != "lock") {
            let length = path.metadata().unwrap().len();
            std::fs::File::options().write(true).open(&path).unwrap().set_len(length / 2).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_is_taken_when_there_is_enough_log() {
    let Some(mut rig) = Rig::start(&[]).await else { return };
    rig.indexer("one", &[("TASKLANE_SNAPSHOTS_AFTER_MB", "1")]).await;
    rig.create("docs", 4).await;
    let mut last = 0;
    for n in 0..12 {
        let mut some = points(n * 100..n * 100 + 100);
        some.as_array_mut().unwrap().iter_mut().for_each(|point| point["text"] = "lamp ".repeat(220).into());
        last = rig.put("docs", some).await;
    }
    wait::until("a snapshot was taken and the log let go of", async || {
        let load = rig.stack.client.bus.stream_load("VECTORS").await.ok()?;
        (load.first > 1).then_some(())
    })
    .await;
    rig.everywhere(1, "docs", last, 1_200).await;
    let listed = rig.done("vector_snapshot", json!({"action": "list", "collection": "docs"})).await;
    assert_eq!(listed["snapshots"].as_array().unwrap().len(), 1, "{listed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_was_cut_off_while_the_log_was_let_go_of_misses_nothing() {
    let Some(mut rig) = Rig::start(&["one", "two"]).await else { return };
    rig.create("docs", 4).await;
    rig.create("other", 4).await;
    let last = rig.put("docs", points(0..200)).await;
    rig.everywhere(2, "docs", last, 200).await;
    // Stopped, not ended: it believes that it goes on where it was. What it has asked for is sent to it; what comes after
    // that is gone from the log before it can ask.
    rig.stack.pause("two");
    let described = rig.done("vector_collections", json!({"action": "describe", "collection": "docs"})).await;
    let id = described["id"].as_str().unwrap();
    let mut last = 0;
    for n in 200..600 {
        let point = rig::point(n);
        let op = Kind::Upsert(Upsert {
            id: point["id"].as_str().unwrap().into(),
            vector: rig::vector(n),
            text: None,
            metadata: point["metadata"].to_string(),
        });
        last = log::write(&rig.stack.client.bus, id, &format!("task-{n}"), [op]).await.unwrap();
    }
    wait::until("the snapshot has all of it", async || {
        let taken = rig.ask("vector_snapshot", json!({"action": "take", "collection": "docs"})).await.ok()?;
        (taken["sequence"].as_u64()? >= last).then_some(())
    })
    .await;
    wait::until("the log is let go of", async || {
        rig.stack.client.bus.subjects("VECTORS", "vectors.*", 10).await.ok()?.is_empty().then_some(())
    })
    .await;
    rig.stack.resume("two");
    rig.everywhere(2, "docs", last, 600).await;
    let last = rig.put("other", points(0..5)).await;
    rig.everywhere(2, "other", last, 5).await;
    rig.everywhere(2, "docs", last, 600).await;
}
