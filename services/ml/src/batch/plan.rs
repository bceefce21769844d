//! Which of the waiting make the next batch. Pure: the clock is an argument.
//!
//! The most urgent text always goes, and of equally urgent ones the oldest; the rest of the budget goes to those that
//! come next. Who has waited long rises, so that nobody starves under a stream of more urgent work.

use std::cmp::Reverse;
use std::time::Duration;

use tokio::time::Instant;

/// Whoever has waited this long is as urgent as the next more urgent priority, and so on.
pub const RISES_AFTER: Duration = Duration::from_secs(2);
/// A batch is not made smaller than this only to give every idle thread a share.
pub const LEAST_SHARE: usize = 384;

/// Somebody who waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiting {
    /// Tokens to be computed.
    pub tokens: usize,
    /// 0 is the most urgent.
    pub priority: u8,
    /// When it came.
    pub since: Instant,
    /// When nobody wants the answer any more.
    pub until: Instant,
}

/// What a batch may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Tokens, padding included. A single text may have more.
    pub max_tokens: usize,
    /// Texts.
    pub max_items: usize,
    /// How long a text waits for others, while nothing runs.
    pub max_wait: Duration,
    /// Whether texts are filled up to the longest of their batch. Where they are not, their lengths may differ freely.
    pub padded: bool,
    /// Threads that are free to run a batch, this one included.
    pub idle: usize,
}

/// What is to be done, in indices of the waiting.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// Their time is over.
    pub late: Vec<usize>,
    /// The next batch, longest first; empty: nothing is to be run now.
    pub batch: Vec<usize>,
    /// When to ask again, where something waits for others to come.
    pub again_at: Option<Instant>,
}

/// The next batch.
pub fn plan(now: Instant, waiting: &[Waiting], limits: &Limits) -> Plan {
    let (mut order, late): (Vec<usize>, Vec<usize>) =
        (0..waiting.len()).partition(|&i| waiting[i].until > now);
    let mut plan = Plan { late, ..Plan::default() };
    let rank = |i: usize| (class(now, &waiting[i]), waiting[i].since, i);
    let Some(head) = order.iter().copied().min_by_key(|&i| rank(i)) else { return plan };
    let whole: usize = order.iter().map(|&i| waiting[i].tokens).sum();
    if whole < limits.max_tokens && order.len() < limits.max_items {
        let full_at = order.iter().map(|&i| waiting[i].since).min().map(|oldest| oldest + limits.max_wait);
        plan.again_at = full_at.filter(|at| *at > now);
        if plan.again_at.is_some() {
            return plan;
        }
    }
    let share = whole.div_ceil(limits.idle.max(1)).max(LEAST_SHARE);
    let budget = limits.max_tokens.min(share);
    let apart = |i: usize| if limits.padded { waiting[i].tokens.abs_diff(waiting[head].tokens) } else { 0 };
    order.sort_by_key(|&i| (i != head, class(now, &waiting[i]), apart(i), waiting[i].since, i));
    let (mut sum, mut longest) = (0, 0);
    for i in order {
        let tokens = waiting[i].tokens;
        let cost = if limits.padded { longest.max(tokens) * (plan.batch.len() + 1) } else { sum + tokens };
        if !plan.batch.is_empty() && (cost > budget || plan.batch.len() >= limits.max_items) {
            continue;
        }
        sum += tokens;
        longest = longest.max(tokens);
        plan.batch.push(i);
    }
    plan.batch.sort_by_key(|&i| Reverse(waiting[i].tokens));
    plan
}

/// Which class of urgency it is in: its priority, less what it gained by waiting.
fn class(now: Instant, waiting: &Waiting) -> u64 {
    let waited = now.saturating_duration_since(waiting.since);
    u64::from(waiting.priority).saturating_sub(waited.as_secs() / RISES_AFTER.as_secs())
}

