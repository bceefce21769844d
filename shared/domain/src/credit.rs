//! How a worker shares its free slots among the four lanes of its pool.
//!
//! A *credit* is one message asked for that has not come yet. A lane is *backlogged* if the last message from it
//! said that more are pending. The allocator gives
//! - every idle lane a small standing credit ([`standing`]), so that a task that arrives is taken at once;
//! - all other slots to the backlogged lanes, 8:4:2:1 over time by smooth weighted round robin (as in nginx's
//!   upstream balancer), so that low priority is slow and never starved.
//!
//! A standing credit cannot be taken back from an idle lane. If it held a slot, a worker with few slots could give
//! a busy lane next to none: with four slots and work in one lane, three slots would wait for nothing. So standing
//! credits hold no slot. The price is an overshoot: at most `3 x standing` messages may come that have no slot yet;
//! the worker holds them, and takes them into the next free slots.
//!
//! The caller keeps [`LaneState`] true: a pull request that expires unanswered gives its credits back and ends the
//! backlog of its lane, so keep the expiry of pull requests short (seconds).

use crate::priority::WEIGHTS;

/// One lane as the worker sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LaneState {
    /// Messages asked for that have not come yet.
    pub outstanding: u32,
    /// Whether the last message said that more are pending.
    pub backlogged: bool,
}

/// The worker's slots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slots {
    /// How many tasks it runs at once.
    pub total: u32,
    /// Tasks running, and messages held that wait for a slot. May exceed `total` by the overshoot.
    pub busy: u32,
}

/// The credit an idle lane keeps: a sixteenth of the slots, at least one.
#[must_use]
pub fn standing(slots: u32) -> u32 {
    (slots / 16).max(1)
}

/// The most messages that may be running, held and asked for beyond the slots: three idle lanes' standing credits.
#[must_use]
pub fn max_overshoot(slots: u32) -> u32 {
    standing(slots).saturating_mul(3)
}

/// Gives out credits. One per worker process; its state is the round robin's.
#[derive(Debug, Clone, Default)]
pub struct Allocator {
    /// Smooth weighted round robin: what each lane is owed. Sums to 0 among the backlogged lanes.
    owed: [i64; 4],
}

impl Allocator {
    /// An allocator that owes nobody anything.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// New credits per lane, to be asked for now; zeros most of the time.
    ///
    /// Holds, if it held before: busy + outstanding + granted <= total + [`max_overshoot`]. Nothing is granted while
    /// no slot is free. No uncommitted slot stays free while a backlogged lane has no credit.
    pub fn grant(&mut self, slots: Slots, lanes: &[LaneState; 4]) -> [u32; 4] {
        let mut granted = [0; 4];
        self.forget_idle(lanes);
        let free = slots.total.saturating_sub(slots.busy);
        if free == 0 {
            return granted;
        }
        let standing = standing(slots.total);
        let mut room = room(slots, lanes);
        let budget = budget(free, standing, lanes).min(room);
        if budget > 0 && worth_asking(budget, lanes) {
            self.share(budget, lanes, &mut granted);
            room -= budget;
        }
        for (lane, given) in lanes.iter().zip(&mut granted).filter(|(lane, _)| !lane.backlogged) {
            let target = standing.min(free);
            if lane.outstanding * 2 <= target {
                *given = target.saturating_sub(lane.outstanding).min(room);
                room -= *given;
            }
        }
        granted
    }

    /// Deals out the budget one by one, each to the backlogged lane that is owed most.
    fn share(&mut self, budget: u32, lanes: &[LaneState; 4], granted: &mut [u32; 4]) {
        for _ in 0..budget {
            let mut next = None;
            let mut round = 0;
            for (i, _) in lanes.iter().enumerate().filter(|(_, lane)| lane.backlogged) {
                let weight = i64::from(WEIGHTS[i]);
                self.owed[i] += weight;
                round += weight;
                if next.is_none_or(|n: usize| self.owed[i] > self.owed[n]) {
                    next = Some(i);
                }
            }
            let Some(i) = next else { return };
            self.owed[i] -= round;
            granted[i] += 1;
        }
    }

    /// A lane that stops being backlogged neither keeps a claim nor a debt; the rest is owed by the others.
    fn forget_idle(&mut self, lanes: &[LaneState; 4]) {
        for (owed, lane) in self.owed.iter_mut().zip(lanes) {
            if !lane.backlogged {
                *owed = 0;
            }
        }
    }
}

/// How many more credits may be out at all.
fn room(slots: Slots, lanes: &[LaneState; 4]) -> u32 {
    let out: u32 = lanes.iter().fold(slots.busy, |sum, lane| sum.saturating_add(lane.outstanding));
    slots.total.saturating_add(max_overshoot(slots.total)).saturating_sub(out)
}

/// Free slots that no credit is out for; an idle lane's standing credit holds none.
fn budget(free: u32, standing: u32, lanes: &[LaneState; 4]) -> u32 {
    let committed = lanes.iter().fold(0u32, |sum, lane| {
        let spared = if lane.backlogged { 0 } else { standing };
        sum.saturating_add(lane.outstanding.saturating_sub(spared))
    });
    if lanes.iter().any(|lane| lane.backlogged) { free.saturating_sub(committed) } else { 0 }
}

/// Batches requests: ask if a backlogged lane has no credit, or if what can be asked for is at least what is out.
fn worth_asking(budget: u32, lanes: &[LaneState; 4]) -> bool {
    let backlogged = || lanes.iter().filter(|lane| lane.backlogged);
    let out = backlogged().fold(0u32, |sum, lane| sum.saturating_add(lane.outstanding));
    backlogged().any(|lane| lane.outstanding == 0) || budget >= out
}
