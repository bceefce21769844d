//! One account: what is charged in the last minute, today and this month, and by whom.
//!
//! The minute is kept as slots of two seconds rather than as two weighted halves or a bucket that drains (GCRA):
//! settling must take an estimate out of the very slot it was charged to. A drained bucket no longer knows how much
//! of the estimate has drained already, and gives back too much.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::amounts::{Amounts, Decision, Limits, Period, Refusal, What};
use super::calendar::{day, day_end_ms, month_end_ms, month_of_day, slot, slot_falls_ms};
use super::row::{Row, Slots};

/// How long after its end a row can still be corrected, in milliseconds: longer than any call lasts. After that what
/// it says stays charged.
pub const GRACE_MS: u64 = 15 * 60_000;

/// No account has more rows. A replica has one, for a moment two around midnight; the rest are of replicas that
/// died within [`GRACE_MS`].
pub const MAX_ROWS: usize = 64;

/// No account is longer when written, in bytes; a full one has about half of it.
pub const MAX_BYTES: usize = 512 * 1024;

/// The layout of an account. Another one is left alone rather than guessed at.
const VERSION: u8 = 1;

/// What is left of rows that have ended.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Closed {
    slots: Slots,
    days: BTreeMap<u64, u64>,
    months: BTreeMap<u64, u64>,
}

/// Everything charged to one provider, model or tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Account {
    v: u8,
    closed: Closed,
    rows: BTreeMap<String, Row>,
}

impl Default for Account {
    fn default() -> Self {
        Self { v: VERSION, closed: Closed::default(), rows: BTreeMap::new() }
    }
}

impl Account {
    /// Reads an account; no value is a new one.
    ///
    /// # Errors
    /// What is wrong, if it is too long, of another version, or not an account.
    pub fn decode(value: Option<&[u8]>) -> Result<Self, String> {
        let Some(value) = value else { return Ok(Self::default()) };
        if value.len() > MAX_BYTES {
            return Err(format!("{} bytes, more than {MAX_BYTES}", value.len()));
        }
        let account: Self = serde_json::from_slice(value).map_err(|error| error.to_string())?;
        if account.v != VERSION {
            return Err(format!("version {}, but this program reads {VERSION}", account.v));
        }
        Ok(account)
    }

    /// Writes an account.
    ///
    /// # Errors
    /// What is wrong, if it is longer than [`MAX_BYTES`].
    pub fn encode(&self) -> Result<Vec<u8>, String> {
        let value = serde_json::to_vec(self).map_err(|error| error.to_string())?;
        if value.len() > MAX_BYTES {
            return Err(format!("{} bytes, more than {MAX_BYTES}", value.len()));
        }
        Ok(value)
    }

    /// Drops what counts no more, and closes the rows that nobody has renewed for [`GRACE_MS`], as they are.
    pub fn tidy(&mut self, now_ms: u64) {
        let ended = |row: &Row| row.until_ms.saturating_add(GRACE_MS) <= now_ms;
        let ended: Vec<_> =
            self.rows.iter().filter(|(_, row)| ended(row)).map(|(id, _)| id.clone()).collect();
        ended.iter().for_each(|id| self.close(id));
        self.rows.values_mut().for_each(|row| row.slots.prune(now_ms));
        self.closed.slots.prune(now_ms);
        let (today, month) = (day(now_ms), month_of_day(day(now_ms)));
        // One day and month back, for replicas whose clocks are behind.
        self.closed.days.retain(|day, _| day.saturating_add(1) >= today);
        self.closed.months.retain(|kept, _| kept.saturating_add(1) >= month);
    }

    /// Whether a row exists.
    #[must_use]
    pub fn has(&self, id: &str) -> bool {
        self.rows.contains_key(id)
    }

