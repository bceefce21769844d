//! Searching: down to the ground, a walk by codes there, and the best of it by what is kept.

use super::Graph;
use super::pool::{distance, row};
use super::walk::{Scratch, Walk};
use crate::space::{Question, Rows};

impl Graph {
    /// The `k` nearest rows that are allowed (all, if nothing is said), nearest first, ties by row: distances by what
    /// the rows keep. `ef` is how many are held on the way: more is slower and finds more. With `allowed` the way
    /// still goes through all rows, so that it takes the longer the fewer are allowed.
    pub fn search(
        &self,
        rows: &Rows,
        question: &Question,
        k: usize,
        ef: usize,
        allowed: Option<&dyn Fn(u32) -> bool>,
        scratch: &mut Scratch,
    ) -> Vec<(f32, u32)> {
        if self.is_empty() || k == 0 {
            return Vec::new();
        }
        let ef = ef.max(k);
        let walk = Walk { lists: &self.lists, rows, question };
        let start = walk.descend(self.entry, self.lists.level(self.entry), 1, scratch);
        // From the entry every row can be reached, if ef is large enough: from another there may be no way.
        let starts = [start, self.entry].into_iter();
        match allowed {
            None => walk.nearest(starts, 0, ef, scratch),
            Some(allowed) => walk.nearest_allowed(starts, ef, allowed, scratch),
        }
        best(rows, question, k, scratch.pool.keys())
    }
}

/// The `k` nearest by what is kept, of rows sorted by codes: as many are looked at as may be among them by the error
/// that codes have.
fn best(rows: &Rows, question: &Question, k: usize, keys: &[u64]) -> Vec<(f32, u32)> {
    let order = |a: &(f32, u32), b: &(f32, u32)| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1));
    let sure = keys.len().min(k + 4);
    keys[..sure].iter().for_each(|&key| rows.prefetch_kept(row(key)));
    let mut hits = rows.rank(question, keys[..sure].iter().map(|&key| row(key)), k);
    for &key in &keys[sure..] {
        let (near, row) = (distance(key), row(key));
        let worst = hits.last().map_or(f32::INFINITY, |hit| hit.0);
        if near - rows.slack(question, row, near) > worst {
            continue;
        }
        let hit = (rows.exact(question, row), row);
        let at = hits.partition_point(|other| order(other, &hit).is_lt());
        if at < k {
            hits.insert(at, hit);
            hits.truncate(k);
        }
    }
    hits
}
