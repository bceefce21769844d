//! What a classifier's numbers come to: scores of classes. Pure.

use super::shape::Scoring;

impl Scoring {
    /// The scores of one row of numbers.
    pub fn scores(self, numbers: &[f32]) -> Vec<f32> {
        match self {
            Self::Plain => numbers.to_vec(),
            Self::Each => numbers.iter().map(|&x| sigmoid(x)).collect(),
            Self::OneOf => {
                let most = numbers.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                let powers: Vec<f64> = numbers.iter().map(|&x| f64::from(x - most).exp()).collect();
                let sum: f64 = powers.iter().sum();
                powers.into_iter().map(|power| (power / sum) as f32).collect()
            }
        }
    }
}

/// From 0 to 1.
pub fn sigmoid(x: f32) -> f32 {
    (1.0 / (1.0 + (-f64::from(x)).exp())) as f32
}

/// The places of the largest numbers, largest first, and of equal ones the first.
pub fn best(scores: &[f32], most: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]).then(a.cmp(&b)));
    order.truncate(most);
    order
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn scores_keep_the_order_of_the_numbers(numbers in prop::collection::vec(-80f32..80.0, 1..20)) {
            for scoring in [Scoring::OneOf, Scoring::Each, Scoring::Plain] {
                let scores = scoring.scores(&numbers);
                prop_assert_eq!(scores.len(), numbers.len());
                for (a, b) in numbers.iter().zip(&scores) {
                    for (c, d) in numbers.iter().zip(&scores) {
                        prop_assert!(a > c || b <= d);
                    }
                }
                if scoring == Scoring::OneOf {
                    prop_assert!((scores.iter().sum::<f32>() - 1.0).abs() < 1e-5);
                }
            }
        }
    }

    #[test]
    fn extremes_are_numbers_and_the_best_come_first() {
        assert_eq!(Scoring::OneOf.scores(&[3e38, -3e38]), [1.0, 0.0]);
        assert_eq!(Scoring::Each.scores(&[0.0, -1e30, 1e30]), [0.5, 0.0, 1.0]);
        assert_eq!(best(&[0.1, 0.7, 0.7, 0.2], 3), [1, 2, 3]);
        assert!(best(&[], 3).is_empty());
    }
}
