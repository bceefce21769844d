//! Whether an operator paused this worker's pool: the key `pause.<pool>` of the bucket `control`.

use std::sync::Arc;

use futures::StreamExt as _;
use tasklane_bus::kv::Change;
use tasklane_contract::streams;
use tokio::sync::watch as signal;
use tokio_util::sync::CancellationToken;

use super::WorkerError;
use super::shared::Shared;

/// Follows the switch of this worker's pool.
pub(crate) async fn watch(
    shared: &Arc<Shared>,
    alive: &CancellationToken,
) -> Result<signal::Receiver<bool>, WorkerError> {
    let bucket = shared.bus.bucket(streams::CONTROL).await?;
    let ours = streams::pause_key(&shared.pool);
    let (told, paused) = signal::channel(bucket.get(&ours).await?.is_some());
    let mut changes = bucket.watch().await?;
    let alive = alive.clone();
    tokio::spawn(async move {
        loop {
            let change = tokio::select! {
                change = changes.next() => change,
                () = alive.cancelled() => return,
            };
            match change {
                Some(Change::Put { key, .. }) if key == ours => _ = told.send_replace(true),
                Some(Change::Removed { key }) if key == ours => _ = told.send_replace(false),
                Some(_) => {}
                None => {
                    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
                    match bucket.watch().await {
                        Ok(again) => changes = again,
                        Err(e) => tracing::warn!("the pool's switch cannot be watched now: {e}"),
                    }
                }
            }
        }
    });
    Ok(paused)
}
