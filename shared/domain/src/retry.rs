//! Whether a failed task is tried again, and when.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The shortest delay, in milliseconds, so that jitter near zero does not hammer whatever just failed.
pub const FLOOR_MS: u64 = 50;

/// The longest delay a handler may ask for, in milliseconds: a day.
pub const MAX_RETRY_AFTER_MS: u64 = 24 * 3_600_000;

/// The longest that a task is put off again and again without an attempt that counts, in milliseconds since it was
/// submitted: a month's budget has opened again by then.
pub const LONGEST_PUT_OFF_MS: u64 = 32 * 24 * 3_600_000;

/// Exponential backoff: the window doubles (by `factor`) with every attempt, up to a cap.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Backoff {
    /// The window after the first attempt, in milliseconds.
    pub base_ms: u64,
    /// No window and no delay is longer, in milliseconds.
    pub cap_ms: u64,
    /// How much the window grows per attempt; below 1 it counts as 1.
    pub factor: f64,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { base_ms: 500, cap_ms: 60_000, factor: 2.0 }
    }
}

impl Backoff {
    /// The window of an attempt, in milliseconds: `base * factor^(attempt - 1)`, at most the cap.
    #[must_use]
    pub fn window_ms(&self, attempt: u32) -> u64 {
        let factor = if self.factor.is_finite() { self.factor.max(1.0) } else { 1.0 };
        let exponent = i32::try_from(attempt.saturating_sub(1)).unwrap_or(i32::MAX);
        let window = self.base_ms as f64 * factor.powi(exponent);
        // Not a number only for 0 * infinity: a base of 0 stays 0. The cast saturates.
        if window.is_nan() { 0 } else { (window as u64).min(self.cap_ms) }
    }
}

/// How long to wait after the given attempt (counted from 1) failed, in milliseconds.
///
/// "Full jitter": anywhere in the window, uniformly, by `random` in `[0, 1)`; see Marc Brooker, "Exponential
/// Backoff And Jitter", AWS Architecture Blog, 2015. Never below [`FLOOR_MS`], except where the cap is; never above
/// the cap.
#[must_use]
pub fn delay_ms(backoff: &Backoff, attempt: u32, random: f64) -> u64 {
    let random = if random.is_finite() { random.clamp(0.0, 1.0) } else { 0.5 };
    let jittered = (backoff.window_ms(attempt) as f64 * random) as u64;
    jittered.max(FLOOR_MS).min(backoff.cap_ms)
}

/// How long a task waits that its handler put off for a reason that lies outside the task, in milliseconds; `None` where
/// it has been put off for too long already. `random` in `[0, 1)` adds up to a tenth, so that those who were told the
/// same time do not all come back at once.
#[must_use]
pub fn put_off_ms(asked_ms: u64, age_ms: u64, random: f64) -> Option<u64> {
    if age_ms >= LONGEST_PUT_OFF_MS {
        return None;
    }
    let random = if random.is_finite() { random.clamp(0.0, 1.0) } else { 0.5 };
    let asked = asked_ms.clamp(FLOOR_MS, MAX_RETRY_AFTER_MS);
    Some(asked + (asked as f64 * random / 10.0) as u64)
}

/// How an attempt failed, as far as retrying is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Failure {
    /// Whether another attempt may succeed.
    pub retriable: bool,
    /// When the handler asks to be called again, in milliseconds from now.
    pub retry_after_ms: Option<u64>,
}

/// What follows a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Try again after this many milliseconds.
    RetryAfter(u64),
    /// Do not try again: the task becomes a dead letter.
    GiveUp(GiveUp),
}

/// Why a task is not tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GiveUp {
    /// The failure is permanent.
    Permanent,
    /// It had all its attempts.
    AttemptsUsedUp {
        /// The attempt that failed, counted from 1.
        attempt: u32,
        /// How many there are.
        max: u32,
    },
}

impl fmt::Display for GiveUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Permanent => f.write_str("the failure is permanent, so another attempt would fail as well"),
            Self::AttemptsUsedUp { attempt, max } => {
                write!(f, "attempt {attempt} of {max} failed, and no more are allowed")
            }
        }
    }
}

/// Decides what follows when the given attempt (counted from 1) failed. A handler's own `retry_after_ms` stands
/// instead of the backoff, between [`FLOOR_MS`] and [`MAX_RETRY_AFTER_MS`].
#[must_use]
pub fn next(attempt: u32, max_attempts: u32, failure: &Failure, backoff: &Backoff, random: f64) -> Next {
    if !failure.retriable {
        return Next::GiveUp(GiveUp::Permanent);
    }
    if attempt >= max_attempts {
        return Next::GiveUp(GiveUp::AttemptsUsedUp { attempt, max: max_attempts });
    }
    Next::RetryAfter(match failure.retry_after_ms {
        Some(asked) => asked.clamp(FLOOR_MS, MAX_RETRY_AFTER_MS),
        None => delay_ms(backoff, attempt, random),
    })
}
