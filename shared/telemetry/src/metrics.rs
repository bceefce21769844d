//! The metrics of a process, in the OpenMetrics text format.
//!
//! What every service has in common is named here once; a service adds its own with [`Metrics::counter`],
//! [`Metrics::gauge`] and [`Metrics::histogram`]. All names start with `tasklane_`.

mod instrument;
mod labels;
mod process;

use std::any::Any;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use prometheus_client::encoding::text;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Metric, Registry};

pub use instrument::{Amount, Counter, DURATION_BUCKETS, Gauge, Histogram, Level};
use labels::{Exported, Make};
pub use labels::{Family, Instrument, MAX_SERIES, MAX_VALUES, OTHER};

/// `Content-Type` of [`Metrics::encode`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// Start of every name that is ours.
const PREFIX: &str = "tasklane";

/// How a task ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// With a result.
    Succeeded,
    /// For good, with an error.
    Failed,
    /// Because somebody asked for it.
    Cancelled,
    /// Past its deadline.
    Expired,
}

impl Outcome {
    const ALL: [Self; 4] = [Self::Succeeded, Self::Failed, Self::Cancelled, Self::Expired];

    /// The label's value.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
        }
    }
}

/// The metrics of one task type, found once and then free of look-ups.
#[derive(Debug)]
pub struct TaskMetrics {
    outcomes: [Counter; 4],
    duration: Histogram,
    queue_wait: Histogram,
    retries: Counter,
}

impl TaskMetrics {
    /// Counts a task that ended.
    pub fn ended(&self, outcome: Outcome) {
        self.outcomes[outcome as usize].inc();
    }

    /// Records how long a handler ran.
    pub fn duration(&self, duration: Duration) {
        self.duration.observe_duration(duration);
    }

    /// Records how long a task lay in its lane.
    pub fn queue_wait(&self, wait: Duration) {
        self.queue_wait.observe_duration(wait);
    }

    /// Counts an attempt that will be followed by another.
    pub fn retried(&self) {
        self.retries.inc();
    }
}

/// The metrics of a process. Cheap to clone; clones share everything.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    registry: Mutex<Registered>,
    tasks: RwLock<HashMap<Box<str>, Arc<TaskMetrics>>>,
    families: Families,
}

struct Registered {
    registry: Registry,
    /// What was registered under a name, so that asking twice gives the same.
    by_name: HashMap<String, Box<dyn Any + Send>>,
}

struct Families {
    tasks: Family<Counter, 2>,
    duration: Family<Histogram, 1>,
    queue_wait: Family<Histogram, 1>,
    retries: Family<Counter, 1>,
    backlog: Family<Gauge, 2>,
    slots: Family<Gauge, 1>,
    dead: Family<Counter, 2>,
    decisions: Family<Counter, 2>,
}

impl Metrics {
    /// The metrics of a service; its name is shown by `tasklane_service_info`.
    pub fn new(service: &str) -> Self {
        let mut registry = Registry::default();
        let info = vec![("service", service.to_owned()), ("version", env!("CARGO_PKG_VERSION").to_owned())];
        registry.sub_registry_with_prefix(PREFIX).register(
            "service",
            "The service of this process",
            Info::new(info),
        );
        registry.register_collector(Box::new(process::Process));
        let mut registered = Registered { registry, by_name: HashMap::new() };
        let families = Families::register(&mut registered);
        Self(Arc::new(Inner {
            registry: Mutex::new(registered),
            tasks: RwLock::new(HashMap::new()),
            families,
        }))
    }

    /// The metrics of a task type. Types past [`MAX_VALUES`] share those of [`OTHER`].
    pub fn task(&self, task_type: &str) -> Arc<TaskMetrics> {
        let read = self.0.tasks.read().unwrap_or_else(PoisonError::into_inner);
        let shown = if read.len() < MAX_VALUES { task_type } else { OTHER };
        if let Some(found) = read.get(task_type).or_else(|| read.get(shown)) {
            return Arc::clone(found);
        }
        drop(read);
        let mut write = self.0.tasks.write().unwrap_or_else(PoisonError::into_inner);
        let shown = if write.len() < MAX_VALUES { task_type } else { OTHER };
        Arc::clone(write.entry(shown.into()).or_insert_with(|| Arc::new(self.0.families.task(shown))))
    }

    /// Tasks waiting on a lane of a pool, by priority (0 is the highest).
    pub fn lane_backlog(&self, pool: &str, priority: u8) -> Gauge {
        const PRIORITIES: [&str; 4] = ["0", "1", "2", "3"];
        let priority = PRIORITIES.get(usize::from(priority)).copied().unwrap_or(OTHER);
        self.0.families.backlog.with([pool, priority])
    }

    /// Forgets the lanes of a pool that is no more.
    pub fn forget_pool(&self, pool: &str) {
        self.0.families.backlog.forget(|[p, _]| p == pool);
    }

    /// Slots this worker has.
    pub fn slots_total(&self) -> Gauge {
        self.0.families.slots.with(["total"])
    }

    /// Slots of this worker that run a task now.
    pub fn slots_busy(&self) -> Gauge {
        self.0.families.slots.with(["busy"])
    }

