//! What the router measures for those who look: workers and slots of every pool, the age of the oldest task of every
//! lane, and how full the stores of the NATS servers are. Nothing here decides anything.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tasklane_bus::inspect::Load;
use tasklane_contract::{streams, time};
use tasklane_domain::lane::{self, NOWHERE};
use tasklane_domain::priority::{self, Priority};
use tasklane_runtime::monitor;
use tasklane_telemetry::metrics::{Family, Gauge};

use crate::state::Router;

/// Often enough for whoever scrapes.
const EVERY: Duration = Duration::from_secs(2);

struct Gauges {
    workers: Family<Gauge, 1>,
    slots: Family<Gauge, 1>,
    oldest: Family<Gauge, 2>,
    used: Family<Gauge, 1>,
    limit: Family<Gauge, 1>,
}

impl Gauges {
    fn new(router: &Router) -> Self {
        let m = &router.metrics;
        Self {
            workers: m.gauge("pool_workers", "Live workers of a pool", ["pool"]),
            slots: m.gauge("pool_slots", "Slots of a pool's live workers", ["pool"]),
            oldest: m.gauge(
                "lane_oldest_task_seconds",
                "How long the oldest task of a lane has waited; 0: none waits",
                ["pool", "priority"],
            ),
            used: m.gauge("nats_storage_used_bytes", "Bytes in a NATS server's store", ["server"]),
            limit: m.gauge("nats_storage_limit_bytes", "Bytes a NATS server may store", ["server"]),
        }
    }
}

/// Measures until the router stops.
pub async fn run(router: Arc<Router>) {
    let gauges = Gauges::new(&router);
    let mut shown = BTreeSet::new();
    loop {
        shown = pools(&router, &gauges, &shown).await;
        for url in &router.config.monitor.urls {
            storage(&gauges, url).await;
        }
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            () = router.stop.cancelled() => return,
        }
    }
}

/// Shows every pool there is, and drops those that are no more. Returns the pools that are shown.
async fn pools(router: &Router, gauges: &Gauges, before: &BTreeSet<String>) -> BTreeSet<String> {
    let (alive, lanes) = {
        let planner = router.planner();
        let fleet = planner.fleet();
        let alive: Vec<_> = fleet.pools.iter().map(|p| (p.name.clone(), p.workers, p.slots)).collect();
        (alive, fleet.lanes.clone())
    };
    for (pool, workers, slots) in &alive {
        gauges.workers.with([pool]).set(i64::from(*workers));
        gauges.slots.with([pool]).set(i64::from(*slots));
    }
    for (pool, loads) in &lanes {
        for (p, load) in priority::ALL.into_iter().zip(loads) {
            let seconds = oldest(router, pool, p, load).await;
            gauges.oldest.with([pool, &p.lane().to_string()]).set(seconds);
        }
    }
    let now: BTreeSet<String> = alive.into_iter().map(|(pool, ..)| pool).chain(lanes.into_keys()).collect();
    for gone in before.difference(&now) {
        gauges.workers.forget(|[pool]| pool == gone);
        gauges.slots.forget(|[pool]| pool == gone);
        gauges.oldest.forget(|[pool, _]| pool == gone);
    }
    now
}

/// The age of the first message that nobody has been given; in the lane of `_`, where all are given out and put back,
/// of the first there is.
async fn oldest(router: &Router, pool: &str, p: Priority, load: &Load) -> i64 {
    let from = match pool {
        NOWHERE if load.queued + load.out > 0 => 1,
        _ if load.queued > 0 => load.delivered + 1,
        _ => return 0,
    };
    match router.bus.next_on(streams::WORK, &lane::lane_filter(pool, p), from).await {
        Ok(first) => (time::now_us() - first.stored_at_us).max(0) / 1_000_000,
        // It was taken in between.
        Err(_) => 0,
    }
}

async fn storage(gauges: &Gauges, url: &str) {
    match monitor::storage(url).await {
        Ok(found) => {
            let bytes = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
            gauges.used.with([&found.server]).set(bytes(found.used));
            if let Some(limit) = found.limit {
                gauges.limit.with([&found.server]).set(bytes(limit));
            }
        }
        Err(e) => tracing::debug!(url, "the storage of a NATS server is not measured now: {e}"),
    }
}
