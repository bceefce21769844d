//! Speed against recall: what a way of searching gives at a recall that none of its settings has exactly.

use serde::{Deserialize, Serialize};

/// One setting of a way of searching.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// How many are held on the way; 0 for a scan.
    #[serde(default)]
    pub ef: u32,
    /// The share of the true ten nearest that it finds.
    pub recall: f64,
    /// Searches in a second of CPU time.
    pub per_cpu_s: f64,
}

/// Searches in a second of CPU time at this recall: between the two settings around it, on a straight line; that of the
/// setting with the least recall where all have more. `None` where none reaches it.
pub fn speed_at(points: &[Point], recall: f64) -> Option<f64> {
    let mut sorted = points.to_vec();
    sorted.sort_by(|a, b| a.recall.total_cmp(&b.recall));
    let at = sorted.partition_point(|point| point.recall < recall);
    let above = sorted.get(at..)?;
    // Noise may make a setting with more recall the faster one; nobody would choose the other.
    let fastest = above.iter().map(|point| point.per_cpu_s).reduce(f64::max)?;
    let (Some(below), Some(next)) = (at.checked_sub(1).and_then(|at| sorted.get(at)), above.first()) else {
        return Some(fastest);
    };
    let part = (recall - below.recall) / (next.recall - below.recall);
    Some((below.per_cpu_s + part * (next.per_cpu_s - below.per_cpu_s)).max(fastest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(recall: f64, per_cpu_s: f64) -> Point {
        Point { ef: 1, recall, per_cpu_s }
    }

    #[test]
    fn between_two_settings_a_straight_line() {
        let points = [point(0.98, 3_000.0), point(1.0, 1_000.0)];
        assert!((speed_at(&points, 0.99).unwrap() - 2_000.0).abs() < 1e-6);
        assert_eq!(speed_at(&points, 0.97), Some(3_000.0), "the setting with the least recall has enough");
        assert_eq!(speed_at(&points, 1.0), Some(1_000.0));
        assert_eq!(speed_at(&points[..1], 0.99), None);
        assert_eq!(speed_at(&[], 0.99), None);
    }

    #[test]
    fn a_setting_that_is_better_in_both_counts() {
        let points = [point(0.98, 900.0), point(0.991, 1_000.0), point(0.999, 1_200.0)];
        assert_eq!(speed_at(&points, 0.99), Some(1_200.0));
    }
}
