//! Whether an operator paused this worker's pool: the key `pause.<pool>` of the bucket `control`.

use std::sync::Arc;

use tasklane_bus::kv::Change;
use tasklane_contract::streams;
use tokio::sync::watch as signal;
use tokio_util::sync::CancellationToken;

use super::WorkerError;
use super::shared::Shared;
use crate::follow::follow;

/// Follows the switch of this worker's pool.
pub(crate) async fn watch(
    shared: &Arc<Shared>,
    alive: &CancellationToken,
) -> Result<signal::Receiver<bool>, WorkerError> {
    let bucket = shared.bus.bucket(streams::CONTROL).await?;
    let ours = streams::pause_key(&shared.pool);
    let (told, paused) = signal::channel(bucket.get(&ours).await?.is_some());
    let hear = move |change| match change {
        Change::Put { key, .. } if key == ours => _ = told.send_replace(true),
        Change::Removed { key } if key == ours => _ = told.send_replace(false),
        _ => {}
    };
    follow(&shared.bus, streams::CONTROL, alive.clone(), hear).await?;
    Ok(paused)
}
