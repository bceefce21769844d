//! The fleet as the router sees it now: pools and task types, made of announcements and lane loads. Pure.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use tasklane_bus::inspect::Load;
use tasklane_contract::v1;
use tasklane_domain::enrich::{self, Measured, Rule};
use tasklane_domain::pool::Pool;

use crate::schema::{Schema, Schemas};

/// A worker that was heard.
#[derive(Debug, Clone)]
pub struct Heard {
    /// What it said.
    pub said: v1::Announcement,
    /// Whether it was heard lately.
    pub live: bool,
    /// How long ago it was heard, in ms.
    pub age_ms: u64,
}

/// A pool's lanes, p0 to p3.
pub type Lanes = [Load; 4];

/// A task type as its workers announce it.
#[derive(Debug, Clone)]
pub struct TypeInfo {
    /// What applies where the publisher says nothing.
    pub rule: Rule,
    /// What payloads are held against.
    pub schema: Option<Arc<Schema>>,
    /// Measured over all pools.
    pub measured: Option<Measured>,
}

/// A picture of the fleet.
#[derive(Debug, Clone, Default)]
pub struct Fleet {
    /// Every pool that has a worker or a lane.
    pub pools: Vec<Pool>,
    /// Every announced task type.
    pub types: HashMap<String, TypeInfo>,
    /// Lanes by pool; `_` is the lane of tasks that wait for somebody who can do them.
    pub lanes: BTreeMap<String, Lanes>,
    /// Every worker that was heard, the dead of the last seconds too.
    pub workers: Vec<Heard>,
}

/// Queued messages of all four lanes.
pub fn queued(lanes: &Lanes) -> u64 {
    lanes.iter().map(|l| l.queued).sum()
}

/// Messages that workers hold, of all four lanes.
pub fn out(lanes: &Lanes) -> u64 {
    lanes.iter().map(|l| l.out).sum()
}

impl Fleet {
    /// Makes the picture.
    pub fn new(
        workers: Vec<Heard>,
        lanes: BTreeMap<String, Lanes>,
        is_paused: impl Fn(&str) -> bool,
        schemas: &mut Schemas,
    ) -> Self {
        let mut pools: BTreeMap<String, Pool> = BTreeMap::new();
        for (name, load) in lanes.iter().filter(|(name, _)| *name != tasklane_domain::lane::NOWHERE) {
            let backlog = queued(load) + out(load);
            pools.insert(name.clone(), Pool { name: name.clone(), backlog, ..Pool::default() });
        }
        for heard in &workers {
            let name = &heard.said.pool;
            let fresh = || Pool { name: name.clone(), ..Pool::default() };
            join(pools.entry(name.clone()).or_insert_with(fresh), heard);
        }
        for pool in pools.values_mut() {
            pool.paused = is_paused(&pool.name);
        }
        let types = types(&workers, schemas);
        Self { pools: pools.into_values().collect(), types, lanes, workers }
    }
}

/// What a worker adds to its pool. A dead one still says what the pool could do, so that explanations can name it.
fn join(pool: &mut Pool, heard: &Heard) {
    let said = &heard.said;
    pool.worker_type.clone_from(&said.worker_type);
    pool.capabilities.extend(said.capabilities.iter().cloned());
    if heard.live && said.state() != v1::WorkerState::Draining {
        pool.live = true;
        pool.workers += 1;
        pool.slots = pool.slots.saturating_add(said.slots);
        // A task must fit wherever it lands in the pool; 0 says nothing.
        if said.memory_mb != 0 {
            pool.memory_mb =
                if pool.memory_mb == 0 { said.memory_mb } else { pool.memory_mb.min(said.memory_mb) };
        }
    }
    for task_type in &said.task_types {
        let known = pool.task_types.entry(task_type.name.clone()).or_default();
        let both = known.iter().copied().chain(task_type.measured.as_ref().map(measured)).collect::<Vec<_>>();
        *known = enrich::combine(&both);
    }
}

fn measured(m: &v1::Measured) -> Measured {
    Measured { count: m.count, mean_ms: m.mean_ms, p95_ms: m.p95_ms, memory_p95_mb: m.memory_p95_mb }
}

/// Where workers of one type announce different rules or schemas (while they are being upgraded), the youngest
/// worker's stand.
fn types(workers: &[Heard], schemas: &mut Schemas) -> HashMap<String, TypeInfo> {
    let mut by_age: Vec<&Heard> = workers.iter().collect();
    by_age.sort_by_key(|heard| (heard.said.started_at_us, heard.said.worker.clone()));
    let mut types: HashMap<String, TypeInfo> = HashMap::new();
    for heard in by_age {
        for task_type in &heard.said.task_types {
            let both: Vec<Measured> = types
                .get(&task_type.name)
                .and_then(|t| t.measured)
                .into_iter()
                .chain(task_type.measured.as_ref().map(measured))
                .collect();
            let info = TypeInfo {
                rule: rule(task_type.rule.as_ref()),
                schema: schemas.get(&task_type.name, &task_type.schema_json),
                measured: enrich::combine(&both),
            };
            types.insert(task_type.name.clone(), info);
        }
    }
    types
}

fn rule(wire: Option<&v1::Rule>) -> Rule {
    let Some(r) = wire else { return Rule::default() };
    Rule {
        required_capabilities: r.required_capabilities.clone(),
        preferred_worker_type: Some(r.preferred_worker_type.clone()).filter(|t| !t.is_empty()),
        max_processing_time_ms: Some(r.max_processing_time_ms).filter(|ms| *ms > 0),
        memory_requirement_mb: Some(r.memory_requirement_mb).filter(|mb| *mb > 0),
        max_attempts: Some(r.max_attempts).filter(|n| *n > 0),
    }
}
