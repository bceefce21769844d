//! With users and permissions: what a vector indexer may is enough for all that it does.

use serde_json::json;
use tasklane_testkit::stack::{Options, Stack};
use tasklane_testkit::wait;
use tempfile::TempDir;

use crate::rig::{PROGRAM, Rig, points, vector};

#[tokio::test(flavor = "multi_thread")]
async fn a_vector_indexer_may_all_that_it_does() {
    let options = Options::no_workers().secure();
    let Some(stack) = Stack::start(options).await else { return };
    let mut rig = Rig { stack, folder: TempDir::with_prefix("tasklane-vectors-").unwrap(), qdrant: None };
    let folder = rig.folder_of("one");
    let own = [("TASKLANE_VECTORS_FOLDER", folder.to_str().unwrap())];
    // Who it connects as is the member's name.
    rig.stack.start_service("vector-indexer", PROGRAM, &own).await;
    rig.create("docs", 4).await;
    let sequence = rig.put("docs", points(0..100)).await;
    let search = json!({"collection": "docs", "vector": vector(7), "text": "7", "min_sequence": sequence});
    assert_eq!(rig.done("vector_search", search).await["hits"][0]["id"], "p00007");
    let taken = rig.done("vector_snapshot", json!({"action": "take", "collection": "docs"})).await;
    let restore =
        json!({"action": "restore", "collection": "docs", "snapshot": taken["snapshot"], "into": "copy"});
    assert_eq!(rig.done("vector_snapshot", restore).await["points"], 100);
    rig.done("vector_collections", json!({"action": "drop", "collection": "copy"})).await;
    wait::until("the log is let go of", async || {
        rig.stack.client.bus.subjects("VECTORS", "vectors.*", 10).await.ok()?.is_empty().then_some(())
    })
    .await;
    assert_eq!(rig.replicas(1).await.len(), 1);
    let log = rig.stack.log("vector-indexer");
    assert!(!log.to_lowercase().contains("permissions violation"), "{log}");
}
