//! What to do with a task, given the fleet. Pure: the time comes in, and nothing goes out.

use std::collections::HashMap;
use std::sync::Arc;

use tasklane_contract::{Code, Message as _, Refusal, code, headers, json, v1};
use tasklane_domain::decide::{self, Missing};
use tasklane_domain::enrich::{self, Defaults, Needs, Rule};
use tasklane_domain::expiry::{self, Admit};
use tasklane_domain::lane::NOWHERE;
use tasklane_domain::score::Weights;

use crate::fleet::{Fleet, TypeInfo};

/// A decision, and what it rests on.
#[derive(Debug, Clone)]
pub struct Decided {
    /// The task's needs, complete.
    pub needs: Needs,
    /// The pool's place in the fleet; `None`: nobody can do it now.
    pub pool: Option<usize>,
    /// The decision as the result tells it.
    pub route: v1::Route,
    /// Attempts the task has.
    pub max_attempts: u32,
    /// Needs and route as they stand in a message, encoded once for all tasks that share the decision.
    encoded: Vec<u8>,
}

impl Decided {
    /// The pool whose lane the task goes to; `_` where nobody can do it now.
    pub fn pool_name(&self) -> &str {
        if self.pool.is_some() { &self.route.pool } else { NOWHERE }
    }

    fn new(needs: Needs, pool: Option<usize>, route: v1::Route, max_attempts: u32) -> Self {
        let mut decided = Self { needs, pool, route, max_attempts, encoded: Vec::new() };
        let mut part = v1::Routed::default();
        decided.write(&mut part);
        decided.encoded = part.encode_to_vec();
        decided
    }

    /// Writes needs and route into a story.
    pub fn write(&self, routed: &mut v1::Routed) {
        routed.needs = Some(v1::Requirements {
            required_capabilities: self.needs.capabilities.clone(),
            preferred_worker_type: self.needs.preferred_worker_type.clone().unwrap_or_default(),
            max_processing_time_ms: self.needs.max_time_ms,
            memory_requirement_mb: self.needs.memory_mb,
        });
        routed.route = Some(self.route.clone());
    }

    /// The message for the lane: the story with this decision. Two protobuf messages one after the other are read as
    /// their union (<https://protobuf.dev/programming-guides/encoding/#last-one-wins>), so that the part which is the
    /// same for many tasks is not encoded for each.
    pub fn encode(&self, routed: &v1::Routed) -> Vec<u8> {
        debug_assert!(
            routed.needs.is_none() && routed.route.is_none(),
            "they would be merged with the new ones"
        );
        [self.encoded.as_slice(), &routed.encode_to_vec()].concat()
    }
}

/// Decides, and remembers decisions while they hold: tasks of one type that ask for nothing special are many.
pub struct Planner {
    fleet: Fleet,
    weights: Weights,
    defaults: Defaults,
    max_delay_ms: u64,
    remembered: HashMap<String, (Arc<Decided>, u32)>,
}

impl Planner {
    /// A planner over an empty fleet.
    pub fn new(weights: Weights, defaults: Defaults, max_delay_ms: u64) -> Self {
        Self { fleet: Fleet::default(), weights, defaults, max_delay_ms, remembered: HashMap::new() }
    }

    /// A new picture of the fleet; what was remembered holds no longer.
    pub fn look(&mut self, fleet: Fleet) {
        self.remembered.clear();
        self.fleet = fleet;
    }

    /// The picture in use.
    pub fn fleet(&self) -> &Fleet {
        &self.fleet
    }

    /// Holds the payload against the schema of its type. A payload that lies in the object store, or is not JSON, is
    /// the handler's to check.
    ///
    /// # Errors
    /// TL1010 with the places.
    pub fn validate(&self, task: &v1::Task) -> Result<(), Refusal> {
        let schema = self.fleet.types.get(&task.task_type).and_then(|t| t.schema.as_ref());
        match schema {
            Some(schema) if task.payload_ref.is_empty() && headers::is_json(&task.content_type) => {
                schema.check(&task.payload)
            }
            _ => Ok(()),
        }
    }

    /// Whether the task may be worked on now.
    ///
    /// # Errors
    /// TL1013 for a `not_before` beyond the bound.
    pub fn admit(&self, task: &v1::Task, now_us: i64) -> Result<Admit, Refusal> {
        if task.not_before_us == 0 && task.deadline_us == 0 {
            return Ok(Admit::Now);
        }
        let ms = |us: i64| u64::try_from(us / 1000).unwrap_or(0);
        let given = |us: i64| (us != 0).then(|| ms(us));
        let (now, not_before, deadline) = (ms(now_us), given(task.not_before_us), given(task.deadline_us));
        expiry::validate(now, not_before, deadline, self.max_delay_ms).map_err(|violations| {
            let texts: Vec<_> = violations.iter().map(|v| format!("`{}` {}", v.field, v.problem)).collect();
            Refusal::new(code::BAD_TIME, texts.join("; "))
        })?;
        Ok(expiry::admit(now, not_before, deadline))
    }

