//! Whether the plan takes the faster way: searches with random filters by scan and by graph, in CPU time, and the
//! costs that these times say.
//!
//! `cargo run --release -p tasklane-vector-indexer --example way_bench -- [rows] [questions] [dimension]`
//!
//! Vectors lie in topics, each with a spread of low rank and noise on all numbers. The unit of all costs is one row of
//! a filtered scan, which takes the longer the more scattered the rows are: each share is held against its own scan.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a tool for measuring, not a service")]

use std::hint::black_box;
use std::sync::atomic::AtomicBool;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use roaring::RoaringBitmap;
use rustix::time::{ClockId, clock_gettime};
use serde_json::json;
use tasklane_vector_indexer::filter::{Way, way};
use tasklane_vector_indexer::graph::{Graph, Params, Scratch};
use tasklane_vector_indexer::space::{Metric, Precision, Question, Rows};

const K: usize = 10;
const TOPICS: usize = 100;
const RANK: usize = 32;

/// One filter and beam: what was measured.
struct Sample {
    /// Entries of the beam for each selected row among all.
    stretched: f64,
    /// Of the graph, in rows of a scan.
    cost: f64,
}

fn main() {
    let arguments: Vec<usize> =
        std::env::args().skip(1).filter_map(|argument| argument.parse().ok()).collect();
    let given = |place: usize, usual: usize| arguments.get(place).copied().unwrap_or(usual);
    let (count, questions, dimension) = (given(0, 50_000), given(1, 300), given(2, 384));
    let mut random = StdRng::seed_from_u64(11);
    let topics = Topics::new(dimension, &mut random);
    let mut rows = Rows::new(dimension, Metric::Cosine, Precision::F16);
    for _ in 0..count {
        rows.push(&topics.draw(&mut random));
    }
    let questions: Vec<Question> = (0..questions).map(|_| rows.question(&topics.draw(&mut random))).collect();
    let graph = Graph::build(&rows, &Params::default(), 2, &AtomicBool::new(false)).unwrap();
    let mut samples = Vec::new();
    let (mut worst, mut right, mut all) = (1.0f64, 0, 0);
    for share in [0.9, 0.7, 0.5, 0.3, 0.2, 0.15, 0.1, 0.07, 0.05, 0.03, 0.02, 0.01] {
        let selected: RoaringBitmap = (0..rows.len()).filter(|_| random.random_bool(share)).collect();
        let chosen = selected.len() as f64;
        let scan = us(&questions, |question| rows.scan(question, Some(&selected), &RoaringBitmap::new(), K));
        for ef in [32, 64, 128, 256] {
            let mut scratch = Scratch::new();
            let allowed = |row: u32| selected.contains(row);
            let walk = us(&questions, |q| graph.search(&rows, q, K, ef, Some(&allowed), &mut scratch));
            samples.push(Sample { stretched: ef as f64 * count as f64 / chosen, cost: walk / scan * chosen });
            let taken = way(count as u64, selected.len(), K, ef);
            let times_best = if taken == Way::Scan { scan } else { walk } / scan.min(walk);
            worst = worst.max(times_best);
            right += usize::from(times_best == 1.0);
            all += 1;
            println!(
                "{}",
                json!({"keeps": share, "ef": ef, "scan_us": scan.round(), "graph_us": walk.round(),
                       "way": format!("{taken:?}"), "times_the_best": (times_best * 100.0).round() / 100.0})
            );
        }
    }
    let (entry, down) = fitted(&samples);
    println!(
        "{}",
        json!({"rows": count, "dimension": dimension, "the_faster_way_taken": right, "of": all,
               "slowest_times_the_best": worst, "fitted": {"entry": entry, "down": down}})
    );
}

/// The two costs that explain the samples best, by the squares of the relative errors.
fn fitted(samples: &[Sample]) -> (f64, f64) {
    let (mut xx, mut x, mut n, mut xy, mut y) = (0.0, 0.0, 0.0, 0.0, 0.0);
    for sample in samples {
        let weight = 1.0 / (sample.cost * sample.cost);
        xx += weight * sample.stretched * sample.stretched;
        x += weight * sample.stretched;
        n += weight;
        xy += weight * sample.stretched * sample.cost;
        y += weight * sample.cost;
    }
    let determinant = xx * n - x * x;
    ((xy * n - x * y) / determinant, (xx * y - x * xy) / determinant)
}

/// Microseconds of CPU time for a question, the best of three rounds.
fn us<T>(questions: &[Question], mut search: impl FnMut(&Question) -> T) -> f64 {
    let mut best = f64::INFINITY;
    for _ in 0..3 {
        let start = cpu_us();
        questions.iter().for_each(|question| drop(black_box(search(question))));
        best = best.min(cpu_us() - start);
    }
    best / questions.len() as f64
}

fn cpu_us() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 * 1e6 + time.tv_nsec as f64 / 1e3
}

struct Topics {
    dimension: usize,
    centres: Vec<Vec<f32>>,
    spreads: Vec<Vec<f32>>,
}

impl Topics {
    fn new(dimension: usize, random: &mut StdRng) -> Self {
        let mut vector = |length: usize| (0..length).map(|_| normal(random)).collect::<Vec<f32>>();
        let centres = (0..TOPICS).map(|_| vector(dimension)).collect();
        let spreads = (0..TOPICS).map(|_| vector(RANK * dimension)).collect();
        Self { dimension, centres, spreads }
    }

    fn draw(&self, random: &mut StdRng) -> Vec<f32> {
        let topic = random.random_range(0..TOPICS);
        let mut vector: Vec<f32> = self.centres[topic].iter().map(|at| at + 0.5 * normal(random)).collect();
        for direction in self.spreads[topic].chunks_exact(self.dimension) {
            let much = normal(random) * 0.9 / (RANK as f32).sqrt();
            vector.iter_mut().zip(direction).for_each(|(at, step)| *at += much * step);
        }
        vector
    }
}

/// About normal: the sum of twelve.
fn normal(random: &mut StdRng) -> f32 {
    (0..12).map(|_| random.random_range(0.0..1.0f32)).sum::<f32>() - 6.0
}
