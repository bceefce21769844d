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

/// The NATS service that answers on `api.>`, and the one that the openai-proxies make together.
pub const SERVICE: &str = "tasklane";
/// The service on `api.llm.>`.
pub const LLM_SERVICE: &str = "tasklane-llm";
/// Which models there are.
pub const LLM_MODELS: &str = "api.llm.models";
/// What was used, by tenant, model and day.
pub const LLM_USAGE: &str = "api.llm.usage";
/// How much of their budgets tenants have spent.
pub const LLM_BUDGETS: &str = "api.llm.budgets";

/// The service on `api.models.>`. Every ml worker answers for itself: who asks waits for several answers.
pub const MODELS_SERVICE: &str = "tasklane-models";
/// Which models each worker has, and which are loaded.
pub const MODELS_LIST: &str = "api.models.list";
/// Loads a model on each worker, and keeps it.
pub const MODELS_LOAD: &str = "api.models.load";
/// Takes a model out of each worker's memory.
pub const MODELS_UNLOAD: &str = "api.models.unload";

/// Prefix of the logs of collections of vectors: `vectors.<collection id>`.
pub const VECTORS_PREFIX: &str = "vectors.";
/// The service on `api.vectors.>`. Every vector indexer answers for itself.
pub const VECTORS_SERVICE: &str = "tasklane-vectors";
/// Which collections each vector indexer has, and how far it is with each.
pub const VECTORS_REPLICAS: &str = "api.vectors.replicas";

/// First tokens of subjects that are ours, or the server's: nobody may have a result sent there.
const RESERVED: [&str; 7] = ["tasks", "work", "results", "dead", "events", "vectors", API];

/// Checks where a publisher wants the result sent to. Workers send it with their own permissions, so that a subject
/// which is stored or acted on would let a publisher write with them: another task's result, or a task.
///
/// # Errors
/// What is wrong with it.
pub fn check_reply(subject: &str) -> Result<(), String> {
    let is_wrong = |token: &str| {
        token.is_empty()
            || token.contains(['*', '>'])
            || token.contains(|c: char| c.is_whitespace() || c.is_control())
    };
    let first = subject.split('.').next().unwrap_or_default();
    if subject.len() > 256 || subject.split('.').any(is_wrong) {
        return Err(format!(
            "{:?} is no subject to publish on",
            subject.chars().take(64).collect::<String>()
        ));
    }
    if first.starts_with('$') || RESERVED.contains(&first) {
        return Err(format!(
            "{first:?} begins subjects that are not for replies; use an inbox, or a name of your own"
        ));
    }
    Ok(())
}

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
