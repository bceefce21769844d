//! One account, checked against a list of everything that was ever granted.

use proptest::prelude::*;
use tasklane_openai_proxy::ledger::calendar::{
    DAY_MS, MINUTE_MS, SLOT_MS, day, day_end_ms, month_end_ms, month_of_day,
};
use tasklane_openai_proxy::ledger::row::Row;
use tasklane_openai_proxy::ledger::window::{GRACE_MS, MAX_ROWS};
use tasklane_openai_proxy::ledger::{Account, Amounts, Decision, Limits, Period, What};

/// 2026-02-27T23:58:20Z: a day and, a day later, a month are about to end.
const START: u64 = 1_772_236_700_000;

fn amounts(requests: u64, tokens: u64, nano_usd: u64) -> Amounts {
    Amounts { requests, tokens, nano_usd }
}

const LIMITS: Limits = Limits {
    requests_per_minute: Some(10),
    tokens_per_minute: Some(1_000),
    nano_usd_per_day: Some(5_000),
    nano_usd_per_month: Some(9_000),
};

#[derive(Debug, Clone)]
enum Step {
    Reserve(Amounts),
    Settle(usize, Amounts),
    Later(u64),
    /// The next step is on a replica whose clock is behind.
    Behind(u64),
    Rewritten,
}

fn any_amounts() -> impl Strategy<Value = Amounts> {
    (0u64..3, 0u64..400, 0u64..900).prop_map(|(r, t, n)| amounts(r, t, n))
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let later = prop_oneof![3 => 0u64..5_000, 2 => 5_000u64..100_000, 1 => Just(DAY_MS / 3)];
    prop::collection::vec(
        prop_oneof![
            6 => any_amounts().prop_map(Step::Reserve),
            4 => (any::<prop::sample::Index>(), any_amounts()).prop_map(|(i, a)| Step::Settle(i.index(64), a)),
            4 => later.prop_map(Step::Later),
            1 => (0u64..3_000).prop_map(Step::Behind),
            1 => Just(Step::Rewritten),
        ],
        0..80,
    )
}

/// Everything granted: when, and what it counts as now.
#[derive(Default)]
struct Model(Vec<(u64, Amounts)>);

impl Model {
    fn used(&self, what: What, now_ms: u64) -> u64 {
        let counts = |at_ms: u64| match what {
            What::Requests | What::Tokens => (at_ms / SLOT_MS + 1) * SLOT_MS + MINUTE_MS > now_ms,
            What::Money(Period::Day) => day(at_ms) == day(now_ms),
            What::Money(Period::Month) => month_of_day(day(at_ms)) == month_of_day(day(now_ms)),
        };
        self.0.iter().filter(|(at_ms, _)| counts(*at_ms)).map(|(_, amounts)| what.of(*amounts)).sum()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_500))]

    #[test]
    fn it_counts_exactly_and_grants_exactly_what_fits(steps in steps()) {
        let (mut account, mut model, mut settled) = (Account::default(), Model::default(), Vec::new());
        let (mut clock, mut behind) = (START, 0);
        for (at, step) in steps.into_iter().enumerate() {
            let now = clock - std::mem::take(&mut behind);
            match step {
                Step::Later(ms) => clock += ms,
                Step::Behind(ms) => behind = ms,
                Step::Rewritten => {
                    account = Account::decode(Some(&account.encode().unwrap())).unwrap();
                }
                Step::Reserve(need) => {
                    let fits = What::ALL.into_iter().all(|what| {
                        what.of(need) == 0 || model.used(what, now) + what.of(need) <= LIMITS.of(what).unwrap()
                    });
                    // Rows stay open longer than the test, so that everything can be settled.
                    let decision =
                        account.reserve(now, &at.to_string(), need, &LIMITS, clock + 400 * DAY_MS);
                    if decision == Decision::Crowded { continue; }
                    prop_assert_eq!(decision == Decision::Granted, fits, "{:?}", decision);
                    if fits {
                        model.0.push((now, need));
                        settled.push((at, false));
                        prop_assert_eq!(
                            account.reserve(now, &at.to_string(), need, &LIMITS, clock), Decision::Granted
                        );
                    }
                    if let Decision::Refused(refusal) = decision {
                        prop_assert!(refusal.available_at_ms > now);
                        prop_assert_eq!(Some(refusal.limit), LIMITS.of(refusal.what));
                        prop_assert_eq!(refusal.used, model.used(refusal.what, now));
                        // Without leases the time is exact: not a slot earlier, and then surely.
                        let at = refusal.available_at_ms;
                        let mut then = account.clone();
                        then.tidy(at);
                        prop_assert!(account.check(at - 1, need, &LIMITS) != Decision::Granted);
                        prop_assert_eq!(then.check(at, need, &LIMITS), Decision::Granted);
                    }
                }
                Step::Settle(which, actual) => {
                    if settled.is_empty() { continue; }
                    let which = which % settled.len();
                    let (id, done) = settled[which];
                    let open = account.has(&id.to_string());
                    prop_assert_eq!(account.settle(now, &id.to_string(), actual), open);
                    prop_assert!(!(open && done), "a settled reservation was open");
                    if open {
                        model.0[which].1 = actual;
                        settled[which].1 = true;
                    }
                }
            }
            for what in What::ALL {
                prop_assert_eq!(account.used(what, clock), model.used(what, clock), "{:?} after {}", what, at);
            }
        }
        // A month and a day later all of every limit is there.
        let then = month_end_ms(day(clock)) + DAY_MS;
        let whole = amounts(10, 1_000, 5_000);
        prop_assert_eq!(account.reserve(then, "whole", whole, &LIMITS, then), Decision::Granted);
    }

    #[test]
    fn the_order_of_settles_does_not_matter(
        calls in prop::collection::vec((any_amounts(), any_amounts(), 0u64..20_000), 1..8),
        order in Just((0..8usize).collect::<Vec<_>>()).prop_shuffle(),
    ) {
        let mut account = Account::default();
        for (at, (need, _, ms)) in calls.iter().enumerate() {
            account.reserve(START + ms, &at.to_string(), *need, &Limits::default(), START + 60_000);
        }
        let settle = |order: &mut dyn Iterator<Item = usize>| {
            let mut account = account.clone();
            order.for_each(|at| {
                account.settle(START + 20_000, &at.to_string(), calls.get(at).map_or(Amounts::ZERO, |c| c.1));
            });
            account
        };
        prop_assert_eq!(settle(&mut (0..8)), settle(&mut order.into_iter()));
    }

    #[test]
    fn whatever_bytes_there_are_is_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(Account::decode(Some(&bytes)).is_err());
    }

    #[test]
    fn days_and_months_follow_each_other(at in 0u64..200_000_000_000_000) {
        let (day_end, month_end) = (day_end_ms(day(at)), month_end_ms(day(at)));
        prop_assert!(at < day_end && day_end <= month_end && day_end - at <= DAY_MS);
        prop_assert_eq!(month_of_day(day(month_end)), month_of_day(day(at)) + 1);
        prop_assert_eq!(month_of_day(day(month_end - 1)), month_of_day(day(at)));
    }
}

