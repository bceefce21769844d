//! What a call holds of its accounts until it is settled.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::amounts::{Amounts, Decision, Limits};
use super::lease::Lease;

/// One account as this replica knows it.
#[derive(Debug)]
pub(super) struct Holding {
    pub(super) key: Arc<str>,
    /// Held by whoever writes the account, so that a replica never competes with itself.
    pub(super) writing: tokio::sync::Mutex<()>,
    state: Mutex<State>,
}

/// What calls look at and change; locked for less than a microsecond, never across an await.
#[derive(Debug, Default)]
pub(super) struct State {
    /// One per day: the current one, and around midnight the one before.
    pub(super) leases: Vec<Lease>,
    pub(super) refused: Option<Refused>,
}

/// A refusal, remembered for a moment: a tenant that hammers its limit costs no round trips.
#[derive(Debug, Clone, Copy)]
pub(super) struct Refused {
    pub(super) decision: Decision,
    pub(super) need: Amounts,
    pub(super) limits: Limits,
    pub(super) until_ms: u64,
}

impl Holding {
    pub(super) fn new(key: &str) -> Self {
        Self { key: Arc::from(key), writing: tokio::sync::Mutex::default(), state: Mutex::default() }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        // No code panics while it holds the lock, and every change is whole at each step.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The lease of a day.
    pub(super) fn lease(&mut self, day: u64) -> Option<&mut Lease> {
        self.leases.iter_mut().find(|lease| lease.day == day)
    }

    /// The lease with a serial, if it has not ended.
    pub(super) fn serial(&mut self, serial: u64) -> Option<&mut Lease> {
        self.leases.iter_mut().find(|lease| lease.serial == serial)
    }

    /// The lease of a day, a new one with the next serial if there is none.
    pub(super) fn open(&mut self, day: u64, serials: &AtomicU64) -> &mut Lease {
        let at = self.leases.iter().position(|lease| lease.day == day).unwrap_or_else(|| {
            self.leases.push(Lease::new(serials.fetch_add(1, Ordering::Relaxed), day));
            self.leases.len() - 1
        });
        &mut self.leases[at]
    }

    /// The remembered refusal, if it holds for this need too.
    pub(super) fn refused(&self, now_ms: u64, need: Amounts, limits: &Limits) -> Option<Decision> {
        let refused =
            self.refused.filter(|refused| now_ms < refused.until_ms && refused.limits == *limits)?;
        refused.need.fits(need).then_some(refused.decision)
    }
}

/// What was taken from one account.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) holding: Arc<Holding>,
    pub(super) serial: u64,
    pub(super) slot: u64,
    pub(super) estimate: Amounts,
}

impl Part {
    fn settle(&self, actual: Amounts) {
        // A lease that is gone was closed as it was: the call stays charged at its estimate.
        if let Some(lease) = self.holding.state().serial(self.serial) {
            lease.settle(self.slot, self.estimate, actual);
        }
    }
}

/// What a call has reserved from all of its accounts.
///
/// Dropped without a word, it stays charged as estimated, for the call may have been made: a bug or a cancelled task
/// can cost a tenant some of its budget, but never lets it spend more.
#[derive(Debug)]
#[must_use = "a reservation that is dropped stays charged as estimated"]
pub struct Reservation {
    pub(super) parts: Vec<Part>,
}

impl Reservation {
    /// Replaces the estimate by what the call used, the same in every account, also if it is more. Without I/O: the
    /// bucket learns of it with the replica's next write.
    pub fn settle(mut self, actual: Amounts) {
        self.parts.drain(..).for_each(|part| part.settle(actual));
    }

    /// Gives everything back: the call was never made.
    pub fn release(self) {
        self.settle(Amounts::ZERO);
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.parts.drain(..).for_each(|part| part.settle(part.estimate));
    }
}

/// The parts taken so far while the rest is being taken: given back if that fails or is cancelled.
#[derive(Debug, Default)]
pub(super) struct Taking(pub(super) Vec<Part>);

impl Taking {
    pub(super) fn done(mut self) -> Reservation {
        Reservation { parts: std::mem::take(&mut self.0) }
    }
}

impl Drop for Taking {
    fn drop(&mut self) {
        self.0.drain(..).for_each(|part| part.settle(Amounts::ZERO));
    }
}
