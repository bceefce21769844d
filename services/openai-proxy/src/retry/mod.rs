//! What follows when an upstream fails: wait and ask it again, ask the next candidate of the route, or give up.

mod classify;
mod hints;

use std::time::Duration;

use tasklane_runtime::domain::retry::{Backoff, delay_ms};

pub use classify::{Blame, Class, Failure, Transport, blame, classify};
pub use hints::Hints;

#[cfg(test)]
mod tests;

/// The backoff of the official clients where an upstream names no time: a window from half a second up to 8 s.
pub const BACKOFF: Backoff = Backoff { base_ms: 500, cap_ms: 8_000, factor: 2.0 };

/// How far one candidate is gone after.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// How often one candidate is asked, the first time included.
    pub max_attempts: u32,
    /// No wait is longer. The caller gives the lesser of what is configured and the time that the call has left.
    pub max_wait: Duration,
}

/// What follows a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Ask the same candidate again after this time.
    Wait(Duration),
    /// Ask the next candidate now. Where there is none, what this one answered is the answer.
    NextCandidate,
    /// The failure is the answer: it is the request's fault, or it is too late.
    GiveUp,
}

/// Decides what follows when a candidate failed for the given attempt, counted from 1, with `random` in `[0, 1)`.
///
/// The rules of the official clients, Python's `openai` 3.52: `x-should-retry` overrides the status; an upstream's own
/// time stands as it is, and one that is zero, past or unreadable counts as none; without one there is full jitter over
/// [`BACKOFF`]. A wait past the bound means that others are asked instead.
#[must_use]
pub fn next(failure: &Failure<'_>, hints: &Hints, attempt: u32, bounds: &Bounds, random: f64) -> Next {
    let class = classify(failure);
    let otherwise = match class {
        Class::Request | Class::TooLate => Next::GiveUp,
        Class::Passing | Class::Candidate => Next::NextCandidate,
    };
    let retriable = match class {
        Class::TooLate => false,
        _ => hints.should_retry.unwrap_or(class == Class::Passing),
    };
    if !retriable || attempt >= bounds.max_attempts {
        return otherwise;
    }
    let wait =
        hints.retry_after.unwrap_or_else(|| Duration::from_millis(delay_ms(&BACKOFF, attempt, random)));
    if wait > bounds.max_wait { otherwise } else { Next::Wait(wait) }
}
