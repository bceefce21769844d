//! The breaker against a list of all calls.

use std::time::Duration;

use proptest::prelude::*;

use super::*;

const CONFIG: Config = Config {
    window: Duration::from_secs(10),
    min_failures: 3,
    ratio: 0.5,
    pause: Duration::from_secs(1),
    max_pause: Duration::from_secs(8),
    probes: 2,
    probe_patience: Duration::from_secs(30),
};

fn call(breaker: &mut Breaker, outcome: Outcome, now_ms: u64) {
    let permit = breaker.admit(now_ms).unwrap();
    breaker.record(permit, outcome, now_ms, 0.0);
}

/// A breaker that opened at the given time.
fn opened(now_ms: u64) -> Breaker {
    let mut breaker = Breaker::new(CONFIG);
    for _ in 0..3 {
        call(&mut breaker, Outcome::Failed, now_ms);
    }
    assert_eq!(breaker.state(now_ms), State::Open { until_ms: now_ms + 1_000 });
    breaker
}

#[test]
fn few_failures_do_not_open_it() {
    let mut breaker = Breaker::new(CONFIG);
    call(&mut breaker, Outcome::Failed, 0);
    call(&mut breaker, Outcome::Failed, 0);
    assert_eq!(breaker.state(0), State::Closed);
}

#[test]
fn many_failures_among_more_successes_do_not_open_it() {
    let mut breaker = Breaker::new(CONFIG);
    for _ in 0..101 {
        call(&mut breaker, Outcome::Good, 0);
    }
    for _ in 0..100 {
        call(&mut breaker, Outcome::Failed, 0);
    }
    assert_eq!(breaker.state(0), State::Closed);
    call(&mut breaker, Outcome::Failed, 0);
    assert_eq!(breaker.state(0), State::Open { until_ms: 1_000 }, "101 of 202 are half");
}

#[test]
fn failures_expire() {
    let mut breaker = Breaker::new(CONFIG);
    call(&mut breaker, Outcome::Failed, 0);
    call(&mut breaker, Outcome::Failed, 500);
    call(&mut breaker, Outcome::Failed, 10_000);
    assert_eq!(breaker.state(10_000), State::Closed);
    let mut breaker = Breaker::new(CONFIG);
    call(&mut breaker, Outcome::Failed, 0);
    call(&mut breaker, Outcome::Failed, 500);
    call(&mut breaker, Outcome::Failed, 9_999);
    assert!(matches!(breaker.state(9_999), State::Open { .. }));
}

#[test]
fn one_probe_at_a_time_and_two_good_ones_close_it() {
    let mut breaker = opened(0);
    assert_eq!(breaker.admit(999), Err(Refused { until_ms: 1_000 }));
    let probe = breaker.admit(1_000).unwrap();
    assert_eq!(breaker.admit(1_001), Err(Refused { until_ms: 1_001 }));
    breaker.record(probe, Outcome::Good, 1_100, 0.0);
    assert_eq!(breaker.state(1_100), State::HalfOpen { probing: false });
    call(&mut breaker, Outcome::Good, 1_200);
    assert_eq!(breaker.state(1_200), State::Closed);
    let _both = (breaker.admit(1_200).unwrap(), breaker.admit(1_200).unwrap());
}

#[test]
fn a_bad_probe_doubles_the_pause_up_to_the_bound() {
    let mut breaker = opened(0);
    let mut now = 1_000;
    for pause in [2_000, 4_000, 8_000, 8_000] {
        call(&mut breaker, Outcome::Failed, now);
        assert_eq!(breaker.state(now), State::Open { until_ms: now + pause });
        now += pause;
    }
    call(&mut breaker, Outcome::Good, now);
    call(&mut breaker, Outcome::Good, now);
    for _ in 0..3 {
        call(&mut breaker, Outcome::Failed, now);
    }
    assert_eq!(breaker.state(now), State::Open { until_ms: now + 1_000 }, "once closed, it begins anew");
}

