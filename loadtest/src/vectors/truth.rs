//! What is true: the nearest by comparing all, and how much of it was found.

use super::data::DIMENSION;

/// How many nearest count.
pub const K: usize = 10;

/// The nearest rows of these, by their inner product with a question of length 1.
pub fn nearest(rows: &[f32], kept: impl Fn(usize) -> bool, question: &[f32]) -> Vec<usize> {
    let rows = rows.chunks_exact(DIMENSION).enumerate().filter(|(row, _)| kept(*row));
    let mut all: Vec<(f32, usize)> = rows.map(|(row, vector)| (product(vector, question), row)).collect();
    let k = K.min(all.len());
    if k == 0 {
        return Vec::new();
    }
    all.select_nth_unstable_by(k - 1, |a, b| b.0.total_cmp(&a.0));
    all[..k].iter().map(|hit| hit.1).collect()
}

/// Sums that do not wait for each other.
fn product(one: &[f32], other: &[f32]) -> f32 {
    let mut sums = [0.0_f32; 16];
    for (one, other) in one.as_chunks::<16>().0.iter().zip(other.as_chunks::<16>().0) {
        sums.iter_mut().zip(one).zip(other).for_each(|((sum, one), other)| *sum += one * other);
    }
    sums.iter().sum()
}

/// The share of what is true among what was found; all of it where nothing is.
pub fn recall(found: &[Vec<usize>], truth: &[Vec<usize>]) -> f64 {
    let wanted: usize = truth.iter().map(Vec::len).sum();
    let hits =
        found.iter().zip(truth).map(|(found, truth)| truth.iter().filter(|row| found.contains(row)).count());
    if wanted == 0 { 1.0 } else { hits.sum::<usize>() as f64 / wanted as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_are_those_that_point_the_same_way() {
        let rows: Vec<f32> = (0..30)
            .flat_map(|row| (0..DIMENSION).map(move |n| if n == 0 { row as f32 } else { 0.0 }))
            .collect();
        let question: Vec<f32> = (0..DIMENSION).map(|n| if n == 0 { 1.0 } else { 0.0 }).collect();
        let mut found = nearest(&rows, |row| row % 2 == 0, &question);
        found.sort_unstable();
        assert_eq!(found, [10, 12, 14, 16, 18, 20, 22, 24, 26, 28]);
        assert!(nearest(&rows, |_| false, &question).is_empty());
        assert_eq!(recall(&[vec![1, 2]], &[vec![2, 3]]), 0.5);
        assert_eq!(recall(&[], &[]), 1.0);
    }
}
