//! Tasks a second from submit to result, in rounds that alternate with the floor's, so that what else the machine
//! does falls on all of them.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::args::Args;
use crate::bench::{Bench, Round};
use crate::error::LoadError;
use crate::marks::Marks;
use crate::path::Path;
use crate::report::{Bar, cpu_text, line, median};

const PATHS: [Path; 3] = [Path::Product, Path::Guarded, Path::Bare];

/// The medians of one way.
#[derive(Debug, Serialize)]
pub struct Median {
    /// The way.
    pub path: &'static str,
    /// Tasks a second.
    pub tasks_per_s: f64,
    /// The product's rate divided by this one's, round by round.
    pub product_ratio: f64,
    /// CPU time per task in microseconds, by process.
    pub cpu_us: BTreeMap<&'static str, f64>,
}

/// What was measured.
#[derive(Debug, Serialize)]
pub struct Throughput {
    /// Tasks of a round.
    pub tasks: usize,
    /// Tasks submitted and unanswered at once.
    pub in_flight: usize,
    /// Every round in its order.
    pub rounds: Vec<Round>,
    /// By way.
    pub medians: Vec<Median>,
}

/// Measures.
///
/// # Errors
/// Where a task is lost, doubled or failed.
pub async fn measure(bench: &Bench, args: &Args) -> Result<Throughput, LoadError> {
    let mut rounds = Vec::new();
    for n in 0..args.rounds as usize {
        for i in 0..PATHS.len() {
            let path = PATHS[(n + i) % PATHS.len()];
            let round = bench.round(path, &Marks::fresh(0), args.tasks, args.in_flight).await?;
            eprintln!(
                "  {:<20} {:>7.0} tasks/s   CPU us/task: {}",
                round.path,
                round.tasks_per_s,
                cpu_text(&round.cpu_us)
            );
            rounds.push(round);
        }
    }
    let medians = PATHS.map(|path| summarise(&rounds, path)).into();
    Ok(Throughput { tasks: args.tasks, in_flight: args.in_flight, rounds, medians })
}

fn of(rounds: &[Round], path: Path) -> impl Iterator<Item = &Round> {
    rounds.iter().filter(move |round| round.path == path.name())
}

fn summarise(rounds: &[Round], path: Path) -> Median {
    let pairs = of(rounds, Path::Product).zip(of(rounds, path));
    let cpu = |name: &&'static str| {
        (*name, median(of(rounds, path).filter_map(|round| round.cpu_us.get(name).copied())))
    };
    Median {
        path: path.name(),
        tasks_per_s: median(of(rounds, path).map(|round| round.tasks_per_s)),
        product_ratio: median(pairs.map(|(product, other)| product.tasks_per_s / other.tasks_per_s)),
        cpu_us: of(rounds, path)
            .next()
            .map(|round| round.cpu_us.keys().map(cpu).collect())
            .unwrap_or_default(),
    }
}

impl Throughput {
    /// The bar: the floor with the headers that the guarantees need is what the product is held against.
    pub fn bar(&self) -> Bar {
        let ratio =
            |path: Path| self.medians.iter().find(|m| m.path == path.name()).map_or(0.0, |m| m.product_ratio);
        let (guarded, bare) = (ratio(Path::Guarded), ratio(Path::Bare));
        Bar {
            promise: "throughput: at least 60% of the floor of the same run",
            measured: format!("{:.0}% with headers, {:.0}% bare", guarded * 100.0, bare * 100.0),
            met: guarded >= 0.6,
        }
    }

    /// For people.
    pub fn table(&self) -> String {
        let mut out = String::new();
        line(
            &mut out,
            &format!("throughput: {} tasks a round, {} in flight, 256 B", self.tasks, self.in_flight),
        );
        line(&mut out, "  way                   tasks/s   product/this   CPU us/task");
        for m in &self.medians {
            let cpu = cpu_text(&m.cpu_us);
            line(
                &mut out,
                &format!(
                    "  {:<20} {:>8.0} {:>13.1}%   {cpu}",
                    m.path,
                    m.tasks_per_s,
                    m.product_ratio * 100.0
                ),
            );
        }
        out
    }
}
