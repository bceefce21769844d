//! How a worker shares its free slots among the four lanes of its pool.
//!
//! A *credit* is one message asked for that has not come yet. A lane is *backlogged* if the last message from it
//! said that more are pending. The allocator gives
//! - every idle lane a small standing credit ([`standing`]), so that a task that arrives is taken at once;
//! - all other slots to the backlogged lanes, 8:4:2:1 over time by smooth weighted round robin (as in nginx's
//!   upstream balancer), so that low priority is slow and never starved. No lane gets more than it has pending: a
//!   credit nobody answers would hold a slot that another lane needs.
//!
//! A standing credit cannot be taken back from an idle lane. If it held a slot, a worker with few slots could give
//! a busy lane next to none: with four slots and work in one lane, three slots would wait for nothing. So standing
//! credits hold no slot. The price is an overshoot: at most `3 x standing` messages may come that have no slot yet;
//! the worker holds them, and takes them into the next free slots.
//!
//! The caller keeps [`LaneState`] true: a pull request that expires unanswered gives its credits back and ends the
//! backlog of its lane (other workers were faster), so keep the expiry of pull requests short (seconds).

use crate::priority::WEIGHTS;

/// One lane as the worker sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LaneState {
    /// Messages asked for that have not come yet.
    pub outstanding: u32,
    /// How many more the last message said are pending; 0 after a request that expired unanswered.
    pub pending: u64,
}

impl LaneState {
    /// Whether more messages are known to wait.
    #[must_use]
    pub fn is_backlogged(&self) -> bool {
        self.pending > 0
    }

    /// How many more credits would be answered now, as far as is known.
    fn useful(&self) -> u64 {
        self.pending.saturating_sub(u64::from(self.outstanding))
    }
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
    /// Smooth weighted round robin: what each lane is owed. The sum is 0 and nobody owes more than one round, so
    /// a claim kept while a lane is idle stays small too.
    owed: [i64; 4],
}

impl Allocator {
    /// An allocator that owes nobody anything.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// New credits per lane, to be asked for now; zeros most of the time. Call it whenever a slot, a credit or a
    /// backlog changed.
    ///
    /// Holds, if it held before: busy + outstanding + granted <= total + [`max_overshoot`]. Nothing is granted while
    /// no slot is free. No uncommitted slot stays free while a backlogged lane has no credit.
    pub fn grant(&mut self, slots: Slots, lanes: &[LaneState; 4]) -> [u32; 4] {
        let mut granted = [0; 4];
        let free = slots.total.saturating_sub(slots.busy);
        if free == 0 {
            return granted;
        }
        let mut room = room(slots, lanes);
        let budget = budget(free, standing(slots.total), lanes).min(room);
        if budget > 0 && worth_asking(budget, lanes) {
            room -= self.share(budget, lanes, &mut granted);
        }
        let target = standing(slots.total).min(free);
        for (lane, given) in lanes.iter().zip(&mut granted).filter(|(lane, _)| !lane.is_backlogged()) {
            if lane.outstanding <= target / 2 {
                *given = (target - lane.outstanding).min(room);
                room -= *given;
            }
        }
        granted
    }

    /// Deals out the budget one by one, each to the lane that is owed most among those that can use more. Returns
    /// how many were dealt out.
    fn share(&mut self, budget: u32, lanes: &[LaneState; 4], granted: &mut [u32; 4]) -> u32 {
        for dealt in 0..budget {
            let mut next = None;
            let mut round = 0;
            for (i, lane) in lanes.iter().enumerate() {
                if lane.useful() <= u64::from(granted[i]) {
                    continue;
                }
                let weight = i64::from(WEIGHTS[i]);
                self.owed[i] += weight;
                round += weight;
                if next.is_none_or(|n: usize| self.owed[i] > self.owed[n]) {
                    next = Some(i);
                }
            }
            let Some(i) = next else { return dealt };
            self.owed[i] -= round;
            granted[i] += 1;
        }
        budget
    }
}

/// How many more credits may be out at all.
fn room(slots: Slots, lanes: &[LaneState; 4]) -> u32 {
    let out: u32 = lanes.iter().fold(slots.busy, |sum, lane| sum.saturating_add(lane.outstanding));
    slots.total.saturating_add(max_overshoot(slots.total)).saturating_sub(out)
}

/// How many credits to deal out to backlogged lanes: the free slots that no credit is out for, as far as the lanes
/// can use them. An idle lane's standing credit holds no slot.
fn budget(free: u32, standing: u32, lanes: &[LaneState; 4]) -> u32 {
    let committed = lanes.iter().fold(0u32, |sum, lane| {
        let spared = if lane.is_backlogged() { 0 } else { standing };
        sum.saturating_add(lane.outstanding.saturating_sub(spared))
    });
    let useful = lanes.iter().fold(0u64, |sum, lane| sum.saturating_add(lane.useful()));
    free.saturating_sub(committed).min(u32::try_from(useful).unwrap_or(u32::MAX))
}

/// Batches requests: ask if a backlogged lane has no credit, or if what can be asked for is at least what is out.
fn worth_asking(budget: u32, lanes: &[LaneState; 4]) -> bool {
    let backlogged = || lanes.iter().filter(|lane| lane.is_backlogged());
    let out = backlogged().fold(0u32, |sum, lane| sum.saturating_add(lane.outstanding));
    backlogged().any(|lane| lane.outstanding == 0) || budget >= out
}
