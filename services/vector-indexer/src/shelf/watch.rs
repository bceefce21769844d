//! Keeping the shelf as the catalogue says, whoever changes it.

use std::time::Duration;

use futures::{FutureExt as _, StreamExt as _};
use tasklane_runtime::bus::kv::Change;
use tokio_util::sync::CancellationToken;

use super::{Import, Shelf};

/// How long other changes may join one.
const PAUSE: Duration = Duration::from_millis(50);
/// How often it is looked in any case: what could not be opened is tried again.
const ANYWAY: Duration = Duration::from_secs(30);

/// Settles the shelf whenever the catalogue changes, until it is stopped.
pub async fn watch(shelf: Shelf, stop: CancellationToken) {
    let is_ours = |change: &Change| {
        let (Change::Put { key, .. } | Change::Removed { key }) = change;
        key.starts_with("collection.") || key.starts_with("alias.")
    };
    while !stop.is_cancelled() {
        let mut changes = match shelf.catalogue().watch().await {
            Ok(changes) => changes,
            Err(e) => {
                tracing::warn!("the catalogue cannot be watched now: {e}");
                tokio::time::sleep(PAUSE * 10).await;
                continue;
            }
        };
        loop {
            let change = tokio::select! {
                change = changes.next() => change,
                () = tokio::time::sleep(ANYWAY) => Some(Change::Removed { key: "collection.".into() }),
                () = stop.cancelled() => return,
            };
            let Some(change) = change else { break };
            if !is_ours(&change) {
                continue;
            }
            tokio::time::sleep(PAUSE).await;
            while let Some(Some(_)) = changes.next().now_or_never() {}
            if let Err(e) = shelf.settle(Import::Missing).await {
                tracing::warn!("the catalogue cannot be read now: {e}");
            }
        }
        tokio::time::sleep(PAUSE * 10).await;
    }
}
