//! Streams, consumers and buckets: every definition, in one place. `shared/bus` provisions them.

use std::time::Duration;

use tasklane_domain::{lane, priority::Priority};

/// The stream of what came in.
pub const TASKS: &str = "TASKS";
/// The stream of routed work.
pub const WORK: &str = "WORK";
/// The stream of terminal records.
pub const RESULTS: &str = "RESULTS";
/// The stream of dead letters.
pub const DEAD: &str = "DEAD";
/// The stream of what is done to collections of vectors: every collection's log is a subject of it. A collection's
/// snapshot is what lets go of messages.
pub const VECTORS: &str = "VECTORS";
/// The router's consumer on `TASKS`.
pub const ROUTER_CONSUMER: &str = "router";

/// Announcements, by `<pool>.<worker>`.
pub const WORKERS: &str = "workers";
/// Ids of cancelled tasks.
pub const CANCELLED: &str = "cancelled";
/// Operators' switches, such as `pause.<pool>`.
pub const CONTROL: &str = "control";
/// What model calls have spent: limits and budgets of tenants, models and providers, and their usage.
pub const LLM: &str = "llm";
/// Payloads and results past the message size.
pub const PAYLOADS: &str = "payloads";
/// Answers of models that may be given again. Losing it costs calls, nothing else.
pub const LLM_CACHE: &str = "llm-cache";
/// How long they are kept, at most.
pub const LLM_CACHE_AGE: Duration = Duration::from_secs(24 * 3600);
/// Bytes of them that are kept; no more are taken then.
const LLM_CACHE_BYTES: i64 = 1 << 30;
/// Models: one object for each version, `name/version`, an archive of the model's folder.
pub const MODELS: &str = "models";
/// Collections of vectors: the bucket that names them, and the store of their snapshots.
pub const COLLECTIONS: &str = "vectors";
/// Documents that tasks name as `obj://documents/<name>`.
pub const DOCUMENTS: &str = "documents";

/// What an operator may choose.
#[derive(Debug, Clone)]
pub struct Policy {
    /// Copies of each stream: 1, 3 or 5.
    pub replicas: usize,
    /// The window in which a message id is refused the second time; ids are kept in the server's memory.
    pub dedupe: Duration,
    /// How long a result is kept.
    pub results_age: Duration,
    /// Bytes of results that are kept; the oldest go first. -1: not bounded.
    pub results_bytes: i64,
    /// How long a dead letter is kept.
    pub dead_age: Duration,
    /// How long a worker may be silent about a task in hand before it goes to another.
    pub ack_wait: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        let day = Duration::from_secs(24 * 3600);
        Self {
            replicas: 1,
            dedupe: Duration::from_secs(120),
            results_age: day,
            results_bytes: 4 << 30,
            dead_age: 14 * day,
            ack_wait: Duration::from_secs(5),
        }
    }
}

/// A stream's definition.
#[derive(Debug, Clone, PartialEq)]
pub struct StreamDef {
    /// Its name.
    pub name: &'static str,
    /// What it captures.
    pub subjects: Vec<String>,
    /// A message leaves when it is acknowledged.
    pub work_queue: bool,
    /// How long a message is kept; zero: for ever.
    pub max_age: Duration,
    /// Bytes that are kept; -1: not bounded.
    pub max_bytes: i64,
    /// Messages kept of one subject; -1: not bounded.
    pub max_per_subject: i64,
    /// Message schedules (`@at`) may be published.
    pub schedules: bool,
    /// The window in which an id is refused the second time.
    pub dedupe: Duration,
    /// Copies.
    pub replicas: usize,
}

/// All streams.
pub fn streams(policy: &Policy) -> Vec<StreamDef> {
    let base = |name, subjects: &[&str]| StreamDef {
        name,
        subjects: subjects.iter().map(|s| (*s).to_owned()).collect(),
        work_queue: false,
        max_age: Duration::ZERO,
        max_bytes: -1,
        max_per_subject: -1,
        schedules: false,
        dedupe: policy.dedupe,
        replicas: policy.replicas,
    };
    vec![
        StreamDef {
            work_queue: true,
            schedules: true,
            ..base(TASKS, &["tasks.submit", "tasks.submit.*", "tasks.retry", "tasks.sched.>"])
        },
        StreamDef { work_queue: true, ..base(WORK, &["work.*.*.*"]) },
        StreamDef {
            max_age: policy.results_age,
            max_bytes: policy.results_bytes,
            max_per_subject: 1,
            ..base(RESULTS, &["results.*"])
        },
        StreamDef { max_age: policy.dead_age, ..base(DEAD, &["dead.*"]) },
        base(VECTORS, &["vectors.*"]),
    ]
}

