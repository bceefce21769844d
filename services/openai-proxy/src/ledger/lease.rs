//! A replica's part of an account: takes for calls without asking anyone, and decides how much to lease next.

use super::amounts::Amounts;
use super::calendar::{SLOT_MS, day, day_end_ms, slot};
use super::row::{Row, Slots};

/// No new lease is shorter, in milliseconds: it runs to the end of its slot, or of the next one.
pub const MIN_LEASE_MS: u64 = SLOT_MS / 4;

/// At most this part of what is left is leased at once, so that some remains for the other replicas.
const SHARE: u64 = 8;

/// A lease is for this many calls like the one that asks for it, or for twice of what the last one was used for.
const CALLS: u64 = 2;

/// When a lease that begins now ends: with a slot, so that its requests count no longer than they have to, and
/// never after the day.
#[must_use]
pub fn ends_ms(now_ms: u64) -> u64 {
    let end = slot(now_ms).saturating_add(1).saturating_mul(SLOT_MS);
    let end = if end - now_ms < MIN_LEASE_MS { end + SLOT_MS } else { end };
    end.min(day_end_ms(day(now_ms)))
}

/// How much to lease: what is needed now at least, more if there is room and demand. Never more than `room`, if the
/// need is not.
#[must_use]
pub fn size(need: Amounts, recent: Amounts, room: Amounts) -> Amounts {
    let demand = need.zip(recent, |need, recent| need.saturating_mul(CALLS).max(recent.saturating_mul(2)));
    let share = demand.zip(room, |demand, room| demand.min(room / SHARE));
    share.zip(need, u64::max)
}

/// The state of a row before it is written, to know afterwards what has happened meanwhile.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// What is used, without a lease.
    pub used: Row,
    /// What is still free; a new lease must not be smaller, for it may be taken during the write.
    pub free: Amounts,
    /// What was taken since the last lease began.
    pub recent: Amounts,
    taken: Amounts,
}

/// One replica's lease on one account and day.
#[derive(Debug, Clone, Default)]
pub struct Lease {
    /// Tells this row from all others that this process has had.
    pub serial: u64,
    /// The day its money belongs to.
    pub day: u64,
    /// Whether the row is known to be in the bucket.
    pub opened: bool,
    /// Whether the bucket holds something free for it, to be given back when the lease is over.
    pub leased: bool,
    /// Whether the bucket does not yet know what was used.
    pub dirty: bool,
    /// How many calls have taken and are not settled.
    pub running: u64,
    /// When it was last written, in milliseconds since the epoch.
    pub written_ms: u64,
    until_ms: u64,
    slots: Slots,
    used_nano_usd: u64,
    // Money may be refunded while the lease lasts, so what is kept is the sum, and the free part follows from it.
    claimed_nano_usd: u64,
    free: Amounts,
    taken: Amounts,
    taken_before: Amounts,
}

impl Lease {
    /// A row without anything in it.
    #[must_use]
    pub fn new(serial: u64, day: u64) -> Self {
        Self { serial, day, ..Self::default() }
    }

    /// What may be taken now. Refunds of money are part of it at once; those of requests and tokens are not, as they
    /// belong to the slot of their call, and only the account knows whether there is room in a later one.
    #[must_use]
    pub fn free(&self, now_ms: u64) -> Amounts {
        if now_ms >= self.until_ms || day(now_ms) != self.day {
            return Amounts::ZERO;
        }
        Amounts { nano_usd: self.claimed_nano_usd.saturating_sub(self.used_nano_usd), ..self.free }
    }

    /// Takes for a call, all or nothing, and says the slot it is charged to.
    pub fn take(&mut self, now_ms: u64, need: Amounts) -> Option<u64> {
        let live = now_ms < self.until_ms && day(now_ms) == self.day;
        if !live || !need.fits(self.free(now_ms)) {
            return None;
        }
        let slot = slot(now_ms);
        self.free = self.free.minus(need);
        self.used_nano_usd = self.used_nano_usd.saturating_add(need.nano_usd);
        self.slots.add(slot, need);
        self.taken = self.taken.plus(need);
        self.running += 1;
        self.dirty = true;
        Some(slot)
    }

    /// Replaces the estimate of a call by what it used, also if that is more.
    pub fn settle(&mut self, slot: u64, estimate: Amounts, actual: Amounts) {
        self.running = self.running.saturating_sub(1);
        if estimate != actual {
            self.slots.correct(slot, estimate, actual);
            self.used_nano_usd =
                self.used_nano_usd.saturating_sub(estimate.nano_usd).saturating_add(actual.nano_usd);
            self.dirty = true;
        }
    }

    /// Whether the lease is over: nothing can be taken before it is renewed.
    #[must_use]
    pub fn is_over(&self, now_ms: u64) -> bool {
        now_ms >= self.until_ms
    }

    /// Whether the lease is in use and about to end, so that renewing it now spares a call the wait.
    #[must_use]
    pub fn wants_renewal(&self, now_ms: u64) -> bool {
        let busy = self.taken != self.taken_before;
        busy && now_ms < self.until_ms && self.until_ms - now_ms < MIN_LEASE_MS
    }

    /// Lets nothing be taken until [`Lease::resume`] or [`Lease::written`], and says how to resume. A lease must be
    /// held up while it is written smaller, or else a call could take what is being given back.
    pub fn hold(&mut self) -> u64 {
        std::mem::take(&mut self.until_ms)
    }

    /// Lets calls take again: nothing was written.
    pub fn resume(&mut self, held: u64) {
        self.until_ms = held;
    }

    /// The row as it is now, to be written.
    pub fn snapshot(&mut self, now_ms: u64) -> Snapshot {
        self.slots.prune(now_ms);
        Snapshot {
            used: Row {
                day: self.day,
                nano_usd: self.used_nano_usd,
                slots: self.slots.clone(),
                free: Amounts::ZERO,
                until_ms: now_ms,
            },
            free: self.free(now_ms),
            recent: self.taken.minus(self.taken_before),
            taken: self.taken,
        }
    }

    /// The row was written with this much free until then. What was taken during the write came out of the lease
    /// before, which was no larger.
    pub fn written(&mut self, now_ms: u64, snapshot: &Snapshot, free: Amounts, until_ms: u64) {
        self.opened = true;
        self.written_ms = now_ms;
        self.until_ms = until_ms;
        self.claimed_nano_usd = snapshot.used.nano_usd.saturating_add(free.nano_usd);
        self.free = free.minus(self.taken.minus(snapshot.taken));
        self.leased = free != Amounts::ZERO;
        self.dirty = self.used_nano_usd != snapshot.used.nano_usd || self.slots != snapshot.used.slots;
        self.taken_before = snapshot.taken;
    }
}
