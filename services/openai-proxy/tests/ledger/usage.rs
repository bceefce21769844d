//! What was used is counted once, however often it is written.

use proptest::prelude::*;
use tasklane_openai_proxy::ledger::calendar::day;
use tasklane_openai_proxy::ledger::flush::Usage;
use tasklane_openai_proxy::ledger::usage::{
    Applied, Batch, Counters, MAX_MODELS, MAX_REPLICAS, Models, OTHER, REMEMBERED_MS, Sheet, Tally,
};

use crate::memory::{Clock, Faults, Memory};

const START: u64 = 1_772_200_000_000;

fn one(n: u64) -> Counters {
    Counters { requests: 1, input_tokens: n, cached_tokens: n / 2, output_tokens: 2 * n, nano_usd: 10 * n }
}

proptest! {
    #[test]
    fn a_batch_counts_once_whatever_is_repeated(
        steps in prop::collection::vec((0usize..3, 1u64..100, any::<bool>(), any::<bool>()), 1..60),
    ) {
        let mut tallies = [Tally::default(), Tally::default(), Tally::default()];
        let (mut sheet, mut expected) = (Sheet::default(), Counters::default());
        for (replica, n, answered, repeated) in steps {
            let tally = &mut tallies[replica];
            tally.add(1, "acme", "m", &one(n));
            expected.add(&one(n));
            for (key, batch) in tally.batches() {
                for _ in 0..=u8::from(repeated) { sheet.apply(0, &replica.to_string(), &batch); }
                if answered { tally.confirm(&key, batch.sequence); }
            }
        }
        for (replica, tally) in tallies.iter_mut().enumerate() {
            while !tally.is_empty() {
                for (key, batch) in tally.batches() {
                    sheet.apply(0, &replica.to_string(), &batch);
                    tally.confirm(&key, batch.sequence);
                }
            }
        }
        prop_assert_eq!(sheet.models["m"], expected);
        prop_assert_eq!(Sheet::decode(Some(&sheet.encode().unwrap())).unwrap(), sheet);
    }
}

#[tokio::test(start_paused = true)]
async fn replicas_that_flush_into_failures_lose_and_double_nothing() {
    let faults = Faults { conflict: 0.2, lost_before: 0.1, lost_after: 0.2, delay_ms: 5 };
    let (memory, clock) = (Memory::new(7, faults), Clock::new(START));
    let usages: Vec<_> =
        (0..3).map(|at| Usage::new(memory.clone(), &format!("r{at}"), clock.sources(0, at))).collect();
    let (mut expected, mut failures) = (Counters::default(), 0);
    for round in 0..200u64 {
        for usage in &usages {
            usage.record("a/b c", "gpt", &one(round));
            expected.add(&one(round));
        }
        let (a, b, c) = tokio::join!(usages[0].flush(), usages[1].flush(), usages[2].flush());
        failures += [a, b, c].into_iter().filter(Result::is_err).count();
    }
    assert!(failures > 50, "the bucket failed only {failures} times");
    memory.set(Faults::default());
    for usage in &usages {
        usage.shutdown().await.unwrap();
    }
    assert_eq!(usages[0].sheet(day(START), "a/b c").await.unwrap().models["gpt"], expected);
}

#[test]
fn models_and_replicas_are_bounded() {
    let (mut tally, mut sheet) = (Tally::default(), Sheet::default());
    (0..MAX_MODELS + 9).for_each(|at| tally.add(1, "acme", &at.to_string(), &one(1)));
    let batch = tally.batches().remove(0).1;
    assert_eq!(batch.models.len(), MAX_MODELS + 1);
    assert_eq!(batch.models[OTHER].requests, 9);
    let batch = Batch { sequence: 1, models: Models::new() };
    (0..MAX_REPLICAS).for_each(|at| assert_eq!(sheet.apply(5, &at.to_string(), &batch), Applied::Now));
    assert_eq!(sheet.apply(5, "one more", &batch), Applied::Full);
    assert_eq!(sheet.apply(5 + REMEMBERED_MS, "one more", &batch), Applied::Now);
    assert_eq!(sheet.apply(5 + REMEMBERED_MS, "one more", &batch), Applied::Before);
}
