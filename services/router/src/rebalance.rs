//! Taking tasks back from lanes whose pool is dead, paused or too slow, and routing them again. One router does it at
//! a time: the one with the smallest id among those that live.

use std::sync::Arc;
use std::time::Duration;

use tasklane_bus::pull::{Pulled, Puller};
use tasklane_bus::{BusError, Delivery};
use tasklane_contract::{Message as _, Refusal, code, story, streams, v1};
use tasklane_domain::eligibility;
use tasklane_domain::enrich::Needs;
use tasklane_domain::pool::Pool;
use tasklane_domain::priority;
use tasklane_domain::rebalance::{self, LaneLoad, Reason};
use tasklane_domain::{lane, score};
use tasklane_runtime::record;

use crate::end::{self, Ending};
use crate::fleet::{self, Fleet, Lanes};
use crate::intake;
use crate::state::Router;

/// How long one lane may take to give what it has.
const GIVING: Duration = Duration::from_millis(500);
/// How long workers may take to restart before their queue is looked after otherwise, in ms.
const RESTARTING_MS: u64 = 30_000;

/// Plans and moves until the router stops.
pub async fn run(router: &Arc<Router>, is_leader: impl Fn() -> bool) {
    let mut ticks = tokio::time::interval(Duration::from_millis(router.config.fleet.rebalance_ms));
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = router.stop.cancelled() => return,
        }
        if !is_leader() {
            continue;
        }
        let moves = plan(router);
        for (pool, count, reason) in moves {
            if let Err(e) = take_back(router, &pool, count, &reason).await {
                tracing::warn!(pool, "tasks could not be taken back now: {e}");
            }
        }
    }
}

/// What to take back now: pool, count and why.
fn plan(router: &Router) -> Vec<(String, u64, Reason)> {
    let planner = router.planner();
    let fleet = planner.fleet();
    let loads = loads(fleet, &router.config.weights);
    let planned = rebalance::plan(&loads, &router.config.rebalance);
    let back_soon: Vec<&str> =
        loads.iter().filter(|l| may_be_back(fleet, l)).map(|l| l.pool.as_str()).collect();
    planned
        .into_iter()
        .map(|m| (m.from_pool, m.count, m.reason))
        .chain(stranded(fleet))
        .filter(|(pool, _, _)| !back_soon.contains(&pool.as_str()))
        .collect()
}

/// A dead pool that nobody can stand in for keeps its queue for a while: its workers may just be restarting, and
/// moving the queue to `_` and back would be work for nothing.
fn may_be_back(fleet: &Fleet, load: &LaneLoad) -> bool {
    let heard = fleet.workers.iter().filter(|w| w.said.pool == load.pool).map(|w| w.age_ms).min();
    !load.live && load.alternatives.is_empty() && heard.is_some_and(|age_ms| age_ms < RESTARTING_MS)
}

/// Every lane's load as the plan wants it.
fn loads(fleet: &Fleet, weights: &score::Weights) -> Vec<LaneLoad> {
    fleet
        .pools
        .iter()
        .map(|pool| {
            let lanes = fleet.lanes.get(&pool.name).copied().unwrap_or_default();
            LaneLoad {
                pool: pool.name.clone(),
                live: pool.live,
                paused: pool.paused,
                queued: fleet::queued(&lanes),
                running: fleet::out(&lanes),
                slots: pool.slots,
                mean_ms: mean_ms(pool, weights),
                max_time_ms: max_time_ms(fleet, pool),
                alternatives: alternatives(fleet, pool),
            }
        })
        .collect()
}

/// Over the types that were measured, each by how often it ran.
fn mean_ms(pool: &Pool, weights: &score::Weights) -> f64 {
    let measured: Vec<_> = pool.task_types.keys().filter_map(|t| pool.measured(t).copied()).collect();
    tasklane_domain::enrich::combine(&measured).map_or(weights.unknown_mean_ms, |m| m.mean_ms)
}

/// The shortest max time among the pool's types: the one that is late first.
fn max_time_ms(fleet: &Fleet, pool: &Pool) -> u64 {
    let times = pool.task_types.keys().filter_map(|t| fleet.types.get(t)?.rule.max_processing_time_ms);
    times.min().unwrap_or(60_000)
}

/// Pools that can do something this pool does.
fn alternatives(fleet: &Fleet, pool: &Pool) -> Vec<String> {
    let can = |other: &&Pool| {
        other.name != pool.name
            && pool.task_types.keys().any(|t| {
                let rule = fleet.types.get(t).map(|info| &info.rule);
                let capabilities = rule.map(|r| r.required_capabilities.clone()).unwrap_or_default();
                let needs = Needs { capabilities, ..Needs::default() };
                eligibility::is_eligible(other, t, &needs)
            })
    };
    fleet.pools.iter().filter(can).map(|p| p.name.clone()).collect()
}

/// Tasks that a dead pool's workers held: they are not queued, and come back one by one after the ack wait.
fn stranded(fleet: &Fleet) -> Vec<(String, u64, Reason)> {
    let held = |name: &String| fleet.lanes.get(name).map_or(0, fleet::out);
    fleet
        .pools
        .iter()
        .filter(|p| !p.live && held(&p.name) > 0)
        .map(|p| (p.name.clone(), held(&p.name), Reason::Dead))
        .collect()
}

/// Pulls up to `count` tasks from the pool's lanes, the lowest priority first where the pool still works (the high
/// ones are served there soonest), and routes each again.
async fn take_back(router: &Arc<Router>, pool: &str, count: u64, reason: &Reason) -> Result<(), BusError> {
    let lanes: Lanes = router.planner().fleet().lanes.get(pool).copied().unwrap_or_default();
    let mut left = count;
    let mut moved = 0;
    let order: Vec<_> = match reason {
        Reason::Late { .. } => priority::ALL.iter().rev().copied().collect(),
        Reason::Dead | Reason::Paused => priority::ALL.to_vec(),
    };
    for priority in order {
        let lane = lanes[usize::from(priority.lane())];
        let here = if matches!(reason, Reason::Dead) { lane.queued + lane.out } else { lane.queued };
        let n = u32::try_from(left.min(here)).unwrap_or(u32::MAX);
        if n == 0 {
            continue;
        }
        let mut puller =
            Puller::open(&router.bus, streams::WORK, &lane::consumer_name(pool, priority)).await?;
        puller.ask(n).await?;
        let patience = tokio::time::sleep(GIVING);
        tokio::pin!(patience);
        while puller.credit() > 0 {
            let pulled = tokio::select! {
                pulled = puller.next() => pulled,
                () = &mut patience => break,
            };
            let Pulled::Message(delivery) = pulled else { break };
            again(router, delivery, pool).await;
            moved += 1;
            left = left.saturating_sub(1);
        }
        for delivery in puller.close().await {
            again(router, delivery, pool).await;
            moved += 1;
            left = left.saturating_sub(1);
        }
    }
    if moved > 0 {
        tracing::info!(pool, moved, "tasks were taken back from their lanes: {reason}");
    }
    Ok(())
}

async fn again(router: &Arc<Router>, delivery: Delivery, pool: &str) {
    let trace = record::get_trace(|name| delivery.header(name).map(str::to_owned));
    match v1::Routed::decode(delivery.body().clone()) {
        Ok(mut routed) if routed.task.is_some() => {
            story::count_lost(&mut routed, delivery.place.delivered, pool);
            intake::route(router, delivery, routed, trace).await;
        }
        _ => {
            let refusal = Refusal::new(code::UNREADABLE, "what lies on this lane is no task");
            end::end(router, delivery, Ending::Unreadable(refusal), trace).await;
        }
    }
}
