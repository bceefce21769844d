//! How partial results are put together again: which ones at once, and how many calls that takes.

use std::ops::Range;

/// Groups of neighbours, each of at most `room` tokens where that is possible, and of two at least, so that every round
/// leaves fewer. Only the last may be alone; it waits for the next round. One group means that all fit.
pub fn groups(tokens: &[u64], room: u64) -> Vec<Range<usize>> {
    let mut groups: Vec<Range<usize>> = Vec::new();
    let (mut from, mut held) = (0, 0u64);
    for (at, tokens) in tokens.iter().enumerate() {
        let full = held.saturating_add(*tokens) > room;
        if full && at >= from + 2 {
            groups.push(from..at);
            (from, held) = (at, 0);
        }
        held = held.saturating_add(*tokens);
    }
    if from < tokens.len() {
        groups.push(from..tokens.len());
    }
    groups
}

/// Calls that it takes at most to bring so many parts, each summed up in `each` tokens, into one: those for the parts,
/// those that merge, and the last.
pub fn calls(parts: usize, each: u64, room: u64) -> usize {
    if parts <= 1 {
        return 1;
    }
    let (mut calls, mut left) = (parts, parts);
    loop {
        let groups = groups(&vec![each; left], room);
        if groups.len() <= 1 {
            return calls + 1;
        }
        calls += groups.iter().filter(|group| group.len() > 1).count();
        left = groups.len();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn neighbours_go_together_as_far_as_there_is_room() {
        assert_eq!(groups(&[3, 3, 3, 3], 100), vec![0..4]);
        assert_eq!(groups(&[3, 3, 3, 3], 6), vec![0..2, 2..4]);
        assert_eq!(groups(&[3, 3, 3, 3, 3], 6), vec![0..2, 2..4, 4..5]);
        assert_eq!(groups(&[50, 50], 6), vec![0..2], "two at least");
        assert_eq!(groups(&[], 6), Vec::<Range<usize>>::new());
        assert_eq!((calls(1, 5, 10), calls(2, 5, 10), calls(4, 5, 10)), (1, 3, 4 + 2 + 1));
    }

    proptest! {
        #[test]
        fn every_round_leaves_fewer(tokens in prop::collection::vec(0u64..60, 0..60), room in 0u64..100) {
            let groups = groups(&tokens, room);
            let flat: Vec<usize> = groups.iter().cloned().flatten().collect();
            prop_assert_eq!(flat, (0..tokens.len()).collect::<Vec<_>>());
            prop_assert!(tokens.len() < 2 || groups.len() <= tokens.len().div_ceil(2));
            for group in groups {
                let sum: u64 = tokens[group.clone()].iter().sum();
                prop_assert!(sum <= room || group.len() <= 2);
            }
        }

        #[test]
        fn the_calls_are_bounded(parts in 1usize..500, each in 1u64..50, room in 1u64..500) {
            prop_assert!(calls(parts, each, room) <= 2 * parts);
        }
    }
}
