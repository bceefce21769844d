//! The nearest of all rows, or of some: every code is looked at, then the promising rows by what is kept.

use roaring::RoaringBitmap;

use super::kernels;
use super::near::Question;
use super::rows::{Head, Rows};

/// How many rows are compared at once.
const CHUNK: usize = 256;

/// The most rows that are looked at again, as a multiple of what is wanted and at least.
const AGAIN: (usize, usize) = (64, 4096);

/// The rows that may be among the nearest, and the bound that they passed.
struct Promising {
    wanted: usize,
    /// The distance by codes beyond which no row can be among the wanted ones.
    bound: f32,
    found: Vec<(f32, u32)>,
    full: usize,
}

impl Rows {
    /// The `k` nearest to the question among `rows` (all, if none are given) without the deleted ones: distances by
    /// what is kept, nearest first, ties by row.
    pub fn scan(
        &self,
        question: &Question,
        rows: Option<&RoaringBitmap>,
        deleted: &RoaringBitmap,
        k: usize,
    ) -> Vec<(f32, u32)> {
        if k == 0 {
            return Vec::new();
        }
        let mut promising = Promising::new(k);
        let (mut sums, mut near) = ([0; CHUNK], [0.0; CHUNK]);
        if let Some(rows) = rows {
            let mut some = Vec::with_capacity(CHUNK);
            let mut left = rows.iter().take_while(|&row| row < self.len());
            loop {
                some.clear();
                some.extend(left.by_ref().take(CHUNK));
                if some.is_empty() {
                    break;
                }
                self.near_all(question, &some, &mut sums, &mut near);
                let pairs = near.iter().copied().zip(some.iter().copied());
                promising.take(self, question, pairs, deleted);
            }
        } else {
            for first in (0..self.len()).step_by(CHUNK) {
                let count = CHUNK.min((self.len() - first) as usize);
                self.near_in_line(question, first, &mut sums[..count], &mut near);
                let pairs = near[..count].iter().copied().zip(first..);
                promising.take(self, question, pairs, deleted);
            }
        }
        promising.tighten(self, question);
        self.rank(question, promising.found.into_iter().map(|(_, row)| row), k)
    }

    /// The `k` nearest of these by what is kept, nearest first, ties by row.
    pub(crate) fn rank(
        &self,
        question: &Question,
        rows: impl Iterator<Item = u32>,
        k: usize,
    ) -> Vec<(f32, u32)> {
        let mut hits: Vec<_> = rows.map(|row| (self.exact(question, row), row)).collect();
        hits.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        hits.truncate(k);
        hits
    }

    fn near_in_line(&self, question: &Question, first: u32, sums: &mut [i32], near: &mut [f32]) {
        let first = first as usize;
        kernels::dots_in_line(&self.codes[first * self.per..], self.per, &question.codes, sums);
        let heads: &[Head] = &self.heads[first..first + sums.len()];
        for ((near, head), sum) in near.iter_mut().zip(heads).zip(sums) {
            *near = self.by_codes(question.head, *head, *sum - question.offset);
        }
    }
}

impl Promising {
    fn new(k: usize) -> Self {
        let full = k.saturating_mul(8).max(512);
        Self { wanted: k, bound: f32::INFINITY, found: Vec::new(), full }
    }

    fn take(
        &mut self,
        rows: &Rows,
        question: &Question,
        pairs: impl Iterator<Item = (f32, u32)>,
        deleted: &RoaringBitmap,
    ) {
        for (near, row) in pairs {
            if near <= self.bound && !deleted.contains(row) {
                self.found.push((near, row));
            }
        }
        if self.found.len() >= self.full {
            self.tighten(rows, question);
        }
    }

    /// Lets those go that cannot be among the wanted ones, by the error that codes may have.
    fn tighten(&mut self, rows: &Rows, question: &Question) {
        if self.found.len() <= self.wanted {
            return;
        }
        let by_distance = |a: &(f32, u32), b: &(f32, u32)| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1));
        let (best, last, _) = self.found.select_nth_unstable_by(self.wanted - 1, by_distance);
        let upper = best
            .iter()
            .chain([&*last])
            .map(|&(near, row)| near + rows.slack(question, row, near))
            .fold(f32::NEG_INFINITY, f32::max);
        self.found.retain(|&(near, row)| near - rows.slack(question, row, near) <= upper);
        let most = self.wanted.saturating_mul(AGAIN.0).max(AGAIN.1);
        if self.found.len() > most {
            self.found.select_nth_unstable_by(most - 1, by_distance);
            self.found.truncate(most);
        }
        self.bound = upper + rows.slack_of(question, rows.largest, upper);
        self.full = (self.found.len() * 2).max(self.wanted.saturating_mul(8)).max(512);
    }
}