#[test]
fn a_useless_candidate_is_left_alone_at_once_and_for_as_long_as_it_asks() {
    for (asked_s, pause) in [(None, 1_000), (Some(0), 1_000), (Some(3), 3_000), (Some(3_600), 8_000)] {
        let mut breaker = Breaker::new(CONFIG);
        call(&mut breaker, Outcome::Useless(asked_s.map(Duration::from_secs)), 0);
        assert_eq!(breaker.state(0), State::Open { until_ms: pause });
    }
}

#[test]
fn a_probe_that_nobody_hears_of_is_given_up_and_not_heard_later() {
    let mut breaker = opened(0);
    let lost = breaker.admit(1_000).unwrap();
    assert!(breaker.admit(30_999).is_err());
    let next = breaker.admit(31_000).unwrap();
    breaker.record(lost, Outcome::Failed, 31_001, 0.0);
    assert_eq!(breaker.state(31_001), State::HalfOpen { probing: true }, "the lost one says nothing");
    breaker.record(next, Outcome::Unknown, 31_002, 0.0);
    assert_eq!(breaker.state(31_002), State::HalfOpen { probing: false });

    let mut breaker = opened(0);
    let lost = breaker.admit(1_000).unwrap();
    breaker.record(lost, Outcome::Failed, 31_000, 0.0);
    assert_eq!(breaker.state(31_000), State::HalfOpen { probing: false }, "nor before the next one");
}

#[test]
fn what_was_let_through_before_it_opened_says_nothing_about_a_probe() {
    let mut breaker = Breaker::new(CONFIG);
    let (early, also_early) = (breaker.admit(0).unwrap(), breaker.admit(0).unwrap());
    for _ in 0..3 {
        call(&mut breaker, Outcome::Failed, 0);
    }
    breaker.record(early, Outcome::Good, 10, 0.0);
    assert_eq!(breaker.state(10), State::Open { until_ms: 1_000 });
    let _probe = breaker.admit(1_000).unwrap();
    breaker.record(also_early, Outcome::Good, 1_001, 0.0);
    assert_eq!(breaker.state(1_001), State::HalfOpen { probing: true });
}

#[test]
fn chance_adds_up_to_half_the_pause() {
    for (random, until_ms) in [(0.0, 1_000), (0.5, 1_250), (1.0, 1_500), (f64::NAN, 1_250), (7.0, 1_500)] {
        let mut breaker = Breaker::new(CONFIG);
        let permit = breaker.admit(0).unwrap();
        breaker.record(permit, Outcome::Useless(None), 0, random);
        assert_eq!(breaker.state(0), State::Open { until_ms });
    }
}

#[test]
fn a_clock_that_goes_backwards_stands_still() {
    let mut breaker = opened(5_000);
    assert_eq!(breaker.admit(6_000).unwrap(), Permit { turn: 2 });
    assert_eq!(breaker.admit(0), Err(Refused { until_ms: 6_000 }));
}

#[test]
fn wild_settings_and_times_do_not_break_it() {
    let wild = Config {
        window: Duration::MAX,
        min_failures: 0,
        ratio: f64::NAN,
        pause: Duration::MAX,
        max_pause: Duration::MAX,
        probes: 0,
        probe_patience: Duration::ZERO,
    };
    let mut breaker = Breaker::new(wild);
    call(&mut breaker, Outcome::Failed, u64::MAX);
    assert_eq!(breaker.state(u64::MAX), State::Closed, "no proportion is at least no number");
    call(&mut breaker, Outcome::Useless(None), u64::MAX);
    assert_eq!(breaker.state(u64::MAX), State::HalfOpen { probing: false }, "the end of time is reached");
}

