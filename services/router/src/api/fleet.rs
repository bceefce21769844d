//! `api.workers`, `api.lanes`, `api.pool.pause` and `api.pool.resume`.

use serde::Deserialize;
use serde_json::{Map, Value, json};
use tasklane_bus::endpoint::Asked;
use tasklane_bus::inspect::Load;
use tasklane_contract::{Refusal, code, streams, time, v1};
use tasklane_domain::lane::NOWHERE;
use tasklane_domain::pool::Pool;
use tasklane_domain::{name, priority, score};

use super::{body, json as to_json, refused};
use crate::fleet::{Heard, Lanes, out};
use crate::state::Router;

/// Every worker that was heard lately.
///
/// # Errors
/// None of the request's.
pub fn workers(router: &Router) -> Result<Vec<u8>, Refusal> {
    let mut workers = router.planner().fleet().workers.clone();
    workers.sort_by(|a, b| (&a.said.pool, &a.said.worker).cmp(&(&b.said.pool, &b.said.worker)));
    let workers: Vec<Value> = workers.iter().map(worker).collect();
    to_json(&json!({"workers": workers}))
}

fn worker(heard: &Heard) -> Value {
    let said = &heard.said;
    let state = match (heard.live, said.state()) {
        (false, _) => "silent",
        (true, v1::WorkerState::Draining) => "draining",
        (true, _) => "ready",
    };
    let task_types: Vec<Value> = said.task_types.iter().map(task_type).collect();
    json!({
        "worker": said.worker, "pool": said.pool, "worker_type": said.worker_type,
        "capabilities": said.capabilities, "task_types": task_types,
        "slots": said.slots, "busy": said.busy, "state": state, "memory_mb": said.memory_mb,
        "resident_mb": said.resident_mb, "started_at": time::to_rfc3339(said.started_at_us),
        "version": said.version, "finished": said.finished, "age_ms": heard.age_ms,
    })
}

fn task_type(t: &v1::TaskType) -> Value {
    let rule = t.rule.as_ref().map(|r| {
        json!({
            "required_capabilities": r.required_capabilities, "preferred_worker_type": r.preferred_worker_type,
            "max_processing_time_ms": r.max_processing_time_ms, "memory_requirement_mb": r.memory_requirement_mb,
            "max_attempts": r.max_attempts,
        })
    });
    let measured =
        t.measured.as_ref().map(|m| json!({"count": m.count, "mean_ms": m.mean_ms, "p95_ms": m.p95_ms}));
    let schema: Option<Value> = serde_json::from_str(&t.schema_json).ok();
    json!({"name": t.name, "description": t.description, "rule": rule, "measured": measured, "schema": schema})
}

/// Every lane's load, and the streams' sizes.
///
/// # Errors
/// Where NATS does not answer.
pub async fn lanes(router: &Router) -> Result<Vec<u8>, Refusal> {
    let (pools, lanes) = {
        let planner = router.planner();
        (planner.fleet().pools.clone(), planner.fleet().lanes.clone())
    };
    let nowhere = Pool { name: NOWHERE.to_owned(), ..Pool::default() };
    let rows: Vec<Value> = pools
        .iter()
        .chain(std::iter::once(&nowhere))
        .map(|pool| row(pool, &lanes.get(&pool.name).copied().unwrap_or_default(), router))
        .collect();
    let mut sizes = Map::new();
    for stream in [streams::TASKS, streams::WORK, streams::RESULTS, streams::DEAD] {
        let load = router.bus.stream_load(stream).await.map_err(|e| refused(&e))?;
        sizes.insert(stream.to_owned(), json!({"messages": load.messages, "bytes": load.bytes}));
    }
    to_json(&json!({"lanes": rows, "streams": sizes}))
}

fn row(pool: &Pool, lanes: &Lanes, router: &Router) -> Value {
    // Tasks that wait for somebody are handed out and put back all the time; nobody works on them.
    let waits = pool.name == NOWHERE;
    let count = |load: &Load| if waits { load.queued + load.out } else { load.queued };
    let queued: Map<String, Value> =
        priority::ALL.iter().zip(lanes).map(|(p, load)| (p.to_string(), json!(count(load)))).collect();
    let running = if waits { 0 } else { out(lanes) };
    let slowest = pool
        .task_types
        .keys()
        .map(|t| score::expected_wait_ms(pool, t, &router.config.weights))
        .fold(0.0, f64::max);
    json!({
        "pool": pool.name, "live": pool.live, "paused": pool.paused, "workers": pool.workers,
        "slots": pool.slots, "queued": queued, "running": running, "expected_wait_ms": slowest.round(),
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Switch {
    pool: String,
}

/// Pauses a pool: nothing is routed to it, it pulls nothing, and its queue goes to others. Or resumes it.
///
/// # Errors
/// A pool that does not exist, or NATS that does not answer.
pub async fn pause(router: &Router, asked: &Asked, paused: bool) -> Result<Vec<u8>, Refusal> {
    let pool = body::<Switch>(asked)?.pool;
    name::check_pool(&pool).map_err(|e| Refusal::new(code::BAD_NAME, e.to_string()))?;
    let known: Vec<String> = router.planner().fleet().pools.iter().map(|p| p.name.clone()).collect();
    if !known.contains(&pool) {
        let text = format!("there is no pool `{pool}`; there are: {}", known.join(", "));
        return Err(Refusal::new(code::NOT_FOUND, text));
    }
    let bucket = router.bus.bucket(streams::CONTROL).await.map_err(|e| refused(&e))?;
    let key = streams::pause_key(&pool);
    let turned =
        if paused { bucket.put(&key, "1".into()).await.map(drop) } else { bucket.remove(&key).await };
    turned.map_err(|e| refused(&e))?;
    to_json(&json!({"pool": pool, "paused": paused}))
}
