//! Keeps every held delivery alive. One ticker serves them all, outside the tasks that hold them, so that a handler
//! which blocks its thread does not lose its task.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tasklane_bus::Delivery;
use tasklane_bus::delivery::Keeper;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::shared::Shared;

/// The deliveries that this worker holds.
#[derive(Default)]
pub(crate) struct Holds {
    next: AtomicU64,
    held: Mutex<HashMap<u64, (Instant, Arc<Keeper>)>>,
}

/// A delivery is kept alive as long as this lives.
pub(crate) struct Hold {
    id: u64,
    shared: Arc<Shared>,
}

impl Holds {
    /// Those held since before `since`.
    fn older_than(&self, since: Instant) -> Vec<Arc<Keeper>> {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.values().filter(|(from, _)| *from <= since).map(|(_, keeper)| Arc::clone(keeper)).collect()
    }
}

/// Keeps a delivery alive from now on.
pub(crate) fn hold(shared: &Arc<Shared>, delivery: &Delivery) -> Hold {
    let id = shared.holds.next.fetch_add(1, Ordering::Relaxed);
    let mut held = shared.holds.held.lock().unwrap_or_else(PoisonError::into_inner);
    held.insert(id, (Instant::now(), Arc::new(delivery.keeper())));
    Hold { id, shared: Arc::clone(shared) }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.shared.holds.held.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.id);
    }
}

/// Every third of the ack wait, so that one lost word does not cost the task.
pub(crate) fn keep_alive(shared: &Arc<Shared>, alive: &CancellationToken) {
    let (shared, alive) = (Arc::clone(shared), alive.clone());
    tokio::spawn(async move {
        let every = shared.ack_wait / 3;
        let mut ticks = tokio::time::interval(every);
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                () = alive.cancelled() => return,
            }
            say(&shared, every).await;
        }
    });
}

/// Those that came since the last tick are young enough to wait for the next.
async fn say(shared: &Shared, every: Duration) {
    let Some(since) = Instant::now().checked_sub(every / 2) else { return };
    for keeper in shared.holds.older_than(since) {
        if let Err(e) = keeper.progress().await {
            tracing::warn!("a held task could not be kept alive: {e}");
            return;
        }
    }
}
