//! Retries: delays within bounds, spread over the window, and an end.

use proptest::prelude::*;
use tasklane_domain::retry::{
    Backoff, FLOOR_MS, Failure, GiveUp, LONGEST_PUT_OFF_MS, MAX_RETRY_AFTER_MS, Next, delay_ms, next,
    put_off_ms,
};

const FAILED: Failure = Failure { retriable: true, retry_after_ms: None };

proptest! {
    #[test]
    fn backoff_stays_in_bounds(
        base_ms in any::<u64>(), cap_ms in any::<u64>(), factor in any::<f64>(), attempt in any::<u32>(),
        random in any::<f64>(),
    ) {
        let backoff = Backoff { base_ms, cap_ms, factor };
        let delay = delay_ms(&backoff, attempt, random);
        prop_assert!(delay <= cap_ms);
        prop_assert!(delay >= FLOOR_MS.min(cap_ms));
    }

    #[test]
    fn windows_never_shrink(attempt in 1u32..10_000, factor in 1.0..10.0) {
        let backoff = Backoff { factor, ..Backoff::default() };
        prop_assert!(backoff.window_ms(attempt) <= backoff.window_ms(attempt + 1));
    }

    #[test]
    fn jitter_is_full(attempt in 1u32..20, random in 0.0..1.0) {
        let backoff = Backoff::default();
        let window = backoff.window_ms(attempt) as f64;
        let expected = ((window * random) as u64).max(FLOOR_MS);
        prop_assert_eq!(delay_ms(&backoff, attempt, random), expected);
    }

    #[test]
    fn every_task_comes_to_an_end(attempt in any::<u32>(), max in any::<u32>(), after in prop::option::of(any::<u64>())) {
        let failure = Failure { retriable: true, retry_after_ms: after };
        match next(attempt, max, &failure, &Backoff::default(), 0.5) {
            Next::GiveUp(why) => {
                prop_assert!(attempt >= max);
                prop_assert_eq!(why, GiveUp::AttemptsUsedUp { attempt, max });
            }
            Next::RetryAfter(ms) => {
                prop_assert!(attempt < max);
                prop_assert!((FLOOR_MS..=MAX_RETRY_AFTER_MS).contains(&ms));
                if let Some(asked) = after.filter(|a| (FLOOR_MS..=MAX_RETRY_AFTER_MS).contains(a)) {
                    prop_assert_eq!(ms, asked, "the handler's own word stands");
                }
            }
        }
        let permanent = Failure { retriable: false, ..failure };
        prop_assert_eq!(next(attempt, max, &permanent, &Backoff::default(), 0.5), Next::GiveUp(GiveUp::Permanent));
    }

    #[test]
    fn what_is_put_off_comes_back_when_it_asked_or_a_little_later_and_not_for_ever(
        asked in any::<u64>(), age in any::<u64>(), random in any::<f64>(),
    ) {
        let wait = put_off_ms(asked, age, random);
        prop_assert_eq!(wait.is_none(), age >= LONGEST_PUT_OFF_MS);
        if let Some(ms) = wait {
            let asked = asked.clamp(FLOOR_MS, MAX_RETRY_AFTER_MS);
            prop_assert!(asked <= ms && ms <= asked + asked / 10, "{} for {}", ms, asked);
        }
    }
}

#[test]
fn windows_double_up_to_the_cap() {
    let windows: Vec<u64> = (1..=9).map(|n| Backoff::default().window_ms(n)).collect();
    assert_eq!(windows, [500, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]);
    assert_eq!(next(1, 3, &FAILED, &Backoff::default(), 0.5), Next::RetryAfter(250));
    let Next::GiveUp(why) = next(3, 3, &FAILED, &Backoff::default(), 0.5) else {
        panic!("no attempt is left")
    };
    assert_eq!(why.to_string(), "attempt 3 of 3 failed, and no more are allowed");
}
