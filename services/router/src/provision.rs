//! Making what others rely on. Every router may do it, at any time; it changes nothing that is right already.

use std::time::Duration;

use tasklane_contract::streams;
use tasklane_domain::lane::{self, NOWHERE};
use tasklane_domain::priority;

use crate::state::Router;

/// Between two tries to make what cannot be made now.
const AGAIN: Duration = Duration::from_secs(1);

/// Streams, buckets, the router's own consumers. Tries until it is done.
pub async fn all(router: &Router) {
    while !made(router).await {
        tokio::select! {
            () = tokio::time::sleep(AGAIN) => {}
            () = router.stop.cancelled() => return,
        }
    }
}

/// The router's own consumers, as soon as that is possible. Everything else is tried where their stream is gone too,
/// but nothing else is waited for: tasks go on while, say, a bucket has lost the only server that held it.
pub async fn own(router: &Router) {
    while let Err(e) = consumers(router).await {
        tracing::error!("the router's consumers cannot be made now: {e}");
        let everything = async {
            if !made(router).await {
                tokio::time::sleep(AGAIN).await;
            }
        };
        tokio::select! {
            () = everything => {}
            () = router.stop.cancelled() => return,
        }
    }
}

/// What to do about the one failure that does not go away by waiting.
fn remedy(said: &str) -> &'static str {
    if said.contains("insufficient storage") || said.contains("insufficient resources") {
        "; the server has less room than `streams.results_mb` sets aside: lower it, or raise the server's \
         `jetstream.max_file_store`"
    } else {
        ""
    }
}

/// Tries once, and says what is in the way.
async fn made(router: &Router) -> bool {
    let tried = once(router).await;
    if let Err(e) = &tried {
        tracing::error!("streams and buckets cannot be made now: {e}{}", remedy(&e.to_string()));
    }
    tried.is_ok()
}

async fn once(router: &Router) -> Result<(), tasklane_bus::BusError> {
    router.bus.provision(&router.policy).await?;
    consumers(router).await
}

async fn consumers(router: &Router) -> Result<(), tasklane_bus::BusError> {
    router.bus.make_consumer(&streams::router_consumer(&router.policy)).await?;
    for p in priority::ALL {
        router.bus.make_consumer(&streams::lane_consumer(NOWHERE, p, &router.policy)).await?;
    }
    Ok(())
}

/// A pool's four lanes. Says whether they are there now.
pub async fn lanes(router: &Router, pool: &str) -> bool {
    for p in priority::ALL {
        if let Err(e) = router.bus.make_consumer(&streams::lane_consumer(pool, p, &router.policy)).await {
            tracing::warn!(pool, "a lane cannot be made now: {e}");
            return false;
        }
    }
    true
}

/// Removes a pool's four lanes.
pub async fn drop_lanes(router: &Router, pool: &str) {
    for p in priority::ALL {
        if let Err(e) = router.bus.drop_consumer(streams::WORK, &lane::consumer_name(pool, p)).await {
            tracing::warn!(pool, "a lane cannot be removed now: {e}");
        }
    }
}

/// Makes everything again after the connection came back: the server may have lost its store.
pub async fn keep(router: &Router) {
    let mut reconnects = router.bus.reconnects();
    reconnects.mark_unchanged();
    loop {
        tokio::select! {
            changed = reconnects.changed() => if changed.is_err() { return },
            () = router.stop.cancelled() => return,
        }
        all(router).await;
    }
}
