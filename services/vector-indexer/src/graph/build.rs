//! Building a graph: row after row is looked for among those before it and linked to the best of them, by several
//! threads if wanted. The entry and all levels are known beforehand, so that threads share nothing but lists.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

use super::lists::{Lists, MAX_LEVEL, NONE};
use super::pool::{key, row};
use super::select::select;
use super::walk::{Scratch, Walk};
use super::{Graph, Params};
use crate::space::{Question, Rows};

/// How many locks the lists share: enough that two threads seldom meet.
const LOCKS: usize = 1024;

/// How many rows a thread takes at once.
const TURN: u32 = 16;

/// What the threads share.
struct Site<'a> {
    rows: &'a Rows,
    lists: Lists<AtomicU32>,
    locks: Vec<Mutex<()>>,
    entry: u32,
    ef: usize,
    next: AtomicU32,
    stop: &'a AtomicBool,
}

/// What a thread has of its own.
struct Hand {
    scratch: Scratch,
    question: Question,
    starts: Vec<u32>,
    candidates: Vec<u64>,
    chosen: Vec<u32>,
    /// The candidates and the choice for a neighbour whose list is full.
    crowd: Vec<u64>,
    kept: Vec<u32>,
}

impl Graph {
    /// Builds the graph of all rows. `None` if it was stopped.
    pub fn build(rows: &Rows, params: &Params, threads: usize, stop: &AtomicBool) -> Option<Self> {
        let m = params.m.clamp(2, 256);
        let levels: Vec<u32> = (0..rows.len()).map(|row| level(row, params.seed, m)).collect();
        // The first of the highest.
        let entry =
            (0..rows.len()).max_by_key(|&row| (levels[row as usize], std::cmp::Reverse(row))).unwrap_or(0);
        let site = Site {
            rows,
            lists: Lists::new(m as usize, levels.into_iter(), || AtomicU32::new(NONE)),
            locks: (0..LOCKS).map(|_| Mutex::new(())).collect(),
            entry,
            ef: params.ef_construction.clamp(m, 65_536) as usize,
            next: AtomicU32::new(0),
            stop,
        };
        let threads = threads.clamp(1, 256);
        std::thread::scope(|scope| {
            for _ in 1..threads {
                scope.spawn(|| site.work());
            }
            site.work();
        });
        if stop.load(Ordering::Relaxed) {
            return None;
        }
        let mut graph = Self { lists: site.lists.frozen(), entry };
        graph.connect(rows);
        Some(graph)
    }
}

impl Site<'_> {
    fn work(&self) {
        let mut hand = Hand {
            scratch: Scratch::new(),
            question: Question::empty(),
            starts: Vec::new(),
            candidates: Vec::new(),
            chosen: Vec::new(),
            crowd: Vec::new(),
            kept: Vec::new(),
        };
        loop {
            let first = self.next.fetch_add(TURN, Ordering::Relaxed);
            if first >= self.rows.len() {
                return;
            }
            for row in first..first.saturating_add(TURN).min(self.rows.len()) {
                if self.stop.load(Ordering::Relaxed) {
                    return;
                }
                if row != self.entry {
                    self.insert(row, &mut hand);
                }
            }
        }
    }

    fn insert(&self, new: u32, hand: &mut Hand) {
        self.rows.question_by_code(new, &mut hand.question);
        let walk = Walk { lists: &self.lists, rows: self.rows, question: &hand.question };
        let (top, own) = (self.lists.level(self.entry), self.lists.level(new));
        let start = walk.descend(self.entry, top, own + 1, &mut hand.scratch);
        hand.starts.clear();
        hand.starts.push(start);
        for level in (0..=own).rev() {
            walk.nearest(hand.starts.iter().copied(), level, self.ef, &mut hand.scratch);
            hand.candidates.clear();
            let found = hand.scratch.pool.keys().iter().copied();
            hand.candidates.extend(found.filter(|&key| row(key) != new));
            select(self.rows, &hand.candidates, self.lists.m, &mut hand.chosen);
            for &neighbour in &hand.chosen {
                self.link(new, neighbour, level, &mut hand.crowd, &mut hand.kept);
                self.link(neighbour, new, level, &mut hand.crowd, &mut hand.kept);
            }
            // Several, for the nearest may be a row whose own lists further down another thread has yet to fill.
            hand.starts.clear();
            hand.starts.extend(hand.candidates.iter().take(4).map(|&key| row(key)));
            hand.starts.push(start);
        }
    }

    /// Adds a neighbour to a row's list. A full list keeps the best.
    fn link(&self, from: u32, to: u32, level: u32, crowd: &mut Vec<u64>, kept: &mut Vec<u32>) {
        let lock = &self.locks[from as usize % LOCKS];
        let _held = lock.lock().unwrap_or_else(PoisonError::into_inner);
        let places = self.lists.places(from, level);
        for place in places {
            match place.load(Ordering::Relaxed) {
                NONE => return place.store(to, Ordering::Relaxed),
                there if there == to => return,
                _ => {}
            }
        }
        crowd.clear();
        let there = self.lists.of(from, level).chain([to]);
        crowd.extend(there.map(|row| key(self.rows.near_pair(from, row), row)));
        crowd.sort_unstable();
        select(self.rows, crowd, places.len(), kept);
        let kept = kept.iter().copied().chain(std::iter::repeat(NONE));
        for (place, row) in places.iter().zip(kept) {
            place.store(row, Ordering::Relaxed);
        }
    }
}

/// The level of a row: drawn so that each has a share of 1/m of the one below.
fn level(row: u32, seed: u64, m: u32) -> u32 {
    // SplitMix64 (Steele, Lea & Flood 2014).
    let mut z = seed.wrapping_add(u64::from(row).wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^= z >> 31;
    let drawn = ((z >> 11) + 1) as f64 / (1u64 << 53) as f64;
    ((-drawn.ln() / f64::from(m).ln()) as u32).min(MAX_LEVEL)
}
