//! Who was missing when nobody is eligible for a task.

use std::fmt;

use crate::eligibility;
use crate::enrich::Needs;
use crate::name;
use crate::pool::Pool;

/// Who or what was missing, the most fundamental lack first. Its text is for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Missing {
    /// Nothing: a pool is eligible.
    Nothing,
    /// No worker ever announced itself.
    AnyWorker,
    /// No pool serves the task type.
    TaskType {
        /// The type that was asked for.
        task_type: String,
        /// A type that is served and spelt alike.
        did_you_mean: Option<String>,
    },
    /// No pool that serves the type has all required capabilities.
    Capabilities {
        /// The pools that serve the type.
        serving: Vec<String>,
        /// The capabilities none of them has. Empty if each is there, but not together.
        nobody_has: Vec<String>,
        /// All required capabilities.
        required: Vec<String>,
    },
    /// No pool that could do it otherwise gives a task that much memory.
    Memory {
        /// What the task needs, in MB.
        needs_mb: u64,
        /// The most a task may use on one of the pools, in MB.
        most_mb: u64,
        /// That pool.
        pool: String,
    },
    /// The pools that could do it have no live worker, or are paused.
    Running {
        /// Those without a live worker.
        dead: Vec<String>,
        /// Those that are live and paused.
        paused: Vec<String>,
    },
}

/// Says who was missing. The order of the pools makes no difference.
#[must_use]
pub fn missing(task_type: &str, needs: &Needs, pools: &[Pool]) -> Missing {
    if pools.iter().any(|p| eligibility::is_eligible(p, task_type, needs)) {
        return Missing::Nothing;
    }
    if pools.is_empty() {
        return Missing::AnyWorker;
    }
    let mut serving: Vec<&Pool> = pools.iter().filter(|p| p.serves(task_type)).collect();
    serving.sort_by(|a, b| a.name.cmp(&b.name));
    if serving.is_empty() {
        return unknown_type(task_type, pools);
    }
    let has = |p: &Pool, c: &String| p.capabilities.contains(c);
    let capable: Vec<&Pool> =
        serving.iter().copied().filter(|p| needs.capabilities.iter().all(|c| has(p, c))).collect();
    if capable.is_empty() {
        let nobody_has = needs.capabilities.iter().filter(|c| !serving.iter().any(|p| has(p, c)));
        return Missing::Capabilities {
            nobody_has: nobody_has.cloned().collect(),
            serving: names(&serving),
            required: needs.capabilities.clone(),
        };
    }
    let mut roomy: Vec<&Pool> = capable.iter().copied().filter(|p| p.has_memory(needs.memory_mb)).collect();
    if let (true, Some(most)) = (roomy.is_empty(), capable.iter().rev().max_by_key(|p| p.memory_mb)) {
        return Missing::Memory {
            needs_mb: needs.memory_mb,
            most_mb: most.memory_mb,
            pool: most.name.clone(),
        };
    }
    let paused = roomy.extract_if(.., |p| p.is_running()).collect::<Vec<_>>();
    Missing::Running { dead: names(&roomy), paused: names(&paused) }
}

fn unknown_type(task_type: &str, pools: &[Pool]) -> Missing {
    let mut served: Vec<&str> = pools.iter().flat_map(|p| p.task_types.keys()).map(String::as_str).collect();
    served.sort_unstable();
    served.dedup();
    let did_you_mean = name::closest(task_type, served).map(str::to_owned);
    Missing::TaskType { task_type: task_type.to_owned(), did_you_mean }
}

fn names(pools: &[&Pool]) -> Vec<String> {
    pools.iter().map(|p| p.name.clone()).collect()
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("nothing is missing: a pool is eligible"),
            Self::AnyWorker => {
                f.write_str("no worker has announced itself; start one that serves this task type")
            }
            Self::TaskType { task_type, did_you_mean: Some(known) } => {
                write!(f, "no worker serves task type `{task_type}`; did you mean `{known}`?")
            }
            Self::TaskType { task_type, did_you_mean: None } => {
                write!(f, "no worker serves task type `{task_type}`; start one that does")
            }
            Self::Capabilities { serving, nobody_has, required } => {
                let pools = serving.join(", ");
                if nobody_has.is_empty() {
                    let all = required.join(", ");
                    write!(f, "no pool that serves this task type ({pools}) has {all} together")?;
                } else {
                    let lacking = nobody_has.join(", ");
                    write!(f, "no pool that serves this task type ({pools}) has {lacking}")?;
                }
                f.write_str("; start a worker that does, or require less")
            }
            Self::Memory { needs_mb, most_mb, pool } => write!(
                f,
                "the task needs {needs_mb} MB of memory, and the most a task may use is {most_mb} MB on pool \
                 `{pool}`; start a larger worker, or require less"
            ),
            Self::Running { dead, paused } => write_not_running(f, dead, paused),
        }
    }
}

fn write_not_running(f: &mut fmt::Formatter<'_>, dead: &[String], paused: &[String]) -> fmt::Result {
    f.write_str("the pools that could do it are not running: ")?;
    if !dead.is_empty() {
        write!(f, "no live worker in {}", dead.join(", "))?;
    }
    if !paused.is_empty() {
        let and = if dead.is_empty() { "" } else { "; " };
        write!(f, "{and}paused: {}", paused.join(", "))?;
    }
    f.write_str(if dead.is_empty() { "; resume one" } else { "; start a worker of one" })
}
