//! One replica with its accounts.

use std::time::Duration;

use tasklane_openai_proxy::ledger::book::key;
use tasklane_openai_proxy::ledger::cas::CasError;
use tasklane_openai_proxy::ledger::{Amounts, Book, BookError, Charge, Limits, Period, What};
use tokio::time::sleep;

use crate::memory::{Clock, Faults, Memory};

/// The first day of a month, at noon.
const START: u64 = 1_772_366_400_000;

const MONEY: What = What::Money(Period::Day);

fn need(nano_usd: u64) -> Amounts {
    Amounts { requests: 1, tokens: 10, nano_usd }
}

fn budget(nano_usd: u64) -> Limits {
    Limits { nano_usd_per_day: Some(nano_usd), ..Limits::default() }
}

fn rpm(requests: u64) -> Limits {
    Limits { requests_per_minute: Some(requests), ..Limits::default() }
}

fn book(memory: &Memory, clock: Clock, name: &str) -> Book<Memory> {
    Book::new(memory.clone(), name, clock.sources(0, 1))
}

async fn used(book: &Book<Memory>, clock: Clock, key: &str, what: What) -> u64 {
    book.account(key).await.unwrap().used(what, clock.now_ms())
}

#[tokio::test(start_paused = true)]
async fn a_call_takes_from_all_accounts_or_from_none() {
    let (memory, clock) = (Memory::new(1, Faults::default()), Clock::new(START));
    let book = book(&memory, clock, "r");
    let (tenant, provider) = (key("tenant", "acme"), key("provider", "openai"));
    let (money, rate) = (budget(1_000), rpm(2));
    let charges = [Charge { key: &tenant, limits: &money }, Charge { key: &provider, limits: &rate }];
    let one = book.reserve(need(100), &charges).await.unwrap();
    let two = book.reserve(need(100), &charges).await.unwrap();
    match book.reserve(need(100), &charges).await {
        Err(BookError::Refused(key, refusal)) => {
            assert_eq!((key, refusal.what, refusal.limit), (provider.clone(), What::Requests, 2));
        }
        other => panic!("{other:?}"),
    }
    one.settle(need(30));
    two.release();
    book.shutdown().await.unwrap();
    assert_eq!(used(&book, clock, &tenant, MONEY).await, 30);
    assert_eq!(used(&book, clock, &provider, What::Requests).await, 1);
    assert_eq!(book.account(&tenant).await.unwrap().rows(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_reservation_stays_charged_and_an_overrun_is_charged() {
    let (memory, clock) = (Memory::new(1, Faults::default()), Clock::new(START));
    let (book, limits) = (book(&memory, clock, "r"), budget(1_000));
    let charges = [Charge { key: "t", limits: &limits }];
    drop(book.reserve(need(100), &charges).await.unwrap());
    book.reserve(need(900), &charges).await.unwrap().settle(need(950));
    assert!(matches!(book.reserve(need(1), &charges).await, Err(BookError::Refused(..))));
    assert!(matches!(book.reserve(need(1_001), &charges).await, Err(BookError::Never { .. })));
    book.shutdown().await.unwrap();
    assert_eq!(used(&book, clock, "t", MONEY).await, 1_050);
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_reservation_gives_back_what_it_had_taken() {
    let (memory, clock) = (Memory::new(1, Faults { delay_ms: 50, ..Faults::default() }), Clock::new(START));
    let (book, limits) = (book(&memory, clock, "r"), budget(1_000));
    let charges = [Charge { key: "a", limits: &limits }, Charge { key: "b", limits: &limits }];
    for ms in 1..150 {
        let reserving = book.reserve(need(20), &charges);
        if let Ok(done) = tokio::time::timeout(Duration::from_millis(ms), reserving).await {
            done.unwrap().release();
        }
    }
    sleep(Duration::from_secs(3)).await;
    book.maintain(|_| budget(1_000)).await.unwrap();
    for key in ["a", "b"] {
        assert_eq!(used(&book, clock, key, MONEY).await, 0);
        assert_eq!(book.account(key).await.unwrap().rows(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn most_calls_cost_no_round_trip_and_refusals_hardly_any() {
    let (memory, clock) = (Memory::new(1, Faults { delay_ms: 1, ..Faults::default() }), Clock::new(START));
    let (book, limits) = (book(&memory, clock, "r"), budget(1_000_000));
    let charges = [Charge { key: "t", limits: &limits }];
    for _ in 0..1_000 {
        book.reserve(need(100), &charges).await.unwrap().settle(need(100));
        sleep(Duration::from_millis(1)).await;
    }
    assert!(memory.gets() < 30, "{} reads for 1000 calls", memory.gets());
    let before = memory.gets();
    for _ in 0..1_000 {
        assert!(book.reserve(need(950_000), &charges).await.is_err());
        sleep(Duration::from_millis(1)).await;
    }
    assert!(memory.gets() - before < 10, "{} reads for 1000 refusals", memory.gets() - before);
}

#[tokio::test(start_paused = true)]
async fn a_long_call_is_corrected_and_its_row_outlives_the_grace() {
    let (memory, clock) = (Memory::new(1, Faults::default()), Clock::new(START));
    let (book, limits) = (book(&memory, clock, "r"), budget(1_000));
    let charges = [Charge { key: "t", limits: &limits }];
    let call = book.reserve(need(800), &charges).await.unwrap();
    for _ in 0..4 * 60 * 60 {
        sleep(Duration::from_millis(250)).await;
        book.maintain(|_| budget(1_000)).await.unwrap();
    }
    assert!(memory.puts() < 30, "{} writes for one call in an hour", memory.puts());
    assert_eq!(used(&book, clock, "t", MONEY).await, 800);
    call.settle(need(100));
    book.maintain(|_| budget(1_000)).await.unwrap();
    assert_eq!(used(&book, clock, "t", MONEY).await, 100);
}

#[tokio::test(start_paused = true)]
async fn a_call_over_midnight_is_charged_to_the_day_it_began() {
    let (memory, clock) = (Memory::new(1, Faults::default()), Clock::new(START + 43_199_000));
    let (book, limits) = (book(&memory, clock, "r"), budget(1_000));
    let charges = [Charge { key: "t", limits: &limits }];
    let call = book.reserve(need(900), &charges).await.unwrap();
    sleep(Duration::from_millis(1_500)).await;
    let other = book.reserve(need(1_000), &charges).await.unwrap();
    call.settle(need(700));
    other.settle(need(400));
    book.shutdown().await.unwrap();
    assert_eq!(used(&book, clock, "t", MONEY).await, 400);
    assert_eq!(used(&book, clock, "t", What::Money(Period::Month)).await, 1_100);
}

#[tokio::test(start_paused = true)]
async fn failures_of_the_bucket_are_errors_and_leave_it_as_it_is() {
    let (memory, clock) =
        (Memory::new(1, Faults { lost_before: 1.0, ..Faults::default() }), Clock::new(START));
    let (book, limits) = (book(&memory, clock, "r"), budget(1_000));
    let charges = [Charge { key: "t", limits: &limits }];
    let error = book.reserve(need(1), &charges).await.unwrap_err();
    assert!(matches!(error, BookError::Store(CasError::Unavailable(_))), "{error}");
    memory.set(Faults { conflict: 1.0, ..Faults::default() });
    let error = book.reserve(need(1), &charges).await.unwrap_err();
    assert!(matches!(error, BookError::Store(CasError::Contended(_))), "{error}");
    memory.set(Faults::default());
    memory.write_raw("t", b"{\"v\":9}");
    let error = book.reserve(need(1), &charges).await.unwrap_err();
    assert!(matches!(error, BookError::Store(CasError::Unreadable { .. })), "{error}");
    assert_eq!(memory.raw("t").unwrap().0, b"{\"v\":9}");
}

#[tokio::test(start_paused = true)]
async fn idle_accounts_are_forgotten_and_names_cannot_meet() {
    let (memory, clock) = (Memory::new(1, Faults::default()), Clock::new(START));
    let (book, limits) = (book(&memory, clock, "r"), rpm(60));
    for at in 0..50 {
        let key = key("tenant", &format!("t.{at}/*"));
        let charges = [Charge { key: &key, limits: &limits }];
        book.reserve(need(1), &charges).await.unwrap().settle(need(1));
    }
    sleep(Duration::from_secs(3)).await;
    book.maintain(|_| rpm(60)).await.unwrap();
    assert_eq!(book.accounts_held(), 0);
    assert_eq!(key("tenant", "a.b"), "limit.tenant.a=2Eb");
    assert_ne!(key("tenant", "a=2Eb"), key("tenant", "a.b"));
}

#[tokio::test(start_paused = true)]
async fn calls_during_a_renewal_are_covered_by_it() {
    let (memory, clock) = (Memory::new(1, Faults::default()), Clock::new(START));
    let (book, limits) = (book(&memory, clock, "r"), budget(100_000));
    let charges = [Charge { key: "t", limits: &limits }];
    let large = book.reserve(need(2_000), &charges).await.unwrap();
    sleep(Duration::from_millis(1_600)).await;
    book.maintain(|_| budget(100_000)).await.unwrap();
    large.release();
    let small = book.reserve(need(1), &charges).await.unwrap();
    sleep(Duration::from_millis(2_000)).await;
    // Little was taken, so a new lease would be small, but the old one is taken while it is being written.
    memory.set(Faults { delay_ms: 20, ..Faults::default() });
    let writes = memory.puts();
    let (renewed, reserved) =
        tokio::join!(book.maintain(|_| budget(100_000)), book.reserve(need(1_500), &charges));
    renewed.unwrap();
    assert_eq!(memory.puts(), writes + 1, "the call took from the lease before");
    assert!(used(&book, clock, "t", MONEY).await > 1_500);
    drop((small, reserved));
}

#[tokio::test(start_paused = true)]
async fn a_row_that_others_have_closed_is_not_charged_again() {
    let (memory, clock) = (Memory::new(1, Faults::default()), Clock::new(START));
    let (a, b, limits) = (book(&memory, clock, "a"), book(&memory, clock, "b"), budget(1_000));
    let charges = [Charge { key: "t", limits: &limits }];
    let lost = a.reserve(need(400), &charges).await.unwrap();
    sleep(Duration::from_secs(20 * 60)).await;
    b.reserve(need(1), &charges).await.unwrap().settle(need(1));
    a.reserve(need(100), &charges).await.unwrap().settle(need(100));
    a.shutdown().await.unwrap();
    b.shutdown().await.unwrap();
    assert_eq!(used(&a, clock, "t", MONEY).await, 501);
    lost.settle(need(0));
    a.shutdown().await.unwrap();
    assert_eq!(used(&a, clock, "t", MONEY).await, 501, "too late: it stays charged as estimated");
}

#[tokio::test(start_paused = true)]
async fn what_is_free_is_given_back_while_a_call_still_runs() {
    let (memory, clock) = (Memory::new(1, Faults::default()), Clock::new(START));
    let (book, limits) = (book(&memory, clock, "r"), budget(1_000));
    let charges = [Charge { key: "t", limits: &limits }];
    let running = book.reserve(need(10), &charges).await.unwrap();
    let other = book.reserve(need(10), &charges).await.unwrap();
    assert_eq!(used(&book, clock, "t", MONEY).await, 20);
    other.settle(need(5));
    sleep(Duration::from_secs(3)).await;
    book.maintain(|_| budget(1_000)).await.unwrap();
    assert_eq!(used(&book, clock, "t", MONEY).await, 15);
    drop(running);
}
