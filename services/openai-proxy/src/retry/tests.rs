//! What follows each failure.

use std::time::Duration;

use proptest::prelude::*;

use super::*;

/// Sun, 06 Nov 1994 08:49:37 GMT, the example of RFC 9110, in milliseconds.
const THEN_MS: u64 = 784_111_777_000;

const BOUNDS: Bounds = Bounds { max_attempts: 3, max_wait: Duration::from_secs(30) };

fn status(status: u16) -> Failure<'static> {
    Failure::Status { status, code: None }
}

fn hints(headers: &[(&str, &'static str)], now_ms: u64) -> Hints {
    let get = |name: &str| headers.iter().find(|(n, _)| *n == name).map(|(_, value)| *value);
    Hints::read(get, now_ms)
}

fn after(headers: &[(&str, &'static str)]) -> Option<u64> {
    hints(headers, THEN_MS).retry_after.map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX))
}

#[test]
fn reads_seconds_and_milliseconds() {
    assert_eq!(after(&[]), None);
    assert_eq!(after(&[("retry-after", "7")]), Some(7_000));
    assert_eq!(after(&[("retry-after", " 0.25 ")]), Some(250));
    assert_eq!(after(&[("retry-after-ms", "1500")]), Some(1_500));
    assert_eq!(after(&[("retry-after-ms", "20"), ("retry-after", "7")]), Some(20));
    assert_eq!(after(&[("retry-after-ms", "soon"), ("retry-after", "7")]), Some(7_000));
    assert_eq!(after(&[("retry-after", "1e999")]), Some(u64::MAX), "too many digits are a very long time");
    assert_eq!(after(&[("retry-after", "1e30")]), Some(u64::MAX));
}

#[test]
fn what_is_no_time_to_wait_counts_as_nothing_said() {
    for value in ["", "soon", "inf", "-inf", "NaN", "0", "-5", "1 s", "Sun, 06 Nov"] {
        assert_eq!(hints(&[("retry-after", value)], THEN_MS).retry_after, None, "{value}");
    }
    assert_eq!(
        after(&[("retry-after-ms", "0"), ("retry-after", "7")]),
        None,
        "the first one stands, as in the clients"
    );
}

#[test]
fn reads_every_form_of_date() {
    let dates =
        ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"];
    for date in dates.into_iter().chain(["Sun, 06 Nov 1994 10:49:37 +0200", "06 Nov 1994 08:49:37 GMT"]) {
        assert_eq!(
            hints(&[("retry-after", date)], THEN_MS - 90_500).retry_after,
            Some(Duration::from_millis(90_500)),
            "{date}"
        );
        assert_eq!(hints(&[("retry-after", date)], THEN_MS).retry_after, None, "{date} is now");
        assert_eq!(hints(&[("retry-after", date)], THEN_MS + 1).retry_after, None, "{date} is past");
    }
}

#[test]
fn sorts_statuses() {
    let rows = [
        (302, Class::Candidate, Blame::Failed),
        (400, Class::Request, Blame::None),
        (401, Class::Candidate, Blame::Useless),
        (402, Class::Candidate, Blame::Useless),
        (403, Class::Request, Blame::None),
        (404, Class::Candidate, Blame::Failed),
        (408, Class::Passing, Blame::Failed),
        (409, Class::Passing, Blame::None),
        (413, Class::Request, Blame::None),
        (422, Class::Request, Blame::None),
        (429, Class::Passing, Blame::None),
        (499, Class::Request, Blame::None),
        (500, Class::Passing, Blame::Failed),
        (529, Class::Passing, Blame::Failed),
    ];
    for (code, class, whose) in rows {
        assert_eq!((classify(&status(code)), blame(&status(code))), (class, whose), "{code}");
    }
    let broke = Failure::Status { status: 429, code: Some("insufficient_quota") };
    assert_eq!((classify(&broke), blame(&broke)), (Class::Candidate, Blame::Useless));
    let busy = Failure::Status { status: 429, code: Some("rate_limit_exceeded") };
    assert_eq!((classify(&busy), blame(&busy)), (Class::Passing, Blame::None));
}

#[test]
fn an_answer_decides_as_in_the_official_clients() {
    let none = Hints::default();
    let asked = |seconds| Hints { retry_after: Some(Duration::from_secs(seconds)), ..none };
    let no = Hints { should_retry: Some(false), ..none };
    let yes = Hints { should_retry: Some(true), ..none };
    let half_second = Next::Wait(Duration::from_millis(250));
    let rows = [
        (429, asked(7), 1, Next::Wait(Duration::from_secs(7))),
        (429, asked(30), 1, Next::Wait(Duration::from_secs(30))),
        (429, asked(31), 1, Next::NextCandidate),
        (429, none, 1, half_second),
        (429, none, 2, Next::Wait(Duration::from_millis(500))),
        (429, none, 3, Next::NextCandidate),
        (500, no, 1, Next::NextCandidate),
        (400, none, 1, Next::GiveUp),
        (400, asked(1), 1, Next::GiveUp),
        (400, no, 1, Next::GiveUp),
        (400, yes, 1, half_second),
        (400, yes, 3, Next::GiveUp),
        (401, none, 1, Next::NextCandidate),
        (401, asked(1), 1, Next::NextCandidate),
        (404, none, 1, Next::NextCandidate),
    ];
    for (code, hints, attempt, expected) in rows {
        assert_eq!(
            next(&status(code), &hints, attempt, &BOUNDS, 0.5),
            expected,
            "{code} {hints:?} {attempt}"
        );
    }
}

#[test]
fn without_an_answer_it_depends_on_how_far_it_went() {
    let next = |transport| next(&Failure::Transport(transport), &Hints::default(), 1, &BOUNDS, 0.5);
    for passing in [Transport::Connect, Transport::Broken, Transport::BadAnswer] {
        assert_eq!(next(passing), Next::Wait(Duration::from_millis(250)));
    }
    for slow in [Transport::ConnectTimeout, Transport::FirstChunkTimeout] {
        assert_eq!(next(slow), Next::NextCandidate);
    }
    for late in [Transport::MidStream, Transport::WholeTimeout] {
        assert_eq!(next(late), Next::GiveUp);
    }
}

#[test]
fn nothing_is_repeated_once_bytes_are_out() {
    let yes = Hints { should_retry: Some(true), retry_after: Some(Duration::from_secs(1)) };
    assert_eq!(next(&Failure::Transport(Transport::MidStream), &yes, 1, &BOUNDS, 0.5), Next::GiveUp);
}

proptest! {
    #[test]
    fn reads_anything(ms in "\\PC*", after in "\\PC*", should in "\\PC*", now_ms in any::<u64>()) {
        let get = |name: &str| match name {
            "retry-after-ms" => Some(ms.as_str()),
            "retry-after" => Some(after.as_str()),
            _ => Some(should.as_str()),
        };
        let hints = Hints::read(get, now_ms);
        prop_assert_ne!(hints.retry_after, Some(Duration::ZERO));
    }

    #[test]
    fn waits_within_bounds_and_ends(
        code in 100_u16..600,
        asked in prop::option::of(1_u64..100_000),
        should_retry in prop::option::of(any::<bool>()),
        attempt in 1_u32..10,
        random in 0.0_f64..1.0,
    ) {
        let hints = Hints { retry_after: asked.map(Duration::from_millis), should_retry };
        match next(&status(code), &hints, attempt, &BOUNDS, random) {
            Next::Wait(wait) => {
                prop_assert!(attempt < BOUNDS.max_attempts);
                prop_assert!(wait <= BOUNDS.max_wait && !wait.is_zero());
                prop_assert_ne!(should_retry, Some(false));
                match asked {
                    Some(ms) => prop_assert_eq!(wait, Duration::from_millis(ms)),
                    None => prop_assert!(wait <= Duration::from_millis(500 << (attempt - 1).min(4))),
                }
            }
            Next::GiveUp => prop_assert_eq!(classify(&status(code)), Class::Request),
            Next::NextCandidate => prop_assert_ne!(classify(&status(code)), Class::Request),
        }
    }
}
