//! Subjects outside the lanes (those are `tasklane_domain::lane`).

/// A submission whose body is a task.
pub const SUBMIT: &str = "tasks.submit";
/// Prefix of a submission whose body is the bare payload: `tasks.submit.<task type>`.
pub const SUBMIT_PREFIX: &str = "tasks.submit.";
/// Retries, delayed tasks that are due, and tasks that were handed back re-enter here.
pub const RETRY: &str = "tasks.retry";
/// Prefix of the message schedules.
pub const SCHEDULE_PREFIX: &str = "tasks.sched.";
/// Prefix of the results.
pub const RESULT_PREFIX: &str = "results.";
/// Prefix of the dead letters.
pub const DEAD_PREFIX: &str = "dead.";
/// Prefix of the request/reply endpoints.
pub const API: &str = "api";

/// `results.<task id>`.
pub fn result(task_id: &str) -> String {
    format!("{RESULT_PREFIX}{task_id}")
}

/// `tasks.sched.<task id>`: publishing again replaces the schedule, so a task has at most one.
pub fn schedule(task_id: &str) -> String {
    format!("{SCHEDULE_PREFIX}{task_id}")
}

/// `dead.<capability>`.
pub fn dead(capability: &str) -> String {
    format!("{DEAD_PREFIX}{capability}")
}

/// `events.<task type>.<task id>.<kind>`, over core NATS.
pub fn event(task_type: &str, task_id: &str, kind: &str) -> String {
    format!("events.{task_type}.{task_id}.{kind}")
}

/// `api.run.<task type>`.
pub fn run(task_type: &str) -> String {
    format!("{API}.run.{task_type}")
}
