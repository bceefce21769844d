//! A log that goes back: the server lost the end of its store, or got an older one. What is written then is found all the same.

use std::path::Path;
use std::time::Duration;

use serde_json::json;
use tasklane_bus::Headers;
use tasklane_contract::streams::Policy;
use tasklane_contract::subjects;
use tasklane_testkit::wait;

use crate::rig::{Rig, points};

const LOG: &str = "$G/streams/VECTORS";

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

impl Rig {
    /// Stops the server, changes its store, and starts it again.
    async fn store_changed(&mut self, change: impl FnOnce(&Path)) {
        self.stack.kill9_nats();
        change(&self.stack.nats_store());
        self.stack.start_nats_again().await;
        wait::until("tasks are answered again", async || {
            let (bus, subject) = (&self.stack.client.bus, subjects::run("vector_collections"));
            let body = json!({"action": "list"}).to_string().into();
            bus.ask(&subject, Headers::new(), body, Duration::from_secs(5)).await.ok().map(drop)
        })
        .await;
    }

    /// Ids of all points, when there are so many.
    async fn settles_at(&self, count: usize) {
        wait::until(&format!("there are {count} points"), async || {
            let payload = json!({"collection": "docs", "limit": 1000});
            let found = self.ask("vector_points", payload).await.ok()?;
            (found["points"].as_array()?.len() == count).then_some(())
        })
        .await;
    }
}

/// A collection of 100 points, and a copy of the store as it is then.
async fn begun() -> Option<Rig> {
    let mut rig = Rig::start(&["one"]).await?;
    rig.create("docs", 4).await;
    for n in 0..10 {
        rig.put("docs", points(n * 10..n * 10 + 10)).await;
    }
    let aside = rig.folder.path().join("aside");
    rig.store_changed(|store| copy(store, &aside)).await;
    rig.settles_at(100).await;
    Some(rig)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_log_lost_is_gone_everywhere_and_what_comes_next_is_found() {
    let Some(mut rig) = begun().await else { return };
    let last = rig.put("docs", points(500..600)).await;
    rig.everywhere(1, "docs", last, 200).await;
    let aside = rig.folder.path().join("aside");
    rig.store_changed(|store| {
        std::fs::remove_dir_all(store).unwrap();
        copy(&aside, store);
    })
    .await;
    rig.settles_at(100).await;
    let last = rig.put("docs", points(700..705)).await;
    rig.everywhere(1, "docs", last, 105).await;
    // A replica that was away meanwhile has what is lost on its disk.
    rig.stack.kill9("one");
    rig.stack.start_again("one").await;
    rig.everywhere(1, "docs", last, 105).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_is_not_lost_with_the_log_behind_it() {
    let Some(mut rig) = begun().await else { return };
    let last = rig.put("docs", points(500..600)).await;
    rig.everywhere(1, "docs", last, 200).await;
    let take = json!({"action": "take", "collection": "docs"});
    let taken = rig.done("vector_snapshot", take).await;
    assert!(taken["sequence"].as_u64() > Some(10), "{taken}");
    let aside = rig.folder.path().join("aside");
    rig.store_changed(|store| {
        std::fs::remove_dir_all(store.join(LOG)).unwrap();
        copy(&aside.join(LOG), &store.join(LOG));
    })
    .await;
    wait::until("the log's numbers are past the snapshot", async || {
        let log = rig.stack.client.bus.stream_load("VECTORS").await.ok()?;
        (Some(log.last) >= taken["sequence"].as_u64()).then_some(())
    })
    .await;
    let last = rig.put("docs", points(700..705)).await;
    rig.everywhere(1, "docs", last, 205).await;
    rig.stack.kill9("one");
    std::fs::remove_dir_all(rig.folder_of("one")).unwrap();
    rig.stack.start_again("one").await;
    rig.everywhere(1, "docs", last, 205).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_was_made_anew_goes_on_behind_the_snapshot() {
    let Some(mut rig) = begun().await else { return };
    let take = json!({"action": "take", "collection": "docs"});
    rig.done("vector_snapshot", take).await;
    rig.store_changed(|store| std::fs::remove_dir_all(store.join(LOG)).unwrap()).await;
    rig.stack.client.bus.provision(&Policy::default()).await.unwrap();
    wait::until("the log's numbers are past the snapshot", async || {
        let log = rig.stack.client.bus.stream_load("VECTORS").await.ok()?;
        (log.last >= 10).then_some(())
    })
    .await;
    let last = rig.put("docs", points(700..705)).await;
    rig.everywhere(1, "docs", last, 105).await;
}