/// Tokens that a batch is filled up with.
pub fn padding(tokens: impl Iterator<Item = usize> + Clone, padded: bool) -> usize {
    let longest = if padded { tokens.clone().max().unwrap_or(0) } else { return 0 };
    tokens.map(|tokens| longest - tokens).sum()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(base: Instant, ms: u64) -> Instant {
        base + Duration::from_millis(ms)
    }

    prop_compose! {
        fn crowd()(entries in prop::collection::vec((1usize..600, 0u8..4, 0u64..20_000, 1u64..40_000), 0..60),
                   max_tokens in 1usize..3_000, max_items in 1usize..20, wait in 0u64..50, padded: bool, idle in 1usize..4)
                   -> (Instant, Vec<Waiting>, Limits) {
            let base = Instant::now();
            let waiting = entries.into_iter().map(|(tokens, priority, since, until)| {
                Waiting { tokens, priority, since: at(base, since), until: at(base, until) }
            }).collect();
            let max_wait = Duration::from_millis(wait);
            (at(base, 20_000), waiting, Limits { max_tokens, max_items, max_wait, padded, idle })
        }
    }

    proptest! {
        #[test]
        fn a_batch_keeps_its_bounds_and_nobody_is_lost((now, waiting, limits) in crowd()) {
            let plan = plan(now, &waiting, &limits);
            for (i, one) in waiting.iter().enumerate() {
                prop_assert_eq!(plan.late.contains(&i), one.until <= now);
            }
            let mut seen: Vec<usize> = plan.late.iter().chain(&plan.batch).copied().collect();
            seen.sort_unstable();
            seen.dedup();
            prop_assert_eq!(seen.len(), plan.late.len() + plan.batch.len());
            prop_assert!(plan.batch.len() <= limits.max_items);
            if plan.batch.len() > 1 {
                let tokens = plan.batch.iter().map(|&i| waiting[i].tokens);
                let whole: usize = tokens.clone().sum();
                prop_assert!(whole + padding(tokens, limits.padded) <= limits.max_tokens);
            }
            prop_assert!(plan.batch.is_sorted_by_key(|&i| Reverse(waiting[i].tokens)));
            // It stands still only where somebody may wait for others.
            let alive = waiting.len() - plan.late.len();
            prop_assert_eq!(plan.batch.is_empty(), alive == 0 || plan.again_at.is_some());
            if let Some(again) = plan.again_at {
                prop_assert!(again > now && again <= now + limits.max_wait);
            }
        }

        #[test]
        fn the_most_urgent_goes_and_of_those_the_oldest((now, waiting, mut limits) in crowd()) {
            limits.max_wait = Duration::ZERO;
            let plan = plan(now, &waiting, &limits);
            let alive = (0..waiting.len()).filter(|&i| waiting[i].until > now);
            if let Some(first) = alive.min_by_key(|&i| (class(now, &waiting[i]), waiting[i].since, i)) {
                prop_assert!(plan.batch.contains(&first));
            }
        }

        #[test]
        fn everybody_is_served_in_the_end((now, mut waiting, limits) in crowd()) {
            for one in &mut waiting {
                one.until = now + Duration::from_secs(3_600);
            }
            let (mut left, mut rounds) = (waiting.len(), 0);
            while left > 0 {
                let plan = plan(now + limits.max_wait, &waiting, &limits);
                prop_assert!(!plan.batch.is_empty());
                let mut gone = plan.batch;
                gone.sort_unstable_by_key(|&i| Reverse(i));
                for i in gone {
                    waiting.swap_remove(i);
                }
                left = waiting.len();
                rounds += 1;
                prop_assert!(rounds <= 60);
            }
        }
    }

    const LIMITS: Limits =
        Limits { max_tokens: 1_000, max_items: 8, max_wait: Duration::ZERO, padded: false, idle: 1 };

    fn one(base: Instant, tokens: usize, priority: u8, since: u64) -> Waiting {
        Waiting { tokens, priority, since: at(base, since), until: at(base, 1_000_000) }
    }

    #[test]
    fn padding_keeps_like_with_like() {
        let base = Instant::now();
        let waiting = [one(base, 100, 1, 0), one(base, 500, 1, 1), one(base, 110, 1, 2), one(base, 95, 1, 3)];
        let padded = Limits { padded: true, ..LIMITS };
        assert_eq!(plan(at(base, 10), &waiting, &padded).batch, [2, 0, 3]);
        assert_eq!(plan(at(base, 10), &waiting, &LIMITS).batch, [1, 2, 0, 3]);
        assert_eq!(padding([100, 110, 95].into_iter(), true), 25);
        assert_eq!(padding([100, 110, 95].into_iter(), false), 0);
    }

    #[test]
    fn idle_threads_share_and_those_who_wait_rise() {
        let base = Instant::now();
        let waiting: Vec<_> = (0..8).map(|n| one(base, 120, 2, n)).collect();
        let two = Limits { idle: 2, ..LIMITS };
        assert_eq!(plan(at(base, 10), &waiting, &two).batch.len(), 4);
        let waiting = [one(base, 900, 3, 0), one(base, 900, 1, 3_900), one(base, 900, 2, 3_900)];
        assert_eq!(plan(at(base, 3_900), &waiting, &LIMITS).batch, [1]);
        assert_eq!(plan(at(base, 5_900), &waiting, &LIMITS).batch, [1]);
        assert_eq!(plan(at(base, 6_000), &waiting[..2], &LIMITS).batch, [0]);
    }

    #[test]
    fn a_text_waits_for_others_no_longer_than_it_may() {
        let base = Instant::now();
        let limits = Limits { max_wait: Duration::from_millis(5), ..LIMITS };
        let waiting = [one(base, 10, 1, 0)];
        let early = plan(at(base, 3), &waiting, &limits);
        assert_eq!((early.batch.len(), early.again_at), (0, Some(at(base, 5))));
        assert_eq!(plan(at(base, 5), &waiting, &limits).batch, [0]);
        let full = [one(base, 10, 1, 0), one(base, 990, 1, 0)];
        assert_eq!(plan(at(base, 0), &full, &limits).batch, [1, 0]);
    }
}