/// The stream that captures a subject, by its first word; none for what is not stored.
pub fn stream_of(subject: &str) -> Option<&'static str> {
    match subject.split('.').next() {
        Some("tasks") => Some(TASKS),
        Some("work") => Some(WORK),
        Some("results") => Some(RESULTS),
        Some("dead") => Some(DEAD),
        Some("vectors") => Some(VECTORS),
        _ => None,
    }
}

/// A durable pull consumer's definition.
#[derive(Debug, Clone, PartialEq)]
pub struct ConsumerDef {
    /// Its stream.
    pub stream: &'static str,
    /// Its durable name.
    pub name: String,
    /// What it delivers.
    pub filters: Vec<String>,
    /// How long a delivery may go without a word.
    pub ack_wait: Duration,
    /// Deliveries that may be out; -1: not bounded.
    pub max_ack_pending: i64,
}

/// The router's consumer: everything that came in, but not the schedules themselves.
pub fn router_consumer(policy: &Policy) -> ConsumerDef {
    ConsumerDef {
        stream: TASKS,
        name: ROUTER_CONSUMER.to_owned(),
        filters: vec!["tasks.submit".into(), "tasks.submit.*".into(), "tasks.retry".into()],
        ack_wait: policy.ack_wait,
        max_ack_pending: 50_000,
    }
}

/// The consumer of one lane: a pool at a priority.
pub fn lane_consumer(pool: &str, priority: Priority, policy: &Policy) -> ConsumerDef {
    ConsumerDef {
        stream: WORK,
        name: lane::consumer_name(pool, priority),
        filters: vec![lane::lane_filter(pool, priority)],
        ack_wait: policy.ack_wait,
        // Tasks that wait for somebody who can do them are handed out and put back with a delay, all at once.
        max_ack_pending: if pool == lane::NOWHERE { -1 } else { 50_000 },
    }
}

/// A key-value bucket's definition.
#[derive(Debug, Clone, PartialEq)]
pub struct BucketDef {
    /// Its name.
    pub name: &'static str,
    /// How long a value is kept; zero: for ever.
    pub max_age: Duration,
    /// Bytes that are kept; -1: not bounded.
    pub max_bytes: i64,
    /// Copies.
    pub replicas: usize,
}

/// All key-value buckets.
pub fn buckets(policy: &Policy) -> Vec<BucketDef> {
    let bucket = |name, secs| BucketDef {
        name,
        max_age: Duration::from_secs(secs),
        max_bytes: -1,
        replicas: policy.replicas,
    };
    vec![
        bucket(WORKERS, 5),
        bucket(CANCELLED, 24 * 3600),
        bucket(CONTROL, 0),
        bucket(LLM, 0),
        bucket(COLLECTIONS, 0),
    ]
}

/// The object stores, with how long an object is kept (zero: for ever).
pub fn object_stores(policy: &Policy) -> Vec<BucketDef> {
    let store = |name, max_age| BucketDef { name, max_age, max_bytes: -1, replicas: policy.replicas };
    vec![
        store(PAYLOADS, policy.results_age * 2),
        BucketDef { max_bytes: LLM_CACHE_BYTES, ..store(LLM_CACHE, LLM_CACHE_AGE) },
        store(MODELS, Duration::ZERO),
        store(COLLECTIONS, Duration::ZERO),
        // The last that is made: who finds it knows that all is there.
        store(DOCUMENTS, Duration::ZERO),
    ]
}

/// The key in [`CONTROL`] that pauses a pool while it exists.
pub fn pause_key(pool: &str) -> String {
    format!("pause.{pool}")
}

/// Prefix of the keys in [`CONTROL`] that keep a model loaded while they exist: `models.<name>` or
/// `models.<name>/<version>`.
pub const MODEL_KEYS: &str = "models.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_subject_of_a_stream_leads_to_it() {
        for stream in streams(&Policy::default()) {
            for subject in &stream.subjects {
                let one = subject.replace(['*', '>'], "x");
                assert_eq!(stream_of(&one), Some(stream.name), "{one}");
            }
        }
        for none in ["", "events.echo.x.started", "api.run.echo", "result.x", "_INBOX.x"] {
            assert_eq!(stream_of(none), None, "{none}");
        }
    }
}
