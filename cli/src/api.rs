//! The router's answers on `api.>`, as far as the command shows them. Unknown fields are passed over, so that a newer
//! router can say more.

use serde::Deserialize;

use crate::record::{Attempt, Failure, Route};

/// `api.workers`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Workers {
    /// Every worker that was heard.
    pub workers: Vec<Worker>,
}

/// A worker.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Worker {
    /// Its name.
    pub worker: String,
    /// Its pool.
    pub pool: String,
    /// Its type.
    pub worker_type: String,
    /// What it can do.
    pub capabilities: Vec<String>,
    /// What it serves.
    pub task_types: Vec<TaskType>,
    /// Tasks it can hold.
    pub slots: u32,
    /// Tasks it holds.
    pub busy: u32,
    /// `ready`, `draining`, `gone`.
    pub state: String,
    /// Memory of its process.
    pub resident_mb: u64,
    /// Of its program.
    pub version: String,
    /// Tasks since its start.
    pub finished: u64,
    /// How long ago it was heard.
    pub age_ms: u64,
}

/// A task type that a worker serves.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct TaskType {
    /// Its name.
    pub name: String,
    /// What it does.
    pub description: Option<String>,
    /// What was measured.
    pub measured: Option<Measured>,
}

/// What a worker measured of a task type.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Measured {
    /// Tasks.
    pub count: u64,
    /// Their mean duration.
    pub mean_ms: f64,
    /// Their 95th percentile.
    pub p95_ms: f64,
}

/// `api.lanes`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Lanes {
    /// Every pool; `_` is the waiting room of tasks that nobody can do yet.
    pub lanes: Vec<Lane>,
    /// Every stream.
    pub streams: std::collections::BTreeMap<String, Stream>,
}

/// A pool's lanes.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Lane {
    /// Its name.
    pub pool: String,
    /// A worker was heard lately.
    pub live: bool,
    /// An operator paused it.
    pub paused: bool,
    /// Workers that live.
    pub workers: u32,
    /// Tasks they can hold.
    pub slots: u32,
    /// Tasks that wait.
    pub queued: Queued,
    /// Tasks that run.
    pub running: u64,
    /// What a new task would wait.
    pub expected_wait_ms: Option<f64>,
}

impl Lane {
    /// Whether it is the waiting room: tasks that nobody can do yet. They are handed out and put back in turn, so
    /// that those which count as running wait as well.
    pub fn is_waiting_room(&self) -> bool {
        self.pool == "_"
    }
}

impl Lanes {
    /// Tasks that wait for a worker that can do them.
    pub fn waiting(&self) -> u64 {
        self.lanes.iter().filter(|l| l.is_waiting_room()).map(|l| l.queued.all() + l.running).sum()
    }

    /// The pools, without the waiting room.
    pub fn pools(&self) -> impl Iterator<Item = &Lane> {
        self.lanes.iter().filter(|l| !l.is_waiting_room())
    }
}

/// Tasks that wait, by priority.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Queued {
    /// Lane 0.
    pub critical: u64,
    /// Lane 1.
    pub high: u64,
    /// Lane 2.
    pub normal: u64,
    /// Lane 3.
    pub low: u64,
}

impl Queued {
    /// All of them.
    pub fn all(&self) -> u64 {
        self.critical + self.high + self.normal + self.low
    }
}

/// A stream's size.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Stream {
    /// Messages in it.
    pub messages: u64,
    /// Bytes in it.
    pub bytes: u64,
}

/// `api.route.explain`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Explanation {
    /// What the task needs, as the router filled it in.
    pub needs: Needs,
    /// The decision.
    pub route: Route,
}

/// What a task needs.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Needs {
    /// All of them.
    pub required_capabilities: Vec<String>,
    /// If it can be.
    pub preferred_worker_type: Option<String>,
    /// Of one attempt.
    pub max_processing_time_ms: Option<u64>,
    /// Of one attempt.
    pub memory_requirement_mb: Option<u64>,
}

/// `api.task.cancel`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Cancelled {
    /// The request was taken.
    pub cancelled: bool,
    /// How the task had ended before.
    pub status: Option<String>,
}

/// `api.dead.list`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct DeadList {
    /// Dead letters.
    pub dead: Vec<Dead>,
    /// Where the next page starts.
    pub next: Option<u64>,
}

/// A dead letter.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Dead {
    /// Its place in the stream `DEAD`, which names it.
    pub sequence: u64,
    /// None where the submission could not be read.
    pub task_id: Option<String>,
    /// None where the submission could not be read.
    pub task_type: Option<String>,
    /// Why it died.
    pub error: Option<Failure>,
    /// RFC 3339.
    pub died_at: Option<String>,
    /// Whether it can be submitted again.
    pub replayable: bool,
    /// Every delivery to a worker.
    pub attempts: Vec<Attempt>,
    /// The router's last decision.
    pub route: Option<Route>,
    /// Of the task.
    pub payload: Option<Box<serde_json::value::RawValue>>,
    /// The bytes as they came, where they could not be read.
    pub raw: Option<String>,
    /// Where it came from.
    pub subject: String,
}

/// `api.dead.replay`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Replay {
    /// Submitted again.
    pub replayed: Vec<Replayed>,
    /// Not submitted again.
    pub refused: Vec<Unreplayed>,
}

/// A dead letter that was submitted again.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Replayed {
    /// The dead letter.
    pub sequence: u64,
    /// The task that died.
    pub task_id: String,
    /// The task that lives.
    pub new_task_id: String,
}

/// A dead letter that was not submitted again.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Unreplayed {
    /// The dead letter.
    pub sequence: u64,
    /// Why.
    pub why: String,
}

/// `api.pool.pause` and `api.pool.resume`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Pool {
    /// Its name.
    pub pool: String,
    /// As it is now.
    pub paused: bool,
}
