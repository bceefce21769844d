//! A graph against brute force: `graph_bench ROWS QUESTIONS [DIMENSION] [METRIC] [PRECISION]`, both files of raw
//! little-endian f32, 384 numbers a vector if nothing is said. Prints JSON lines: CPU seconds of the build on one
//! thread, recall@10 and searches per CPU-second, without a filter and with random ones.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a tool for measuring, not a service")]

use std::sync::atomic::AtomicBool;

use roaring::RoaringBitmap;
use rustix::time::{ClockId, clock_gettime};
use serde_json::json;
use tasklane_vector_indexer::graph::{Graph, Params, Scratch};
use tasklane_vector_indexer::space::{Metric, Precision, Question, Rows};

const K: usize = 10;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let given = |at: usize, other: &str| arguments.get(at).cloned().unwrap_or_else(|| other.to_owned());
    let dimension: usize = given(2, "384").parse().unwrap();
    let metric: Metric = serde_json::from_value(json!(given(3, "cosine"))).unwrap();
    let precision: Precision = serde_json::from_value(json!(given(4, "f16"))).unwrap();
    let (vectors, questions) = (numbers(&given(0, "")), numbers(&given(1, "")));

    let mut rows = Rows::new(dimension, metric, precision);
    // The truth is told by all of the numbers.
    let mut truth_rows = Rows::new(dimension, metric, Precision::F32);
    let (taken, ()) = cpu(|| vectors.chunks_exact(dimension).for_each(|vector| _ = rows.push(vector)));
    vectors.chunks_exact(dimension).for_each(|vector| _ = truth_rows.push(vector));
    let (built, graph) = cpu(|| Graph::build(&rows, &Params::default(), 1, &AtomicBool::new(false)).unwrap());
    println!(
        "{}",
        json!({"rows": rows.len(), "dimension": dimension, "metric": metric, "precision": precision,
               "rows_cpu_s": taken, "build_cpu_s": built, "rows_bytes": rows.bytes(), "graph_bytes": graph.bytes()})
    );
    let bench = Bench { rows, truth_rows, graph, questions, dimension };
    let truth = bench.truth(|_| true);
    for ef in [32, 48, 64, 96, 128, 192, 256, 384, 512] {
        bench.report(json!({"ef": ef}), &truth, |q, s| bench.graph.search(&bench.rows, q, K, ef, None, s));
    }
    let none = RoaringBitmap::new();
    bench.report(json!({"scan": true}), &truth, |q, _| bench.rows.scan(q, None, &none, K));
    for one_in in [2, 5, 10, 100, 1000] {
        bench.filtered(one_in);
    }
}

struct Bench {
    rows: Rows,
    truth_rows: Rows,
    graph: Graph,
    questions: Vec<f32>,
    dimension: usize,
}

impl Bench {
    /// Searches with a random filter that keeps one row in so many, by the graph and by a scan.
    fn filtered(&self, one_in: u32) {
        let keep = |row: u32| (row.wrapping_add(1).wrapping_mul(0x9E37_79B1) >> 8).is_multiple_of(one_in);
        let kept: RoaringBitmap = (0..self.rows.len()).filter(|&row| keep(row)).collect();
        let none = RoaringBitmap::new();
        let truth = self.truth(keep);
        let share = json!(1.0 / f64::from(one_in));
        self.report(json!({"keeps": share, "scan": true}), &truth, |q, _| {
            self.rows.scan(q, Some(&kept), &none, K)
        });
        if one_in > 100 {
            return;
        }
        let mut allowed = vec![false; self.rows.len() as usize];
        kept.iter().for_each(|row| allowed[row as usize] = true);
        let allowed = |row: u32| allowed[row as usize];
        for ef in [32, 40, 64, 128] {
            self.report(json!({"keeps": share, "ef": ef}), &truth, |q, scratch| {
                self.graph.search(&self.rows, q, K, ef, Some(&allowed), scratch)
            });
        }
    }

    fn asked<'a>(&'a self) -> impl Iterator<Item = Question> + 'a {
        self.questions.chunks_exact(self.dimension).map(|vector| self.rows.question(vector))
    }

    /// The distance of each question's tenth nearest.
    fn truth(&self, keep: impl Fn(u32) -> bool) -> Vec<Vec<u32>> {
        let nearest = |question: Question| {
            let rows = (0..self.rows.len()).filter(|&row| keep(row));
            let mut all: Vec<_> = rows.map(|row| (self.truth_rows.exact(&question, row), row)).collect();
            let k = K.min(all.len());
            all.select_nth_unstable_by(k - 1, |a, b| a.0.total_cmp(&b.0));
            all[..k].iter().map(|hit| hit.1).collect()
        };
        self.asked().map(nearest).collect()
    }

    /// Measures a way of searching: the best of three rounds.
    fn report(
        &self,
        mut what: serde_json::Value,
        truth: &[Vec<u32>],
        search: impl Fn(&Question, &mut Scratch) -> Vec<(f32, u32)>,
    ) {
        let mut scratch = Scratch::new();
        let (mut fastest, mut hit) = (f64::INFINITY, 0);
        for _ in 0..3 {
            let (taken, found) =
                cpu(|| -> Vec<_> { self.asked().map(|question| search(&question, &mut scratch)).collect() });
            fastest = fastest.min(taken);
            let hits = found.iter().zip(truth).map(|(f, t)| f.iter().filter(|h| t.contains(&h.1)).count());
            hit = hits.sum();
        }
        let wanted: usize = truth.iter().map(Vec::len).sum();
        what["recall"] = json!((hit as f64 / wanted as f64 * 1e4).round() / 1e4);
        what["per_cpu_s"] = json!((truth.len() as f64 / fastest).round());
        println!("{what}");
    }
}

/// What something answers, and the CPU seconds of this process for it.
fn cpu<T>(work: impl FnOnce() -> T) -> (f64, T) {
    let now = || {
        let time = clock_gettime(ClockId::ProcessCPUTime);
        time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
    };
    let before = now();
    let result = work();
    (now() - before, result)
}

fn numbers(path: &str) -> Vec<f32> {
    let bytes = std::fs::read(path).unwrap();
    bytes.as_chunks().0.iter().map(|&number| f32::from_le_bytes(number)).collect()
}