#[derive(Debug, Clone)]
enum Step {
    Later(u64),
    Admit,
    Record(usize, Outcome),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let outcome = prop_oneof![
        3 => Just(Outcome::Good),
        4 => Just(Outcome::Failed),
        1 => Just(Outcome::Unknown),
        1 => (0_u64..20_000).prop_map(|ms| Outcome::Useless(Some(Duration::from_millis(ms)))),
    ];
    let step = prop_oneof![
        3 => (0_u64..3_000).prop_map(Step::Later),
        1 => (0_u64..40_000).prop_map(Step::Later),
        4 => Just(Step::Admit),
        4 => (any::<usize>(), outcome).prop_map(|(which, outcome)| Step::Record(which, outcome)),
    ];
    prop::collection::vec(step, 0..200)
}

proptest! {
    /// Between two closed states, whatever happens in whatever order: a permit is given only when the pause is over,
    /// and only when the one before it was recorded or lost.
    #[test]
    fn never_more_than_one_probe_at_once(steps in steps(), random in 0.0_f64..1.0) {
        let mut breaker = Breaker::new(CONFIG);
        let (mut now, mut out, mut open_until) = (0, Vec::<(Permit, u64, bool)>::new(), 0);
        for step in steps {
            match step {
                Step::Later(ms) => now += ms,
                Step::Admit => {
                    let before = breaker.state(now);
                    let admitted = breaker.admit(now);
                    let probing = out.iter().any(|(_, since, probe)| *probe && now - since < 30_000);
                    match before {
                        State::Closed => prop_assert!(admitted.is_ok()),
                        State::Open { until_ms } => prop_assert_eq!(&admitted, &Err(Refused { until_ms })),
                        State::HalfOpen { probing: said } => {
                            prop_assert!(now >= open_until);
                            prop_assert_eq!(said, probing);
                            prop_assert_eq!(admitted.is_ok(), !probing);
                        }
                    }
                    out.extend(admitted.ok().map(|permit| (permit, now, before != State::Closed)));
                }
                Step::Record(_, _) if out.is_empty() => {}
                Step::Record(which, outcome) => {
                    let (permit, ..) = out.swap_remove(which % out.len());
                    breaker.record(permit, outcome, now, random);
                    if let State::Open { until_ms } = breaker.state(now) {
                        prop_assert!(until_ms <= now + 12_000, "no pause is past the bound and half of it");
                        open_until = until_ms;
                    }
                }
            }
        }
    }

    /// However it came about, a candidate that works again is used again.
    #[test]
    fn good_calls_close_it(steps in steps(), random in 0.0_f64..1.0) {
        let mut breaker = Breaker::new(CONFIG);
        let (mut now, mut out) = (0, Vec::new());
        for step in steps {
            match step {
                Step::Later(ms) => now += ms,
                Step::Admit => out.extend(breaker.admit(now).ok()),
                Step::Record(which, outcome) if !out.is_empty() => {
                    breaker.record(out.swap_remove(which % out.len()), outcome, now, random);
                }
                Step::Record(..) => {}
            }
        }
        now += 30_000;
        for _ in 0..2 {
            let permit = breaker.admit(now).unwrap();
            breaker.record(permit, Outcome::Good, now, random);
        }
        prop_assert_eq!(breaker.state(now), State::Closed);
    }

    /// The window against a list of everything that ever happened: nothing that is older than the window counts,
    /// everything that is younger than nine tenths of it does.
    #[test]
    fn the_window_counts_what_is_in_it(calls in prop::collection::vec((0_u64..4_000, any::<bool>()), 1..60)) {
        let mut window = Window::new(Duration::from_secs(10));
        let (mut now, mut all) = (0, Vec::new());
        for (later, good) in calls {
            now += later;
            let (failed, counted) = window.counts(now);
            let younger = |age: u64| all.iter().filter(move |(at, _)| now - at < age);
            let bad = |age: u64| younger(age).filter(|(_, good): &&(u64, bool)| !good).count();
            prop_assert!((younger(9_000).count()..=younger(10_000).count()).contains(&(counted as usize)));
            prop_assert!((bad(9_000)..=bad(10_000)).contains(&(failed as usize)));
            window.add(now, good);
            all.push((now, good));
        }
    }
}