    /// How many rows there are.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows.len()
    }

    /// Writes a row without asking for room: the caller has asked before, or the amounts are used already.
    /// False, and nothing written, if there are [`MAX_ROWS`] and none of them has ended.
    pub fn put(&mut self, now_ms: u64, id: &str, row: Row) -> bool {
        if !self.has(id) && self.rows.len() >= MAX_ROWS {
            let oldest = self.rows.iter().min_by_key(|(_, row)| row.until_ms);
            match oldest.map(|(id, row)| (id.clone(), row.until_ms)) {
                Some((oldest, until_ms)) if until_ms <= now_ms => self.close(&oldest),
                _ => return false,
            }
        }
        self.rows.insert(id.to_owned(), row);
        true
    }

    /// Ends a row: what it says, its lease included, stays charged. Closing what is not there does nothing.
    pub fn close(&mut self, id: &str) {
        let Some(row) = self.rows.remove(id) else { return };
        row.slots.iter().for_each(|(slot, amounts)| self.closed.slots.add(slot, amounts));
        if row.free.requests > 0 || row.free.tokens > 0 {
            self.closed.slots.add(row.free_slot(), row.free);
        }
        for (sums, key) in
            [(&mut self.closed.days, row.day), (&mut self.closed.months, month_of_day(row.day))]
        {
            let sum = sums.entry(key).or_default();
            *sum = sum.saturating_add(row.money());
        }
    }

    /// How much of a limit is charged at a time, leases included.
    #[must_use]
    pub fn used(&self, what: What, now_ms: u64) -> u64 {
        let today = day(now_ms);
        let sum = |amounts: &mut dyn Iterator<Item = u64>| amounts.fold(0, u64::saturating_add);
        match what {
            What::Requests | What::Tokens => sum(&mut self.slots(now_ms).map(|(_, a)| what.of(a))),
            What::Money(Period::Day) => {
                let closed = self.closed.days.get(&today).copied().unwrap_or(0);
                let rows = self.rows.values().filter(|row| row.day == today);
                sum(&mut rows.map(Row::money).chain([closed]))
            }
            What::Money(Period::Month) => {
                let month = month_of_day(today);
                let closed = self.closed.months.get(&month).copied().unwrap_or(0);
                let rows = self.rows.values().filter(|row| month_of_day(row.day) == month);
                sum(&mut rows.map(Row::money).chain([closed]))
            }
        }
    }

    /// What counts in the minute, by slot, leases included.
    fn slots(&self, now_ms: u64) -> impl Iterator<Item = (u64, Amounts)> {
        let rows = self.rows.values().flat_map(|row| row.slots.iter().chain([(row.free_slot(), row.free)]));
        self.closed.slots.iter().chain(rows).filter(move |(slot, _)| slot_falls_ms(*slot) > now_ms)
    }

    /// How much of everything is left at a time.
    #[must_use]
    pub fn room(&self, now_ms: u64, limits: &Limits) -> Amounts {
        let left = |what: What| {
            limits.of(what).map_or(u64::MAX, |limit| limit.saturating_sub(self.used(what, now_ms)))
        };
        Amounts {
            requests: left(What::Requests),
            tokens: left(What::Tokens),
            nano_usd: left(What::Money(Period::Day)).min(left(What::Money(Period::Month))),
        }
    }

    /// Whether there is room for an amount. Charges nothing.
    #[must_use]
    pub fn check(&self, now_ms: u64, need: Amounts, limits: &Limits) -> Decision {
        if let Some(never) = limits.never(need) {
            return never;
        }
        let refusals = What::ALL.into_iter().filter_map(|what| self.refusal(what, now_ms, need, limits));
        refusals.max_by_key(|refusal| refusal.available_at_ms).map_or(Decision::Granted, Decision::Refused)
    }

    fn refusal(&self, what: What, now_ms: u64, need: Amounts, limits: &Limits) -> Option<Refusal> {
        let (limit, need, used) = (limits.of(what)?, what.of(need), self.used(what, now_ms));
        if need == 0 || used.saturating_add(need) <= limit {
            return None;
        }
        let mut left = used;
        for (at_ms, amount) in self.returns(what, now_ms) {
            left = left.saturating_sub(amount);
            if left.saturating_add(need) <= limit {
                return Some(Refusal {
                    what,
                    available_at_ms: at_ms.max(now_ms.saturating_add(1)),
                    limit,
                    used,
                });
            }
        }
        // Not reached: the last return is of everything, and a need above the limit has been refused for good.
        Some(Refusal { what, available_at_ms: now_ms.saturating_add(1), limit, used })
    }

    /// When how much comes back at the earliest, in order: leases at their end, the rest with its slot or period.
    fn returns(&self, what: What, now_ms: u64) -> Vec<(u64, u64)> {
        let today = day(now_ms);
        let mut returns: Vec<_> = match what {
            What::Requests | What::Tokens => {
                self.slots(now_ms).map(|(slot, a)| (slot_falls_ms(slot), what.of(a))).collect()
            }
            What::Money(Period::Day) => vec![(day_end_ms(today), u64::MAX)],
            What::Money(Period::Month) => vec![(month_end_ms(today), u64::MAX)],
        };
        // A lease of requests comes twice then, which makes the time too early at worst.
        let leases = self.rows.values().filter(|row| row.until_ms > now_ms && row.day == today);
        returns.extend(leases.map(|row| (row.until_ms, what.of(row.free))));
        returns.sort_unstable();
        returns
    }

    /// Charges an amount under an id of its own, without a lease: all of it, or nothing. The same id again is
    /// granted without charging twice. It can be settled until [`GRACE_MS`] after `expires_at_ms`.
    pub fn reserve(
        &mut self,
        now_ms: u64,
        id: &str,
        need: Amounts,
        limits: &Limits,
        expires_at_ms: u64,
    ) -> Decision {
        self.tidy(now_ms);
        if self.has(id) {
            return Decision::Granted;
        }
        let decision = self.check(now_ms, need, limits);
        if decision == Decision::Granted {
            let mut row = Row { day: day(now_ms), nano_usd: need.nano_usd, ..Row::default() };
            row.slots.add(slot(now_ms), need);
            row.until_ms = expires_at_ms;
            if !self.put(now_ms, id, row) {
                return Decision::Crowded;
            }
        }
        decision
    }

    /// Replaces the estimate of [`Account::reserve`] by what was used, also if that is more. False if there is
    /// nothing to settle: settled already, or too late.
    pub fn settle(&mut self, now_ms: u64, id: &str, actual: Amounts) -> bool {
        let Some(row) = self.rows.get_mut(id) else { return false };
        row.nano_usd = actual.nano_usd;
        let charged = row.slots.iter().next();
        if let Some((at, estimate)) = charged {
            row.slots.correct(at, estimate, actual);
        }
        self.close(id);
        self.tidy(now_ms);
        true
    }
}
