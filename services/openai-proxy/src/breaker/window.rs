//! Outcomes of the last while, counted in slots of time: as small for a million calls as for one.

use std::time::Duration;

/// Into how many slots the window is cut.
const SLOTS: usize = 10;

/// A sliding window. Times must not go backwards.
#[derive(Debug)]
pub(super) struct Window {
    slot_ms: u64,
    slots: [Slot; SLOTS],
}

#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    /// Which slot of all time it is.
    number: u64,
    failed: u64,
    all: u64,
}

impl Window {
    pub(super) fn new(length: Duration) -> Self {
        let slot_ms = u64::try_from(length.as_millis()).unwrap_or(u64::MAX) / SLOTS as u64;
        Self { slot_ms: slot_ms.max(1), slots: [Slot::default(); SLOTS] }
    }

    pub(super) fn add(&mut self, now_ms: u64, good: bool) {
        let number = now_ms / self.slot_ms;
        let slot = &mut self.slots[(number % SLOTS as u64) as usize];
        if slot.number != number {
            *slot = Slot { number, ..Slot::default() };
        }
        slot.all += 1;
        slot.failed += u64::from(!good);
    }

    /// How many failed, and how many there were.
    pub(super) fn counts(&self, now_ms: u64) -> (u64, u64) {
        let oldest = (now_ms / self.slot_ms).saturating_sub(SLOTS as u64 - 1);
        let counted = self.slots.iter().filter(|slot| slot.number >= oldest);
        counted.fold((0, 0), |(failed, all), slot| (failed + slot.failed, all + slot.all))
    }
}
