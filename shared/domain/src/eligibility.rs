//! Which pools may get a task at all, and why the others may not.

use std::fmt;

use crate::enrich::Needs;
use crate::pool::Pool;

/// One reason why a pool cannot get a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ineligible {
    /// No worker of it announced itself lately, or none has a slot.
    NotLive,
    /// Somebody paused it.
    Paused,
    /// Its workers did not announce the task type.
    DoesNotServe,
    /// Required capabilities it lacks, in the order the task names them.
    MissingCapabilities(Vec<String>),
    /// A task may use less memory on it than this one needs.
    TooLittleMemory {
        /// What a task may use there, in MB.
        has: u64,
        /// What the task needs, in MB.
        needs: u64,
    },
}

impl fmt::Display for Ineligible {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotLive => f.write_str("has no live worker"),
            Self::Paused => f.write_str("is paused"),
            Self::DoesNotServe => f.write_str("does not serve this task type"),
            Self::MissingCapabilities(names) => write!(f, "lacks {}", names.join(", ")),
            Self::TooLittleMemory { has, needs } => {
                write!(f, "gives a task {has} MB of memory where {needs} MB are needed")
            }
        }
    }
}

/// Checks whether a pool may get a task: live, not paused, serving the type, with all capabilities and the memory.
///
/// # Errors
/// With every reason against it.
pub fn check(pool: &Pool, task_type: &str, needs: &Needs) -> Result<(), Vec<Ineligible>> {
    let mut against = Vec::new();
    if !pool.is_running() {
        against.push(Ineligible::NotLive);
    }
    if pool.paused {
        against.push(Ineligible::Paused);
    }
    if !pool.serves(task_type) {
        against.push(Ineligible::DoesNotServe);
    }
    let lacking: Vec<String> =
        needs.capabilities.iter().filter(|c| !pool.capabilities.contains(*c)).cloned().collect();
    if !lacking.is_empty() {
        against.push(Ineligible::MissingCapabilities(lacking));
    }
    if !pool.has_memory(needs.memory_mb) {
        against.push(Ineligible::TooLittleMemory { has: pool.memory_mb, needs: needs.memory_mb });
    }
    if against.is_empty() { Ok(()) } else { Err(against) }
}

/// The same answer as [`check`] without its reasons, and without allocating.
#[must_use]
pub fn is_eligible(pool: &Pool, task_type: &str, needs: &Needs) -> bool {
    pool.is_running()
        && !pool.paused
        && pool.has_memory(needs.memory_mb)
        && pool.serves(task_type)
        && needs.capabilities.iter().all(|c| pool.capabilities.contains(c))
}
