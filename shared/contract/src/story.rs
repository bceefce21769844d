//! A task's story, as results and dead letters tell it. Pure: the time comes in.

use crate::{Refusal, submission::Rejected, time, v1};

/// How an attempt ended, as results name it.
pub mod outcome {
    /// With a result.
    pub const SUCCEEDED: &str = "succeeded";
    /// Failed, and another attempt follows.
    pub const RETRIED: &str = "retried";
    /// Failed, and no other attempt follows.
    pub const FAILED: &str = "failed";
    /// Cancelled while it ran.
    pub const CANCELLED: &str = "cancelled";
    /// The worker died, or was silent for too long.
    pub const LOST: &str = "lost";
}

/// How a task ended.
#[derive(Debug, Clone, PartialEq)]
pub enum End {
    /// With a result and its content type.
    Succeeded(bytes::Bytes, String),
    /// Failed for good.
    Failed(v1::TaskError),
    /// Cancelled on request.
    Cancelled(v1::TaskError),
    /// Past its deadline.
    Expired(v1::TaskError),
}

impl End {
    /// The wire's status.
    pub fn status(&self) -> v1::Status {
        match self {
            Self::Succeeded(..) => v1::Status::Succeeded,
            Self::Failed(_) => v1::Status::Failed,
            Self::Cancelled(_) => v1::Status::Cancelled,
            Self::Expired(_) => v1::Status::Expired,
        }
    }
}

/// The terminal record of a routed task.
pub fn result(routed: v1::Routed, end: End, trace_id: String, now_us: i64) -> v1::TaskResult {
    let status = end.status().into();
    let (result, content_type, error) = match end {
        End::Succeeded(bytes, content_type) => (bytes, content_type, None),
        End::Failed(e) | End::Cancelled(e) | End::Expired(e) => (bytes::Bytes::new(), String::new(), Some(e)),
    };
    let timings = timings(&routed, now_us);
    let task = routed.task.unwrap_or_default();
    v1::TaskResult {
        task_id: task.id,
        task_type: task.task_type,
        status,
        result,
        content_type,
        result_ref: String::new(),
        error,
        attempts: routed.attempts,
        route: routed.route,
        timings: Some(timings),
        trace_id,
        tenant: task.tenant,
        labels: task.labels,
    }
}

fn timings(routed: &v1::Routed, now_us: i64) -> v1::Timings {
    let last = routed.attempts.last();
    let started = last.map_or(0, |a| a.started_at_us);
    v1::Timings {
        submitted_at_us: routed.submitted_at_us,
        routed_at_us: routed.routed_at_us,
        finished_at_us: now_us,
        queue_wait_ms: time::between_ms(routed.routed_at_us, started),
        processing_ms: last.map_or(0.0, |a| a.duration_ms),
    }
}

/// The terminal record of a submission that could not be routed.
pub fn rejected_result(
    rejected: &Rejected,
    submitted_at_us: i64,
    trace_id: String,
    now_us: i64,
) -> v1::TaskResult {
    v1::TaskResult {
        task_id: rejected.task_id.clone(),
        task_type: rejected.task_type.clone(),
        status: v1::Status::Failed.into(),
        error: Some(rejected.refusal.to_error()),
        timings: Some(v1::Timings { submitted_at_us, finished_at_us: now_us, ..v1::Timings::default() }),
        trace_id,
        ..v1::TaskResult::default()
    }
}

/// A dead letter that can be replayed.
pub fn dead_letter(routed: v1::Routed, error: v1::TaskError, subject: &str, now_us: i64) -> v1::DeadLetter {
    v1::DeadLetter {
        error: Some(error),
        story: Some(routed),
        subject: subject.to_owned(),
        died_at_us: now_us,
        ..v1::DeadLetter::default()
    }
}

/// A dead letter of bytes that nobody could read.
pub fn unreadable(
    raw: bytes::Bytes,
    refusal: &Refusal,
    subject: &str,
    headers: std::collections::BTreeMap<String, String>,
    now_us: i64,
) -> v1::DeadLetter {
    v1::DeadLetter {
        error: Some(refusal.to_error()),
        raw,
        subject: subject.to_owned(),
        died_at_us: now_us,
        headers,
        ..v1::DeadLetter::default()
    }
}

/// Counts deliveries that came to nothing as attempts: their workers died, or were silent for too long.
pub fn count_lost(routed: &mut v1::Routed, delivered: u32, pool: &str) {
    let tried = u32::try_from(routed.attempts.len()).unwrap_or(u32::MAX);
    // A message that came back very often shall not grow a story without end.
    for n in 1..delivered.min(100) {
        routed.attempts.push(v1::Attempt {
            n: tried.saturating_add(n),
            pool: pool.to_owned(),
            outcome: outcome::LOST.to_owned(),
            ..v1::Attempt::default()
        });
    }
}

/// Whether the task may be why its workers died: the last one did, and it was not the first or this is the last attempt.
/// A worker that dies once leaves as many tasks as it had in hand, and hardly one of them is to blame; but whoever is not
/// to blame must have an attempt left that nobody else can spoil.
pub fn is_suspect(routed: &v1::Routed) -> bool {
    let lost = |a: &&v1::Attempt| a.outcome == outcome::LOST;
    let tried = u32::try_from(routed.attempts.len()).unwrap_or(u32::MAX);
    let again = routed.attempts.iter().filter(lost).count() > 1;
    routed.attempts.last().as_ref().is_some_and(lost)
        && (again || tried.saturating_add(1) >= routed.max_attempts.max(1))
}

/// The capability under which a task's lane and dead letters are filed.
pub fn capability(routed: &v1::Routed) -> &str {
    routed
        .needs
        .as_ref()
        .and_then(|n| n.required_capabilities.first())
        .map_or(tasklane_domain::enrich::ANY_CAPABILITY, String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(attempts: &[&str], max_attempts: u32) -> bool {
        let attempts = attempts
            .iter()
            .map(|outcome| v1::Attempt { outcome: (*outcome).to_owned(), ..Default::default() });
        is_suspect(&v1::Routed { attempts: attempts.collect(), max_attempts, ..v1::Routed::default() })
    }

    #[test]
    fn who_lost_two_workers_or_has_one_attempt_left_is_a_suspect() {
        assert!(!after(&[], 3) && !after(&["failed"], 3));
        assert!(!after(&["lost"], 3), "whoever was in hand when a worker died once");
        assert!(after(&["lost", "lost"], 3) && after(&["lost", "lost"], 10));
        assert!(after(&["lost", "failed", "lost"], 10));
        assert!(after(&["lost"], 2) && after(&["failed", "lost"], 3), "the last attempt is its own");
        assert!(!after(&["lost", "failed"], 3), "the last worker lived");
        assert!(after(&["lost"], 0), "as where nothing is said: one attempt");
    }
}
