//! The report: what was measured, as tables for people and as JSON for programs, with the bars and who meets them.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;

use crate::latency::Latency;
use crate::memory::Memory;
use crate::ml::Ml;
use crate::models::Models;
use crate::throughput::Throughput;
use crate::tracing::Tracing;
use crate::vectors::Vectors;

/// The machine, as far as figures depend on it.
#[derive(Debug, Serialize)]
pub struct Machine {
    /// The processor's name.
    pub cpu: String,
    /// Processors that this program may use.
    pub cpus: usize,
    /// Processes that wanted to run over the last minute before we began: others' work makes figures worse.
    pub load_before: f64,
}

impl Machine {
    /// This machine, now.
    pub fn here() -> Self {
        let read = |path| std::fs::read_to_string(path).unwrap_or_default();
        let info = read("/proc/cpuinfo");
        let name = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
        Self {
            cpu: name.map_or_else(|| "unknown".to_owned(), |(_, name)| name.trim().to_owned()),
            cpus: std::thread::available_parallelism().map_or(1, usize::from),
            load_before: read("/proc/loadavg").split(' ').next().and_then(|n| n.parse().ok()).unwrap_or(0.0),
        }
    }
}

/// A promise about a figure.
#[derive(Debug, Serialize)]
pub struct Bar {
    /// What is promised.
    pub promise: &'static str,
    /// What was measured.
    pub measured: String,
    /// Whether the promise holds.
    pub met: bool,
}

/// Everything that was measured.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Where.
    pub machine: Machine,
    /// With few tasks, figures mean nothing.
    pub quick: bool,
    /// Tasks a second.
    pub throughput: Option<Throughput>,
    /// Submit to result.
    pub latency: Option<Latency>,
    /// The price of tracing.
    pub tracing: Option<Tracing>,
    /// Memory over many tasks.
    pub memory: Option<Memory>,
    /// Model calls.
    pub models: Option<Models>,
    /// The ml service.
    pub ml: Option<Ml>,
    /// The vector indexer.
    pub vectors: Option<Vectors>,
    /// The promises.
    pub bars: Vec<Bar>,
}

impl Report {
    /// An empty report of this machine.
    pub fn new(quick: bool) -> Self {
        let machine = Machine::here();
        Self {
            machine,
            quick,
            throughput: None,
            latency: None,
            tracing: None,
            memory: None,
            models: None,
            ml: None,
            vectors: None,
            bars: Vec::new(),
        }
    }

    /// Judges what was measured.
    pub fn judge(&mut self) {
        self.bars.extend(self.throughput.iter().map(Throughput::bar));
        self.bars.extend(self.latency.iter().flat_map(Latency::bars));
        self.bars.extend(self.tracing.iter().map(Tracing::bar));
        self.bars.extend(self.memory.iter().flat_map(Memory::bars));
        self.bars.extend(self.models.iter().flat_map(Models::bars));
        self.bars.extend(self.ml.iter().flat_map(Ml::bars));
        self.bars.extend(self.vectors.iter().flat_map(Vectors::bars));
    }

    /// The bars, and where it was measured.
    pub fn summary(&self) -> String {
        let mut out = String::new();
        let m = &self.machine;
        line(&mut out, &format!("{} x {}, load before: {:.1}", m.cpus, m.cpu, m.load_before));
        if self.quick {
            line(&mut out, "quick: it works; nothing was measured");
        }
        for bar in &self.bars {
            let word = if bar.met { "met   " } else { "MISSED" };
            line(&mut out, &format!("{word}  {:<58} {}", bar.promise, bar.measured));
        }
        out
    }
}

/// Adds a line.
pub fn line(out: &mut String, text: &str) {
    // Writing into a String cannot fail.
    let _infallible = writeln!(out, "{text}");
}

/// CPU times on one line.
pub fn cpu_text(cpu: &BTreeMap<&'static str, f64>) -> String {
    cpu.iter().map(|(name, us)| format!("{name} {us:.1}")).collect::<Vec<_>>().join("  ")
}

/// The median; 0 of nothing.
pub fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = values.into_iter().collect();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => 0.0,
        n if n % 2 == 1 => sorted[n / 2],
        n => f64::midpoint(sorted[n / 2 - 1], sorted[n / 2]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_lies_in_the_middle() {
        assert_eq!(median([3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median([4.0, 1.0]), 2.5);
        assert_eq!(median([]), 0.0);
    }
}
