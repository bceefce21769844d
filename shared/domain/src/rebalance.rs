//! Which routed tasks to take back from their lanes, to be routed again.
//!
//! Two cases: a pool that is dead or paused gives everything back; a pool whose queue would be late gives back what
//! the idle slots of other pools do sooner. A plan never undoes itself: a pool gives back only what exceeds its own
//! slots, and a pool that takes is filled up to its slots and no further.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// What waits for a pool, and who else could do it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LaneLoad {
    /// The pool's name.
    pub pool: String,
    /// Whether it has a live worker.
    pub live: bool,
    /// Whether somebody paused it.
    pub paused: bool,
    /// Tasks on its lanes that no worker has taken. Only these can be taken back.
    pub queued: u64,
    /// Tasks its workers hold.
    pub running: u64,
    /// How many tasks it runs at once.
    pub slots: u32,
    /// Mean duration of what it runs, in milliseconds. 0, or what is not a duration, means unknown: then nothing
    /// is known to be late here, and as a taker it counts as being as fast as the giver.
    pub mean_ms: f64,
    /// The max time of what is queued, in milliseconds: the shortest or a typical one. 0 means that nothing is late.
    pub max_time_ms: u64,
    /// Names of the pools that are eligible for what is queued here.
    pub alternatives: Vec<String>,
}

/// When a move is worth it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// A task is late if it waits for more than this share of its max time. By default a little more than the wait
    /// at which routing prefers an idle pool of the wrong type (0.53, see [`crate::score::pressure`]): else the
    /// router would put a task back to where it took it from.
    pub late_share: f64,
    /// The task must be done elsewhere this many times sooner.
    pub min_gain: f64,
    /// The most tasks taken back in one plan.
    pub max_moves: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { late_share: 0.6, min_gain: 2.0, max_moves: 10_000 }
    }
}

/// Tasks to take back from a pool's lanes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Move {
    /// The pool.
    pub from_pool: String,
    /// How many, at least 1.
    pub count: u64,
    /// Why.
    pub reason: Reason,
}

/// Why tasks are taken back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// The pool has no live worker.
    Dead,
    /// The pool is paused.
    Paused,
    /// They would wait too long here, and others are idle.
    Late {
        /// How long the last of them would wait here, in milliseconds.
        wait_ms: u64,
        /// How long a task should wait at most, in milliseconds.
        allowed_ms: u64,
        /// The pools with idle slots.
        idle: Vec<String>,
    },
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dead => f.write_str("the pool has no live worker"),
            Self::Paused => f.write_str("the pool is paused"),
            Self::Late { wait_ms, allowed_ms, idle } => {
                let idle = idle.join(", ");
                write!(
                    f,
                    "the wait here is {wait_ms} ms, more than {allowed_ms} ms, and {idle} can do it sooner"
                )
            }
        }
    }
}

/// Plans what to take back now. Pools that are gone come first, then those whose wait is longest against what is
/// allowed; the order of the pools makes no difference.
#[must_use]
pub fn plan(pools: &[LaneLoad], settings: &Settings) -> Vec<Move> {
    let mut idle: BTreeMap<&str, (u64, Option<f64>)> =
        pools.iter().map(|p| (p.pool.as_str(), (p.idle_slots(), p.known_mean_ms()))).collect();
    let mut left = settings.max_moves;
    let mut moves = Vec::new();
    for pool in gone_first(pools, settings) {
        let wanted = if pool.is_up() { pool.late(settings) } else { pool.queued };
        let (count, takers) = take(pool, wanted.min(left), &mut idle, settings);
        let (count, reason) = match (pool.live, pool.paused) {
            // Nobody has to be idle: nothing is done here at all.
            (false, _) => (wanted.min(left), Reason::Dead),
            (true, true) => (wanted.min(left), Reason::Paused),
            (true, false) => {
                let (wait_ms, allowed_ms) = (pool.wait_ms() as u64, pool.allowed_ms(settings) as u64);
                (count, Reason::Late { wait_ms, allowed_ms, idle: takers })
            }
        };
        if count > 0 {
            left -= count;
            moves.push(Move { from_pool: pool.pool.clone(), count, reason });
        }
    }
    moves
}

/// Takes up to `wanted` idle slots of the pool's alternatives: how many there were, and whose.
fn take(
    pool: &LaneLoad,
    wanted: u64,
    idle: &mut BTreeMap<&str, (u64, Option<f64>)>,
    settings: &Settings,
) -> (u64, Vec<String>) {
    let done_here_ms = pool.wait_ms() + pool.mean_ms();
    let min_gain = if settings.min_gain.is_finite() { settings.min_gain.max(1.0) } else { 1.0 };
    let (mut count, mut takers) = (0, Vec::new());
    for name in pool.alternatives.iter().filter(|name| **name != pool.pool) {
        let Some((slots, mean_ms)) = idle.get_mut(name.as_str()) else { continue };
        let gains = !pool.is_up() || done_here_ms > mean_ms.unwrap_or(pool.mean_ms()) * min_gain;
        let taken = if gains { (*slots).min(wanted - count) } else { 0 };
        if taken > 0 {
            *slots -= taken;
            count += taken;
            takers.push(name.clone());
        }
    }
    (count, takers)
}

fn gone_first<'a>(pools: &'a [LaneLoad], settings: &Settings) -> Vec<&'a LaneLoad> {
    let mut sorted: Vec<&LaneLoad> = pools.iter().filter(|p| p.queued > 0).collect();
    let lateness = |p: &LaneLoad| Reverse((p.wait_ms() / p.allowed_ms(settings).max(1.0) * 1000.0) as u64);
    sorted.sort_by(|a, b| (a.is_up(), lateness(a), &a.pool).cmp(&(b.is_up(), lateness(b), &b.pool)));
    sorted
}

impl LaneLoad {
    fn is_up(&self) -> bool {
        self.live && !self.paused
    }

    fn idle_slots(&self) -> u64 {
        let taken = self.running.saturating_add(self.queued);
        if self.is_up() { u64::from(self.slots).saturating_sub(taken) } else { 0 }
    }

    fn known_mean_ms(&self) -> Option<f64> {
        Some(self.mean_ms).filter(|ms| *ms > 0.0 && *ms <= 1e15)
    }

    fn mean_ms(&self) -> f64 {
        self.known_mean_ms().unwrap_or(0.0)
    }

    /// How long the last queued task waits, in milliseconds.
    fn wait_ms(&self) -> f64 {
        let ahead = self.running.saturating_add(self.queued).saturating_sub(u64::from(self.slots));
        ahead as f64 * self.mean_ms() / f64::from(self.slots.max(1))
    }

    fn allowed_ms(&self, settings: &Settings) -> f64 {
        let share = if settings.late_share.is_finite() { settings.late_share.max(0.0) } else { 1.0 };
        self.max_time_ms as f64 * share
    }

    /// How many of the queued tasks wait longer than allowed. Those that find a slot free are not late, however
    /// long a task takes.
    fn late(&self, settings: &Settings) -> u64 {
        let allowed_ms = self.allowed_ms(settings);
        if self.max_time_ms == 0 || self.wait_ms() <= allowed_ms {
            return 0;
        }
        // The k-th task beyond the slots waits k x mean / slots; here the mean is above 0, for the wait is.
        let in_time = allowed_ms * f64::from(self.slots.max(1)) / self.mean_ms();
        let kept = (in_time as u64).saturating_add(u64::from(self.slots));
        self.running.saturating_add(self.queued).saturating_sub(kept).min(self.queued)
    }
}
