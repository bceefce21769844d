//! Submit to result at a fixed arrival rate, beside the floor's at the same rate.

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::args::Args;
use crate::bench::Bench;
use crate::error::LoadError;
use crate::marks::Marks;
use crate::path::Path;
use crate::report::{Bar, line, median};

const PATHS: [Path; 2] = [Path::Product, Path::Guarded];
/// Bars in milliseconds, at 1,000 tasks a second.
const P50_MS: f64 = 1.5;
const P99_MS: f64 = 10.0;

/// Latencies of one way, in milliseconds.
#[derive(Debug, Serialize)]
pub struct Latencies {
    /// The way.
    pub path: &'static str,
    /// Tasks measured.
    pub tasks: u64,
    /// Half are faster.
    pub p50_ms: f64,
    /// Nine in ten are faster.
    pub p90_ms: f64,
    /// Ninety-nine in a hundred are faster.
    pub p99_ms: f64,
    /// All but one in a thousand are faster.
    pub p99_9_ms: f64,
    /// The slowest.
    pub max_ms: f64,
    /// The 99th percentile of each round: shows how far the machine's other work matters.
    pub p99_by_round_ms: Vec<f64>,
}

/// What was measured.
#[derive(Debug, Serialize)]
pub struct Latency {
    /// Tasks a second.
    pub rate: u32,
    /// Seconds of each way.
    pub seconds: u64,
    /// By way.
    pub ways: Vec<Latencies>,
}

/// Measures, in alternating rounds.
///
/// # Errors
/// Where a task is lost, doubled or failed.
pub async fn measure(bench: &Bench, args: &Args) -> Result<Latency, LoadError> {
    let mut rounds: [Vec<Histogram<u64>>; 2] = Default::default();
    for _ in 0..args.rounds {
        for (path, rounds) in PATHS.into_iter().zip(&mut rounds) {
            let round = bench.ends.paced(path, &Marks::fresh(0), args.rate, args.latency_round()).await?;
            eprintln!("  {:<20} p50 {:.2} ms  p99 {:.2} ms", path.name(), ms(&round, 0.5), ms(&round, 0.99));
            rounds.push(round);
        }
    }
    let ways = PATHS.into_iter().zip(&rounds).map(|(path, rounds)| summarise(path, rounds)).collect();
    Ok(Latency { rate: args.rate, seconds: args.seconds, ways })
}

fn ms(histogram: &Histogram<u64>, quantile: f64) -> f64 {
    histogram.value_at_quantile(quantile) as f64 / 1000.0
}

fn summarise(path: Path, rounds: &[Histogram<u64>]) -> Latencies {
    let mut all = rounds[0].clone();
    for round in &rounds[1..] {
        // Same bounds, so nothing can be out of range.
        all += round;
    }
    Latencies {
        path: path.name(),
        tasks: all.len(),
        p50_ms: ms(&all, 0.5),
        p90_ms: ms(&all, 0.9),
        p99_ms: ms(&all, 0.99),
        p99_9_ms: ms(&all, 0.999),
        max_ms: all.max() as f64 / 1000.0,
        p99_by_round_ms: rounds.iter().map(|round| ms(round, 0.99)).collect(),
    }
}

impl Latency {
    /// The bars; other rates than 1,000/s are not promised.
    pub fn bars(&self) -> Vec<Bar> {
        let Some(product) = self.ways.first().filter(|_| self.rate == 1_000) else { return Vec::new() };
        let typical = median(product.p99_by_round_ms.iter().copied());
        vec![
            Bar {
                promise: "latency at 1,000/s: p50 below 1.5 ms",
                measured: format!("{:.2} ms", product.p50_ms),
                met: product.p50_ms < P50_MS,
            },
            Bar {
                promise: "latency at 1,000/s: p99 below 10 ms",
                measured: format!("{:.2} ms (median of the rounds {typical:.2} ms)", product.p99_ms),
                met: product.p99_ms < P99_MS,
            },
        ]
    }

    /// For people.
    pub fn table(&self) -> String {
        let mut out = String::new();
        line(&mut out, &format!("latency: {}/s for {} s each, in ms", self.rate, self.seconds));
        line(&mut out, "  way                       p50      p90      p99    p99.9      max");
        for w in &self.ways {
            let row =
                [w.p50_ms, w.p90_ms, w.p99_ms, w.p99_9_ms, w.max_ms].map(|ms| format!("{ms:>9.2}")).concat();
            line(&mut out, &format!("  {:<20}{row}", w.path));
        }
        out
    }
}
