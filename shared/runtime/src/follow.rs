//! Following a bucket: all that is in it, then every change, watching again where the server forgot us.

use std::time::Duration;

use futures::StreamExt as _;
use tasklane_bus::kv::Change;
use tasklane_bus::{Bus, BusError};
use tokio_util::sync::CancellationToken;

/// How long it rests before it watches again.
const REST: Duration = Duration::from_millis(500);

/// Tells `hear` of every change, in a task of its own, until `alive` ends. The first watch stands when this returns.
///
/// # Errors
/// Where the bucket cannot be opened or watched the first time.
pub async fn follow(
    bus: &Bus,
    name: &'static str,
    alive: CancellationToken,
    mut hear: impl FnMut(Change) + Send + 'static,
) -> Result<(), BusError> {
    let bucket = bus.bucket(name).await?;
    let mut changes = bucket.watch().await?;
    tokio::spawn(async move {
        loop {
            let change = tokio::select! {
                change = changes.next() => change,
                () = alive.cancelled() => return,
            };
            if let Some(change) = change {
                hear(change);
                continue;
            }
            tokio::time::sleep(REST).await;
            match bucket.watch().await {
                Ok(again) => changes = again,
                Err(e) => tracing::warn!(bucket = name, "a bucket cannot be watched now: {e}"),
            }
        }
    });
    Ok(())
}