    /// Decides for a task that goes on a lane now, and counts it there.
    pub fn place(&mut self, task: &v1::Task) -> Arc<Decided> {
        let plain = task.requirements.is_none() && task.retry.is_none();
        if plain
            && let Some((decided, left)) = self.remembered.get_mut(&task.task_type)
            && *left > 0
        {
            *left -= 1;
            let decided = Arc::clone(decided);
            self.count(&decided);
            return decided;
        }
        let decided = Arc::new(self.decide(task));
        self.count(&decided);
        if plain {
            let left = decided.pool.map_or(64, |i| self.fleet.pools[i].slots / 4);
            self.remembered.insert(task.task_type.clone(), (Arc::clone(&decided), left));
        }
        decided
    }

    fn count(&mut self, decided: &Decided) {
        if let Some(i) = decided.pool {
            self.fleet.pools[i].backlog += 1;
        }
    }

    /// Decides, and changes nothing.
    pub fn decide(&self, task: &v1::Task) -> Decided {
        let none = Rule::default();
        let info = self.fleet.types.get(&task.task_type);
        let rule = info.map_or(&none, |t| &t.rule);
        let asked = task.requirements.as_ref().map(json::to_requirements).unwrap_or_default();
        let needs =
            enrich::enrich(&asked, rule, info.and_then(|t: &TypeInfo| t.measured.as_ref()), &self.defaults);
        let decision = decide::decide(&task.task_type, &needs, &self.fleet.pools, &self.weights);
        let attempts = task.retry.as_ref().map(|r| r.max_attempts).filter(|n| *n > 0);
        let (chosen, max_attempts) = (decision.chosen, enrich::max_attempts(attempts, rule, &self.defaults));
        Decided::new(needs, chosen, route(&self.fleet, decision), max_attempts)
    }

    /// Who is missing for a task that nobody can do now.
    pub fn missing(&self, task: &v1::Task) -> Refusal {
        let needs = self.decide(task).needs;
        let missing = decide::missing(&task.task_type, &needs, &self.fleet.pools);
        Refusal::new(missing_code(&missing), missing.to_string())
    }
}

fn missing_code(missing: &Missing) -> Code {
    match missing {
        Missing::TaskType { .. } => code::UNKNOWN_TASK_TYPE,
        Missing::Capabilities { .. } => code::NO_CAPABILITY,
        Missing::Memory { .. } => code::TOO_LITTLE_MEMORY,
        Missing::AnyWorker | Missing::Running { .. } | Missing::Nothing => code::POOLS_DOWN,
    }
}

fn route(fleet: &Fleet, decision: decide::Decision) -> v1::Route {
    let pool = decision.chosen.map(|i| fleet.pools[i].name.clone()).unwrap_or_default();
    let score = decision.candidates.first().filter(|c| c.eligible).map_or(0.0, |c| c.score);
    let candidates = decision
        .candidates
        .into_iter()
        .map(|c| v1::Candidate { pool: c.pool, score: rounded(c.score), why: c.why, eligible: c.eligible })
        .collect();
    v1::Route { pool, score: rounded(score), reason: decision.reason, candidates }
}

/// Four places say all that a person can use.
fn rounded(score: f64) -> f64 {
    (score * 1e4).round() / 1e4
}

/// Notes in a task's story that it is routed: one hop more, and the last decision, if there was one, gives way to
/// the one that the message is encoded with.
pub fn hop(routed: &mut v1::Routed, decided: &Decided, now_us: i64) {
    (routed.needs, routed.route) = (None, None);
    // What was promised at first holds for the task's whole life.
    if routed.max_attempts == 0 {
        routed.max_attempts = decided.max_attempts;
    }
    routed.routed_at_us = now_us;
    routed.hops += 1;
}

/// How long a task that nobody can do now rests before it is looked at again: a second; where very many wait, so long
/// that no more than two thousand are looked at in a second.
pub fn rest_ms(waiting: u64) -> u64 {
    (waiting / 2).clamp(1_000, 300_000)
}

/// Whether a task has waited long enough for somebody who can do it.
pub fn waited_enough(submitted_at_us: i64, now_us: i64, has_deadline: bool, wait_s: u64) -> bool {
    let waited_us = u64::try_from(now_us - submitted_at_us).unwrap_or(0);
    wait_s != 0 && !has_deadline && waited_us / 1_000_000 >= wait_s
}