    /// Dead letters of a task type, by code.
    pub fn dead_letters(&self, task_type: &str, code: &str) -> Counter {
        self.0.families.dead.with([task_type, code])
    }

    /// Decisions of the router for a pool, by outcome such as `routed`, `spilled`, `waiting`, `rejected`.
    pub fn router_decisions(&self, pool: &str, outcome: &str) -> Counter {
        self.0.families.decisions.with([pool, outcome])
    }

    /// A service's own counter `tasklane_<name>_total`. Give `name` without either; asking again for a name with
    /// as many labels gives the same family.
    pub fn counter<const N: usize>(
        &self,
        name: &str,
        help: &str,
        labels: [&'static str; N],
    ) -> Family<Counter, N> {
        self.registered().family(name, help, labels, Make::new(Default::default))
    }

    /// A service's own gauge `tasklane_<name>`.
    pub fn gauge<const N: usize>(
        &self,
        name: &str,
        help: &str,
        labels: [&'static str; N],
    ) -> Family<Gauge, N> {
        self.registered().family(name, help, labels, Make::new(Default::default))
    }

    /// A service's own counter of amounts `tasklane_<name>_total`, as [`Metrics::counter`].
    pub fn amount<const N: usize>(
        &self,
        name: &str,
        help: &str,
        labels: [&'static str; N],
    ) -> Family<Amount, N> {
        self.registered().family(name, help, labels, Make::new(Default::default))
    }

    /// A service's own gauge `tasklane_<name>` of a number that is not whole.
    pub fn level<const N: usize>(
        &self,
        name: &str,
        help: &str,
        labels: [&'static str; N],
    ) -> Family<Level, N> {
        self.registered().family(name, help, labels, Make::new(Default::default))
    }

    /// A service's own histogram `tasklane_<name>`; end the name in its unit. [`DURATION_BUCKETS`] suit seconds.
    pub fn histogram<const N: usize>(
        &self,
        name: &str,
        help: &str,
        labels: [&'static str; N],
        buckets: &[f64],
    ) -> Family<Histogram, N> {
        self.registered().family(name, help, labels, histogram_of(buckets))
    }

    /// Everything in the OpenMetrics text format; serve it as [`CONTENT_TYPE`].
    pub fn encode(&self) -> String {
        let mut out = String::with_capacity(4096);
        match text::encode(&mut out, &self.registered().registry) {
            Ok(()) => out,
            // Writing into a String cannot fail; should an encoder give up all the same, say so and show nothing.
            Err(error) => {
                tracing::error!(%error, "metrics could not be written");
                "# EOF\n".to_owned()
            }
        }
    }

    fn registered(&self) -> std::sync::MutexGuard<'_, Registered> {
        self.0.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

impl Families {
    fn register(to: &mut Registered) -> Self {
        let time = || histogram_of(&DURATION_BUCKETS);
        Self {
            tasks: to.family("tasks", "Tasks that ended", ["task_type", "outcome"], count()),
            duration: to.family("task_duration_seconds", "Time handlers ran", ["task_type"], time()),
            queue_wait: to.family("queue_wait_seconds", "Time tasks lay in a lane", ["task_type"], time()),
            retries: to.family("retries", "Attempts followed by another", ["task_type"], count()),
            backlog: to.family("lane_backlog", "Tasks waiting on a lane", ["pool", "priority"], level()),
            slots: to.family("slots", "Slots of this worker", ["state"], level()),
            dead: to.family("dead_letters", "Tasks given up", ["task_type", "code"], count()),
            decisions: to.family("router_decisions", "Decisions of the router", ["pool", "outcome"], count()),
        }
    }

    fn task(&self, task_type: &str) -> TaskMetrics {
        TaskMetrics {
            outcomes: Outcome::ALL.map(|outcome| self.tasks.with([task_type, outcome.as_str()])),
            duration: self.duration.with([task_type]),
            queue_wait: self.queue_wait.with([task_type]),
            retries: self.retries.with([task_type]),
        }
    }
}

fn count() -> Make<<Counter as Instrument>::Inner> {
    Make::new(Default::default)
}

fn level() -> Make<<Gauge as Instrument>::Inner> {
    Make::new(Default::default)
}

fn histogram_of(buckets: &[f64]) -> Make<<Histogram as Instrument>::Inner> {
    let buckets = buckets.to_vec();
    Make::new(move || Histogram::new(&buckets).0)
}

impl Registered {
    fn family<I: Instrument, const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        labels: [&'static str; N],
        make: Make<I::Inner>,
    ) -> Family<I, N>
    where
        Exported<I::Inner>: Metric,
    {
        let name = name.trim_start_matches("tasklane_").trim_end_matches("_total");
        if let Some(known) = self.by_name.get(name) {
            if let Some(known) = known.downcast_ref::<Family<I, N>>() {
                return known.clone();
            }
            tracing::error!(name, "two metrics of different kinds share a name: the second is not exported");
            return Family::new(labels, make);
        }
        let family = Family::new(labels, make);
        self.registry.sub_registry_with_prefix(PREFIX).register(name, help, family.exported());
        self.by_name.insert(name.to_owned(), Box::new(family.clone()));
        family
    }
}

#[cfg(test)]
mod tests;