#[test]
fn more_than_the_whole_limit_is_refused_for_good() {
    let mut account = Account::default();
    let decision = account.reserve(START, "a", amounts(1, 1_001, 1), &LIMITS, START);
    assert_eq!(decision, Decision::Never { what: What::Tokens, limit: 1_000, wanted: 1_001 });
    assert_eq!(account, Account::default());
}

#[test]
fn an_expired_reservation_keeps_its_money_and_loses_the_rest() {
    let (mut account, need) = (Account::default(), amounts(10, 1_000, 4_000));
    let start = START - DAY_MS / 2;
    assert_eq!(account.reserve(start, "a", need, &LIMITS, start + 1_000), Decision::Granted);
    let later = start + 1_000 + GRACE_MS;
    account.tidy(later - 1);
    assert!(account.has("a"), "it can be settled within the grace");
    account.tidy(later);
    assert!(!account.has("a"));
    assert_eq!(account.used(What::Requests, later), 0);
    assert_eq!(account.used(What::Tokens, later), 0);
    assert_eq!(account.used(What::Money(Period::Day), later), 4_000);
    assert!(!account.settle(later, "a", Amounts::ZERO));
    assert_eq!(account.used(What::Money(Period::Month), later), 4_000);
}

#[test]
fn settling_after_the_expiry_corrects_the_charge() {
    let mut account = Account::default();
    account.reserve(START, "a", amounts(1, 10, 4_000), &LIMITS, START + 1_000);
    // Another day by now: the money belongs to the day of the call.
    let later = START + 1_000 + GRACE_MS / 2;
    account.tidy(later);
    assert!(account.settle(later, "a", amounts(1, 10, 100)));
    assert_eq!(account.used(What::Money(Period::Day), later), 0);
    assert_eq!(account.used(What::Money(Period::Month), later), 100);
}

#[test]
fn rows_of_the_dead_make_room_and_rows_of_the_living_do_not() {
    let mut account = Account::default();
    for at in 0..MAX_ROWS {
        let free = amounts(1, 0, 0);
        assert!(account.put(START, &at.to_string(), Row { free, until_ms: START + 10, ..Row::default() }));
    }
    assert!(!account.put(START, "one more", Row::default()));
    assert!(account.put(START + 10, "one more", Row { until_ms: START + 20, ..Row::default() }));
    assert_eq!(account.rows(), MAX_ROWS);
    assert_eq!(
        account.used(What::Requests, START + 10),
        MAX_ROWS as u64,
        "what the dead had leased still counts"
    );
}

#[test]
fn a_full_account_is_within_its_bound() {
    let mut account = Account::default();
    for at in 0..MAX_ROWS {
        let mut row = Row { day: day(START), nano_usd: u64::MAX, until_ms: START, ..Row::default() };
        (0..40).for_each(|slot| row.slots.add(START / SLOT_MS + slot, Amounts::MAX));
        account.put(START, &format!("{at:0>40}"), row);
    }
    let bytes = account.encode().unwrap();
    assert_eq!(Account::decode(Some(&bytes)).unwrap(), account);
    assert_eq!(account.used(What::Tokens, START), u64::MAX, "sums saturate");
}

#[test]
fn what_another_version_wrote_is_refused() {
    let text = String::from_utf8(Account::default().encode().unwrap()).unwrap();
    assert!(Account::decode(Some(text.replace("\"v\":1", "\"v\":2").as_bytes())).is_err());
    assert!(Account::decode(Some(text.replace("\"v\":1", "\"v\":1,\"w\":2").as_bytes())).is_err());
    assert!(Account::decode(Some(text.as_bytes())).is_ok());
}
