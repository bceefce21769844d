//! Several rankings made one, by rank alone: reciprocal rank fusion.
//!
//! Cormack, Clarke and Büttcher, "Reciprocal rank fusion outperforms Condorcet and individual rank learning methods",
//! SIGIR 2009. Scores of different kinds (a cosine, BM25) need no common scale.

use std::collections::HashMap;
use std::hash::Hash;

/// The constant of the paper. It says how little the very first ranks matter more than those that follow.
pub const RANK_CONSTANT: f32 = 60.0;

/// The first `k` of all rankings together, best first, with their fused score: the sum of 1 / (60 + rank), where the
/// first rank is 1. What is named twice in one ranking counts where it stands first. Ties are in the order in which
/// they appear, the first ranking first.
pub fn fuse<T: Copy + Eq + Hash>(rankings: &[&[T]], k: usize) -> Vec<(f32, T)> {
    let mut places: HashMap<T, (usize, usize)> = HashMap::new();
    let mut fused: Vec<(f32, T)> = Vec::new();
    for (number, ranking) in rankings.iter().enumerate() {
        for (rank, item) in ranking.iter().enumerate() {
            let share = 1.0 / (RANK_CONSTANT + rank as f32 + 1.0);
            let (place, last) = places.entry(*item).or_insert((fused.len(), usize::MAX));
            if *place == fused.len() {
                fused.push((share, *item));
            } else if *last != number {
                fused[*place].0 += share;
            }
            *last = number;
        }
    }
    fused.sort_by(|a, b| b.0.total_cmp(&a.0));
    fused.truncate(k);
    fused
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn both_beats_one() {
        let fused = fuse(&[&[1u64, 2, 3], &[4, 2, 5]], 10);
        let order: Vec<u64> = fused.iter().map(|hit| hit.1).collect();
        assert_eq!(order, [2, 1, 4, 3, 5], "ties are in the order of the rankings");
        assert!((fused[0].0 - 2.0 / 62.0).abs() < 1e-7);
        assert!((fused[1].0 - 1.0 / 61.0).abs() < 1e-7);
    }

    #[test]
    fn nothing_comes_of_nothing() {
        assert!(fuse::<u64>(&[], 5).is_empty());
        assert!(fuse::<u64>(&[&[], &[]], 5).is_empty());
        assert!(fuse(&[&[1u64][..]], 0).is_empty());
        assert_eq!(fuse(&[&[7u64, 7, 7][..]], 5), [(1.0 / 61.0, 7)], "a repeat counts once");
    }

    proptest! {
        #[test]
        fn it_is_sorted_complete_and_keeps_a_single_ranking(a: Vec<u8>, b: Vec<u8>, k in 0usize..40) {
            let fused = fuse(&[&a, &b], k);
            let all: std::collections::BTreeSet<u8> = a.iter().chain(&b).copied().collect();
            prop_assert_eq!(fused.len(), all.len().min(k));
            prop_assert!(fused.windows(2).all(|pair| pair[0].0 >= pair[1].0));
            let mut once = a.clone();
            let mut seen = std::collections::BTreeSet::new();
            once.retain(|item| seen.insert(*item));
            let alone: Vec<u8> = fuse(&[&once], usize::MAX).iter().map(|hit| hit.1).collect();
            prop_assert_eq!(alone, once);
        }
    }
}
