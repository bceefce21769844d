//! What a replica decides about its leases.

use proptest::prelude::*;
use tasklane_openai_proxy::ledger::Amounts;
use tasklane_openai_proxy::ledger::calendar::{DAY_MS, SLOT_MS, day, slot};
use tasklane_openai_proxy::ledger::lease::{Lease, MIN_LEASE_MS, ends_ms, size};

fn any_amounts(max: u64) -> impl Strategy<Value = Amounts> {
    (0..=max, 0..=max, 0..=max).prop_map(|(requests, tokens, nano_usd)| Amounts {
        requests,
        tokens,
        nano_usd,
    })
}

fn money(nano_usd: u64) -> Amounts {
    Amounts { nano_usd, ..Amounts::ZERO }
}

proptest! {
    #[test]
    fn a_lease_has_what_is_needed_and_no_more_than_there_is(
        need in any_amounts(1_000), recent in any_amounts(u64::MAX), more in any_amounts(u64::MAX / 2),
    ) {
        let room = need.plus(more);
        let size = size(need, recent, room);
        prop_assert!(need.fits(size) && size.fits(room));
        prop_assert!(size.minus(need).fits(room.zip(room, |room, _| room / 8)));
    }

    #[test]
    fn a_lease_ends_with_a_slot_or_the_day(now in 0u64..10_000_000_000_000) {
        let end = ends_ms(now);
        prop_assert!(now < end && end <= now + SLOT_MS + MIN_LEASE_MS);
        prop_assert!(end.is_multiple_of(SLOT_MS) && day(end - 1) == day(now));
        prop_assert!(end - now >= MIN_LEASE_MS || end.is_multiple_of(DAY_MS));
    }

    /// The heart of it: what the row in the bucket says covers what was used and can still be used, at every time,
    /// whatever is taken and settled while it is being written.
    #[test]
    fn the_row_covers_what_is_used_and_free(
        steps in prop::collection::vec((0u8..4, 1u64..50, 0u64..50, 0u64..700), 1..60),
    ) {
        let mut now = 1_772_236_700_000;
        let (mut lease, mut running) = (Lease::new(1, day(now)), Vec::new());
        let (mut row, mut used) = (0u64, 0u64);
        let mut writing = None;
        for (step, amount, actual, later) in steps {
            now += later;
            match step {
                0 | 1 => if let Some(slot) = lease.take(now, money(amount)) {
                    used += amount;
                    running.push((slot, amount));
                },
                2 => if let Some((slot, estimate)) = running.pop() {
                    let actual = actual.min(estimate);
                    lease.settle(slot, money(estimate), money(actual));
                    used = used - estimate + actual;
                },
                _ => match writing.take() {
                    None => {
                        if lease.is_over(now) { lease.hold(); }
                        let snapshot = lease.snapshot(now);
                        let free = money(amount).zip(snapshot.free, u64::max);
                        row = snapshot.used.nano_usd + free.nano_usd;
                        writing = Some((snapshot, free, ends_ms(now)));
                    }
                    Some((snapshot, free, until)) => lease.written(now, &snapshot, free, until),
                }
            }
            prop_assert!(used + lease.free(now).nano_usd <= row, "{} + {:?} > {row}", used, lease.free(now));
        }
    }
}

#[test]
fn refunds_of_money_are_free_again_and_those_of_tokens_are_not() {
    let now = 1_772_236_700_000;
    let all = Amounts { requests: 10, tokens: 10, nano_usd: 10 };
    let mut lease = Lease::new(1, day(now));
    let snapshot = lease.snapshot(now);
    lease.written(now, &snapshot, all, ends_ms(now));
    assert_eq!(lease.take(now, all), Some(slot(now)));
    assert_eq!(lease.take(now, Amounts { requests: 1, ..Amounts::ZERO }), None);
    lease.settle(slot(now), all, Amounts { requests: 1, tokens: 4, nano_usd: 3 });
    assert_eq!(lease.free(now), money(7));
    let used = lease.snapshot(now).used;
    assert_eq!(used.nano_usd, 3);
    assert_eq!(
        used.slots.iter().collect::<Vec<_>>(),
        [(slot(now), Amounts { requests: 1, tokens: 4, nano_usd: 0 })]
    );
}

#[test]
fn what_is_taken_during_a_write_is_not_free_after_it() {
    let now = 1_772_236_700_000;
    let all = Amounts { requests: 10, tokens: 10, nano_usd: 10 };
    let some = Amounts { requests: 4, tokens: 3, nano_usd: 2 };
    let mut lease = Lease::new(1, day(now));
    let snapshot = lease.snapshot(now);
    lease.written(now, &snapshot, all, ends_ms(now));
    let snapshot = lease.snapshot(now);
    assert!(lease.take(now, some).is_some());
    lease.written(now, &snapshot, all, ends_ms(now));
    assert_eq!(lease.free(now), all.minus(some));
    assert!(lease.dirty && lease.snapshot(now).recent == some);
    assert_eq!(
        lease.take(ends_ms(now), Amounts::ZERO),
        None,
        "a lease that is over takes nothing, not even zero"
    );
}
