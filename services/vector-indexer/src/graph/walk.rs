//! Walking: from rows to their neighbours, always from the nearest that is left, until nothing nearer comes.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::lists::{Lists, Slot};
use super::marks::Marks;
use super::pool::{Pool, key, row};
use crate::space::{Question, Rows, prefetch};

/// What a search needs room for; kept between searches.
#[derive(Default)]
pub struct Scratch {
    marks: Marks,
    fresh: Vec<u32>,
    sums: Vec<i32>,
    near: Vec<f32>,
    pub(super) pool: Pool,
    heap: BinaryHeap<Reverse<u64>>,
}

/// Whose neighbours are walked to, and what is asked.
pub(super) struct Walk<'a, S> {
    pub(super) lists: &'a Lists<S>,
    pub(super) rows: &'a Rows,
    pub(super) question: &'a Question,
}

impl Scratch {
    /// Nothing yet: it grows with what it is used for.
    pub fn new() -> Self {
        Self::default()
    }

    /// The distances of the fresh rows.
    fn measure(&mut self, rows: &Rows, question: &Question) {
        if self.sums.len() < self.fresh.len() {
            self.sums.resize(self.fresh.len(), 0);
            self.near.resize(self.fresh.len(), 0.0);
        }
        rows.near_all(question, &self.fresh, &mut self.sums, &mut self.near);
    }

    /// Gathers those that no walk has seen, and measures them.
    fn look(&mut self, rows: &Rows, question: &Question, found: impl Iterator<Item = u32>) {
        self.fresh.clear();
        self.fresh.extend(found);
        // Without a branch: whether a row was seen cannot be foretold.
        let mut fresh = 0;
        for at in 0..self.fresh.len() {
            let row = self.fresh[at];
            self.fresh[fresh] = row;
            fresh += usize::from(self.marks.first(row));
        }
        self.fresh.truncate(fresh);
        self.fresh.iter().for_each(|&row| rows.prefetch(row));
        self.measure(rows, question);
    }
}

impl<S: Slot> Walk<'_, S> {
    /// The row near the question that is reached by going to the nearest neighbour only, from `level` down to `last`.
    pub(super) fn descend(&self, entry: u32, level: u32, last: u32, scratch: &mut Scratch) -> u32 {
        let mut best = (self.rows.near(self.question, entry), entry);
        for level in (last..=level).rev() {
            loop {
                let from = best;
                scratch.fresh.clear();
                scratch.fresh.extend(self.lists.of(from.1, level));
                scratch.measure(self.rows, self.question);
                for (&near, &row) in scratch.near.iter().zip(&scratch.fresh) {
                    if near < best.0 {
                        best = (near, row);
                    }
                }
                if from.1 == best.1 {
                    break;
                }
            }
        }
        best.1
    }

    /// The `ef` nearest on a level, into the scratch's pool.
    pub(super) fn nearest(
        &self,
        starts: impl Iterator<Item = u32>,
        level: u32,
        ef: usize,
        scratch: &mut Scratch,
    ) {
        scratch.marks.begin(self.lists.len());
        scratch.pool.begin(ef);
        scratch.look(self.rows, self.question, starts);
        self.put_fresh(scratch);
        while let Some(from) = scratch.pool.pop() {
            if let Some(next) = scratch.pool.peek() {
                prefetch(self.lists.places(next, level));
            }
            scratch.look(self.rows, self.question, self.lists.of(from, level));
            self.put_fresh(scratch);
        }
    }

    fn put_fresh(&self, scratch: &mut Scratch) {
        for (&near, &row) in scratch.near.iter().zip(&scratch.fresh) {
            let key = key(near, row);
            if key < scratch.pool.bound() {
                scratch.pool.put(key);
            }
        }
    }

    /// The `ef` nearest on the ground that are allowed, into the scratch's pool; the way there goes through all rows.
    pub(super) fn nearest_allowed(
        &self,
        starts: impl Iterator<Item = u32>,
        ef: usize,
        allowed: &dyn Fn(u32) -> bool,
        scratch: &mut Scratch,
    ) {
        scratch.marks.begin(self.lists.len());
        scratch.pool.begin(ef);
        scratch.heap.clear();
        scratch.look(self.rows, self.question, starts);
        loop {
            for (&near, &row) in scratch.near.iter().zip(&scratch.fresh) {
                let key = key(near, row);
                if key < scratch.pool.bound() {
                    scratch.heap.push(Reverse(key));
                    if allowed(row) {
                        scratch.pool.put(key);
                    }
                }
            }
            let Some(Reverse(nearest)) = scratch.heap.pop() else { break };
            if nearest > scratch.pool.bound() {
                break;
            }
            scratch.look(self.rows, self.question, self.lists.of(row(nearest), 0));
        }
    }
}
