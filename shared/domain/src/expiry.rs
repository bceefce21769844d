//! Delays and deadlines: whether a task may run now, later, or no more.

use crate::requirements::Violation;

/// Whether a task may be worked on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admit {
    /// Now.
    Now,
    /// After this many milliseconds, at least 1.
    Delay(u64),
    /// Never: its deadline is past, or would be before it may start.
    Expired,
}

/// Whether a task may be worked on at `now_ms`. All three are milliseconds of the same clock. A task may run from
/// `not_before_ms` on and until just before `deadline_ms`.
#[must_use]
pub fn admit(now_ms: u64, not_before_ms: Option<u64>, deadline_ms: Option<u64>) -> Admit {
    let start_ms = not_before_ms.map_or(now_ms, |t| t.max(now_ms));
    if deadline_ms.is_some_and(|d| d <= start_ms) {
        return Admit::Expired;
    }
    match start_ms - now_ms {
        0 => Admit::Now,
        wait_ms => Admit::Delay(wait_ms),
    }
}

/// Whether a retry after `delay_ms` would come too late to be worth scheduling.
#[must_use]
pub fn retry_comes_too_late(now_ms: u64, delay_ms: u64, deadline_ms: Option<u64>) -> bool {
    deadline_ms.is_some_and(|d| d <= now_ms.saturating_add(delay_ms))
}

/// How long an attempt that starts now may take, in milliseconds: its max time, cut at the deadline. 0 if that is
/// past.
#[must_use]
pub fn time_limit_ms(now_ms: u64, max_time_ms: u64, deadline_ms: Option<u64>) -> u64 {
    deadline_ms.map_or(max_time_ms, |d| max_time_ms.min(d.saturating_sub(now_ms)))
}

/// Checks the times of a submission: `not_before` no further away than `max_delay_ms`, and before the deadline. A
/// deadline that is past is no violation: the task expires with a result ([`admit`]).
///
/// # Errors
/// With everything that is wrong.
pub fn validate(
    now_ms: u64,
    not_before_ms: Option<u64>,
    deadline_ms: Option<u64>,
    max_delay_ms: u64,
) -> Result<(), Vec<Violation>> {
    let mut wrong = Vec::new();
    if let Some(t) = not_before_ms {
        if t.saturating_sub(now_ms) > max_delay_ms {
            let hours = max_delay_ms / 3_600_000;
            let problem = format!("is too far in the future; give a time within the next {hours} hours");
            wrong.push(Violation::new("not_before", problem));
        }
        if deadline_ms.is_some_and(|d| d <= t) {
            let problem = "is not after `not_before`, so the task could never run; give a later deadline";
            wrong.push(Violation::new("deadline", problem));
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong) }
}
