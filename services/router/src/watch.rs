//! Keeping the picture of the fleet: announcements as they come, lanes as they are measured, switches as they are
//! turned. The router announces itself too, so that of several one leads.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tasklane_bus::BusError;
use tasklane_bus::inspect::Load;
use tasklane_bus::kv::Change;
use tasklane_contract::{Message as _, streams, v1};
use tasklane_domain::lane::{self, NOWHERE};
use tasklane_domain::{name, priority};
use tasklane_runtime::follow::follow;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::fleet::{Fleet, Heard, Lanes, out, queued};
use crate::provision;
use crate::schema::Schemas;
use crate::state::Router;

/// The pool under which routers announce themselves. It has no lanes.
pub const ROUTERS: &str = "router";
/// A worker that was silent for this many times its time to live is forgotten.
const FORGOTTEN: u32 = 20;

/// What was heard, and from whom.
#[derive(Default)]
pub struct Ears {
    heard: Mutex<HashMap<String, (v1::Announcement, Instant)>>,
    paused: Mutex<BTreeSet<String>>,
    lanes: Mutex<BTreeMap<String, Option<Instant>>>,
    news: Notify,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Ears {
    /// Whether this router leads: no live one has a smaller id.
    pub fn leads(&self, router: &Router) -> bool {
        let ttl = Duration::from_millis(router.config.fleet.worker_ttl_ms);
        let heard = lock(&self.heard);
        let others = heard.values().filter(|(said, at)| said.pool == ROUTERS && at.elapsed() < ttl);
        !others.map(|(said, _)| said.worker.as_str()).any(|id| id < router.id.as_str())
    }

    fn heard(&self, change: Change) {
        match change {
            Change::Put { key, value } => match v1::Announcement::decode(value) {
                Ok(said) if name::check_pool(&said.pool).is_ok() => {
                    let new = !lock(&self.heard).contains_key(&key);
                    let known = said.pool == ROUTERS || lock(&self.lanes).contains_key(&said.pool);
                    lock(&self.heard).insert(key, (said, Instant::now()));
                    if new || !known {
                        self.news.notify_one();
                    }
                }
                Ok(said) => tracing::warn!(key, pool = said.pool, "an announcement with an impossible pool"),
                Err(e) => tracing::warn!(key, "an announcement cannot be read: {e}"),
            },
            Change::Removed { key } => {
                lock(&self.heard).remove(&key);
                self.news.notify_one();
            }
        }
    }

    fn switched(&self, change: Change) {
        let (key, on) = match change {
            Change::Put { key, .. } => (key, true),
            Change::Removed { key } => (key, false),
        };
        let Some(pool) = key.strip_prefix("pause.").map(str::to_owned) else { return };
        let mut paused = lock(&self.paused);
        if on {
            paused.insert(pool)
        } else {
            paused.remove(&pool)
        };
        drop(paused);
        self.news.notify_one();
    }

    fn workers(&self, ttl: Duration) -> Vec<Heard> {
        let mut heard = lock(&self.heard);
        heard.retain(|_, (_, at)| at.elapsed() < ttl * FORGOTTEN);
        let workers = heard.values().filter(|(said, _)| said.pool != ROUTERS);
        workers
            .map(|(said, at)| Heard {
                said: said.clone(),
                live: at.elapsed() < ttl,
                age_ms: u64::try_from(at.elapsed().as_millis()).unwrap_or(u64::MAX),
            })
            .collect()
    }
}

/// Listens to announcements and switches.
///
/// # Errors
/// Where a bucket cannot be watched the first time.
pub async fn listen(router: &Router, ears: &Arc<Ears>) -> Result<(), BusError> {
    let (workers, switches) = (Arc::clone(ears), Arc::clone(ears));
    follow(&router.bus, streams::WORKERS, router.stop.clone(), move |change| workers.heard(change)).await?;
    follow(&router.bus, streams::CONTROL, router.stop.clone(), move |change| switches.switched(change)).await
}

/// Announces this router every second.
pub async fn announce(router: Arc<Router>) {
    let key = format!("{ROUTERS}.{}", router.id);
    let said = v1::Announcement {
        worker: router.id.clone(),
        pool: ROUTERS.to_owned(),
        worker_type: ROUTERS.to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..v1::Announcement::default()
    };
    let mut ticks = tokio::time::interval(Duration::from_secs(1));
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while !router.stop.is_cancelled() {
        tokio::select! {
            _ = ticks.tick() => {}
            () = router.stop.cancelled() => break,
        }
        let said = match router.bus.bucket(streams::WORKERS).await {
            Ok(bucket) => bucket.put(&key, said.encode_to_vec().into()).await.map(drop),
            Err(e) => Err(e),
        };
        if let Err(e) = said {
            tracing::warn!("the router's announcement was not stored: {e}");
        }
    }
}

/// Measures and makes a new picture: at every tick, and at once when somebody comes or goes.
pub async fn refresh(router: Arc<Router>, ears: Arc<Ears>) {
    let mut schemas = Schemas::default();
    let mut ticks = tokio::time::interval(Duration::from_millis(router.config.fleet.refresh_ms));
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while !router.stop.is_cancelled() {
        look(&router, &ears, &mut schemas).await;
        tokio::select! {
            _ = ticks.tick() => {}
            () = ears.news.notified() => {}
            () = router.stop.cancelled() => {}
        }
    }
}

/// Takes one look: new pools get their lanes, all lanes are measured, the planner sees the result.
pub async fn look(router: &Arc<Router>, ears: &Arc<Ears>, schemas: &mut Schemas) {
    let ttl = Duration::from_millis(router.config.fleet.worker_ttl_ms);
    let workers = ears.workers(ttl);
    for heard in &workers {
        let pool = &heard.said.pool;
        let known = lock(&ears.lanes).contains_key(pool);
        if !known && provision::lanes(router, pool).await {
            lock(&ears.lanes).insert(pool.clone(), None);
            tracing::info!(pool, "a new pool");
        }
    }
    let names: Vec<String> = lock(&ears.lanes).keys().cloned().collect();
    let mut loads = BTreeMap::new();
    for pool in names {
        match measure(router, &pool).await {
            Ok(load) => _ = loads.insert(pool, load),
            // Another router has dropped them.
            Err(BusError::NotFound(_)) if pool != NOWHERE && !workers.iter().any(|w| w.said.pool == pool) => {
                lock(&ears.lanes).remove(&pool);
                router.metrics.forget_pool(&pool);
            }
            Err(e) => tracing::debug!(pool, "lanes cannot be measured now: {e}"),
        }
    }
    forget(router, ears, &workers, &loads).await;
    let paused = lock(&ears.paused).clone();
    let fleet = Fleet::new(workers, loads, |pool| paused.contains(pool), schemas);
    router.planner().look(fleet);
}

/// The lanes that exist from before this router started, `_` among them.
///
/// # Errors
/// Where the stream cannot be asked.
pub async fn remember(router: &Router, ears: &Ears) -> Result<(), BusError> {
    let consumers = router.bus.consumers(streams::WORK).await?;
    let mut lanes = lock(&ears.lanes);
    for (pool, _) in consumers.iter().filter_map(|c| lane::parse_consumer_name(c)) {
        lanes.insert(pool.to_owned(), None);
    }
    lanes.insert(NOWHERE.to_owned(), None);
    Ok(())
}

async fn measure(router: &Router, pool: &str) -> Result<Lanes, BusError> {
    let names = priority::ALL.map(|p| lane::consumer_name(pool, p));
    let asked = names.iter().map(|name| router.bus.lane(streams::WORK, name));
    let answers: Vec<Load> =
        futures::future::join_all(asked).await.into_iter().collect::<Result<_, BusError>>()?;
    let mut loads = Lanes::default();
    loads.iter_mut().zip(answers).for_each(|(load, answer)| *load = answer);
    for (p, load) in priority::ALL.iter().zip(&loads) {
        // Those that wait for somebody are handed out and put back all the time; nobody works on them.
        let waits = if pool == NOWHERE { load.queued + load.out } else { load.queued };
        router.metrics.lane_backlog(pool, p.lane()).set(i64::try_from(waits).unwrap_or(i64::MAX));
    }
    Ok(loads)
}

/// Drops the lanes of pools that were dead and empty for long, so that lanes stay tens and not thousands.
async fn forget(router: &Router, ears: &Ears, workers: &[Heard], loads: &BTreeMap<String, Lanes>) {
    let patience = Duration::from_secs(router.config.fleet.forget_s);
    let mut gone = Vec::new();
    for (pool, dead_since) in lock(&ears.lanes).iter_mut().filter(|(pool, _)| *pool != NOWHERE) {
        let used = workers.iter().any(|w| w.said.pool == *pool)
            || loads.get(pool).is_none_or(|lanes| queued(lanes) + out(lanes) > 0);
        match (used, &dead_since) {
            (true, _) => *dead_since = None,
            (false, None) => *dead_since = Some(Instant::now()),
            (false, Some(since)) if since.elapsed() > patience => gone.push(pool.clone()),
            (false, Some(_)) => {}
        }
    }
    if !ears.leads(router) {
        return;
    }
    for pool in gone {
        tracing::info!(pool, "a pool that was dead and empty for long is forgotten");
        provision::drop_lanes(router, &pool).await;
        router.metrics.forget_pool(&pool);
        lock(&ears.lanes).remove(&pool);
    }
}
