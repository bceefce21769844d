//! What the worker says of itself, every second.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tasklane_bus::kv::Bucket;
use tasklane_contract::{Message as _, streams, v1};
use tokio_util::sync::CancellationToken;

use super::WorkerError;
use super::shared::Shared;

const EVERY: Duration = Duration::from_secs(1);

fn key(shared: &Shared) -> String {
    format!("{}.{}", shared.pool, shared.worker)
}

fn announcement(shared: &Shared) -> v1::Announcement {
    let task_types = shared
        .served
        .values()
        .map(|served| v1::TaskType { measured: shared.measured.of(&served.info.name), ..served.info.clone() })
        .collect();
    v1::Announcement {
        worker: shared.worker.to_string(),
        pool: shared.pool.clone(),
        worker_type: shared.worker_type.clone(),
        capabilities: shared.capabilities.clone(),
        task_types,
        slots: shared.slots,
        busy: shared.busy(),
        memory_mb: shared.memory_mb,
        state: v1::WorkerState::Ready.into(),
        started_at_us: shared.started_at_us,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        resident_mb: resident_mb(),
        finished: shared.finished.load(Ordering::Relaxed),
    }
}

/// Resident memory of this process in MB; 0 where `/proc` does not say.
fn resident_mb() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm")
        .ok()
        .and_then(|text| text.split_whitespace().nth(1)?.parse::<u64>().ok());
    pages.map_or(0, |pages| pages * 4096 / (1 << 20))
}

/// Says it once, then every second until `alive` ends.
pub(crate) async fn start(shared: &Arc<Shared>, alive: &CancellationToken) -> Result<(), WorkerError> {
    let bucket = shared.bus.bucket(streams::WORKERS).await?;
    say(shared, &bucket).await;
    let (shared, alive) = (Arc::clone(shared), alive.clone());
    tokio::spawn(async move {
        let mut ticks = tokio::time::interval(EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ticks.tick() => say(&shared, &bucket).await,
                () = alive.cancelled() => return,
            }
        }
    });
    Ok(())
}

async fn say(shared: &Shared, bucket: &Bucket) {
    let value = announcement(shared).encode_to_vec();
    if let Err(e) = bucket.put(&key(shared), value.into()).await {
        tracing::warn!("the announcement was not stored: {e}");
    }
}

/// The worker goes: the router need not wait for its silence.
pub(crate) async fn remove(shared: &Shared) {
    if !shared.bus.is_connected() {
        return;
    }
    let removed = match shared.bus.bucket(streams::WORKERS).await {
        Ok(bucket) => bucket.remove(&key(shared)).await,
        Err(e) => Err(e),
    };
    if let Err(e) = removed {
        tracing::warn!("the announcement stays until it expires: {e}");
    }
}
