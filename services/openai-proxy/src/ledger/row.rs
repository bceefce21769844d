//! One row of an account: what one replica has used, and its lease.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::amounts::Amounts;
use super::calendar::{SLOT_MS, slot, slot_falls_ms};

/// Slots are kept a little longer than they count, for replicas whose clocks are behind.
const SLOT_SLACK_MS: u64 = 5 * SLOT_MS;

/// Requests and tokens by slot.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Slots(BTreeMap<u64, (u64, u64)>);

impl Slots {
    /// Adds the requests and tokens of an amount to a slot, which is there from then on, be they zero.
    pub fn add(&mut self, slot: u64, amounts: Amounts) {
        let entry = self.0.entry(slot).or_default();
        *entry = (entry.0.saturating_add(amounts.requests), entry.1.saturating_add(amounts.tokens));
    }

    /// Replaces an estimate by what it really was, in the slot it was charged to, if that one is still kept.
    pub fn correct(&mut self, slot: u64, estimate: Amounts, actual: Amounts) {
        if let Some(entry) = self.0.get_mut(&slot) {
            entry.0 = entry.0.saturating_sub(estimate.requests).saturating_add(actual.requests);
            entry.1 = entry.1.saturating_sub(estimate.tokens).saturating_add(actual.tokens);
        }
    }

    /// Forgets what counts no more.
    pub fn prune(&mut self, now_ms: u64) {
        self.0.retain(|slot, _| slot_falls_ms(*slot).saturating_add(SLOT_SLACK_MS) > now_ms);
    }

    /// What there is, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = (u64, Amounts)> {
        self.0.iter().map(|(slot, (requests, tokens))| {
            (*slot, Amounts { requests: *requests, tokens: *tokens, nano_usd: 0 })
        })
    }
}

/// What one replica (or, without leases, one call) has used and may use, in absolute numbers.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// The day all of its money belongs to.
    pub day: u64,
    /// Money used, running calls at their estimate, in nano-US-dollars.
    pub nano_usd: u64,
    /// Requests and tokens used, by the slot in which the call began.
    pub slots: Slots,
    /// What may be used beyond that before `until_ms`. Its requests and tokens count in the last slot before it.
    pub free: Amounts,
    /// When the lease of `free` ends.
    pub until_ms: u64,
}

impl Row {
    /// The slot that the requests and tokens of the lease count in: no call can take them in a later one.
    #[must_use]
    pub fn free_slot(&self) -> u64 {
        slot(self.until_ms.saturating_sub(1))
    }

    /// All of its money, used and leased, in nano-US-dollars.
    #[must_use]
    pub fn money(&self) -> u64 {
        self.nano_usd.saturating_add(self.free.nano_usd)
    }
}
