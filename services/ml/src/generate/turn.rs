//! Whose turn it is: who of those that wait joins next, and how many tokens of whom the next step computes.

use std::cmp::Ordering;

/// Somebody who waits. `T` is a time: what is before `now` has passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiting<T> {
    /// 0 is the most urgent.
    pub priority: u8,
    /// When nobody wants the answer any more.
    pub until: T,
    /// The order in which they came.
    pub number: u64,
}

/// Who comes first: the more urgent; of those, whose time ends first; of those, who came first.
pub fn before<T: Ord>(a: &Waiting<T>, b: &Waiting<T>) -> Ordering {
    (a.priority, &a.until, a.number).cmp(&(b.priority, &b.until, b.number))
}

/// How many prompt tokens of each are computed in the next step.
///
/// `open` are the tokens of each prompt that are not computed yet, in the order in which they joined; `writing` is how many
/// others write a token each in the same step and wait for its end. A long prompt is cut into parts, so that they do not
/// wait long: `short` tokens where somebody writes, else `long`.
pub fn shares(open: &[usize], writing: usize, short: usize, long: usize) -> Vec<usize> {
    let mut left = if writing > 0 { short } else { long }.max(1);
    open.iter()
        .map(|open| {
            let share = left.min(*open);
            left -= share;
            share
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn urgency_then_time_then_arrival() {
        let w = |priority, until, number| Waiting { priority, until, number };
        let mut all = [w(1, 5, 0), w(0, 9, 3), w(0, 9, 2), w(0, 7, 4), w(3, 1, 1)];
        all.sort_by(before);
        assert_eq!(all.iter().map(|w| w.number).collect::<Vec<_>>(), [4, 2, 3, 0, 1]);
    }

    proptest! {
        #[test]
        fn shares_are_bounded_and_somebody_always_gets_on(
            open in prop::collection::vec(1usize..5_000, 1..10), writing in 0usize..5,
        ) {
            let shares = shares(&open, writing, 256, 2_048);
            let sum: usize = shares.iter().sum();
            let most = if writing > 0 { 256 } else { 2_048 };
            prop_assert!((1..=most).contains(&sum));
            prop_assert!(shares.iter().zip(&open).all(|(share, open)| share <= open));
            prop_assert!(shares[0] > 0);
        }
    }
}
