//! Which of the nearest become neighbours: those that are nearer to the row than to any neighbour chosen before
//! (Malkov & Yashunin 2016, algorithm 4), so that links go in all directions.

use super::pool::{distance, row};
use crate::space::Rows;

/// Chooses at most `most` of the sorted candidates into `chosen`.
pub(super) fn select(rows: &Rows, sorted: &[u64], most: usize, chosen: &mut Vec<u32>) {
    chosen.clear();
    for &key in sorted {
        if chosen.len() == most {
            break;
        }
        let (near, candidate) = (distance(key), row(key));
        if chosen.iter().all(|&other| rows.near_pair(candidate, other) >= near) {
            chosen.push(candidate);
        }
    }
}
