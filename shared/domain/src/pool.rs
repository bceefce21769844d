//! A pool as the router sees it: what its workers announced, and how much waits for it.

use std::collections::{BTreeMap, BTreeSet};

use crate::enrich::Measured;

/// What was measured of a task type on a pool; none before the first attempt.
pub type TaskStats = Option<Measured>;

/// The replicas of one kind of worker, taken together.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Pool {
    /// Its name, unique among the pools.
    pub name: String,
    /// The type of its workers, such as `document_processor`.
    pub worker_type: String,
    /// What its workers can do.
    pub capabilities: BTreeSet<String>,
    /// The task types its workers serve, with what was measured.
    pub task_types: BTreeMap<String, TaskStats>,
    /// How many workers are live.
    pub workers: u32,
    /// How many tasks they run at once, summed.
    pub slots: u32,
    /// Memory one task may use on it, in MB; 0 if unstated, which counts as enough.
    pub memory_mb: u64,
    /// Whether a worker announced itself lately.
    pub live: bool,
    /// Whether somebody paused it.
    pub paused: bool,
    /// Tasks queued on its lanes and running.
    pub backlog: u64,
}

impl Pool {
    /// Whether its workers announced the task type.
    #[must_use]
    pub fn serves(&self, task_type: &str) -> bool {
        self.task_types.contains_key(task_type)
    }

    /// What was measured of a task type, if it can be reckoned with.
    #[must_use]
    pub fn measured(&self, task_type: &str) -> Option<&Measured> {
        self.task_types.get(task_type)?.as_ref().filter(|m| m.is_sane())
    }

    /// Whether a task may use this much memory on it.
    #[must_use]
    pub fn has_memory(&self, needed_mb: u64) -> bool {
        self.memory_mb == 0 || self.memory_mb >= needed_mb
    }

    /// Whether somebody is there with a slot.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.live && self.slots > 0
    }
}
