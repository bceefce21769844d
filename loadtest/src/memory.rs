//! Resident memory of router and worker over many tasks: it must not grow with what passed through.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::args::Args;
use crate::bench::Bench;
use crate::error::LoadError;
use crate::marks::Marks;
use crate::path::Path;
use crate::report::{Bar, line};

/// Samples of a measurement.
pub const SAMPLES: usize = 20;
/// The first fifth warms up: allocators keep what bursts once needed.
pub const WARM: usize = SAMPLES / 5;
/// Growth that counts as flat, in KiB per million tasks.
pub const FLAT_KIB: f64 = 2_048.0;
/// Those whose memory is promised. The server's grows with the results that it keeps.
const PROMISED: [&str; 2] = ["router", "worker"];

/// What was measured.
#[derive(Debug, Serialize)]
pub struct Memory {
    /// Tasks in all.
    pub tasks: usize,
    /// Tasks between two samples.
    pub every: usize,
    /// Resident KiB by process, sample by sample.
    pub resident_kib: BTreeMap<&'static str, Vec<u64>>,
    /// Growth in KiB per million tasks by process, after warming up.
    pub slope_kib: BTreeMap<&'static str, f64>,
}

/// Measures.
///
/// # Errors
/// Where a task is lost, doubled or failed.
pub async fn measure(bench: &Bench, args: &Args) -> Result<Memory, LoadError> {
    let every = (args.memory_tasks / SAMPLES).max(1);
    let mut resident: BTreeMap<&'static str, Vec<u64>> = BTreeMap::new();
    for n in 0..SAMPLES {
        bench.ends.closed(Path::Product, &Marks::fresh(0), every, args.in_flight).await?;
        let now = bench.resident();
        eprintln!(
            "  {:>9} tasks  KiB: {}",
            (n + 1) * every,
            now.iter().map(|(k, v)| format!("{k} {v}")).collect::<Vec<_>>().join("  ")
        );
        for (name, kib) in now {
            resident.entry(name).or_default().push(kib);
        }
    }
    let slope_kib = resident.iter().map(|(name, kib)| (*name, slope(kib) * 1e6 / every as f64)).collect();
    Ok(Memory { tasks: every * SAMPLES, every, resident_kib: resident, slope_kib })
}

/// Least squares over the samples after warming up: KiB per sample.
pub fn slope(kib: &[u64]) -> f64 {
    let points: Vec<(f64, f64)> =
        kib.iter().enumerate().skip(WARM).map(|(x, y)| (x as f64, *y as f64)).collect();
    let count = points.len().max(1) as f64;
    let (mean_x, mean_y) =
        (points.iter().map(|p| p.0).sum::<f64>() / count, points.iter().map(|p| p.1).sum::<f64>() / count);
    let spread: f64 = points.iter().map(|(x, _)| (x - mean_x).powi(2)).sum();
    let together: f64 = points.iter().map(|(x, y)| (x - mean_x) * (y - mean_y)).sum();
    if spread == 0.0 { 0.0 } else { together / spread }
}

impl Memory {
    /// The bars.
    pub fn bars(&self) -> Vec<Bar> {
        let slopes = self.slope_kib.iter().filter(|(name, _)| PROMISED.contains(name));
        let bar = |(name, kib): (&&'static str, &f64)| Bar {
            promise: if *name == "router" {
                "memory of the router: flat"
            } else {
                "memory of the worker: flat"
            },
            measured: format!("{:+.0} KiB per million tasks", kib),
            met: *kib < FLAT_KIB,
        };
        slopes.map(bar).collect()
    }

    /// For people.
    pub fn table(&self) -> String {
        let mut out = String::new();
        line(&mut out, &format!("memory: {} tasks, resident KiB every {}", self.tasks, self.every));
        for (name, kib) in &self.resident_kib {
            let at = |n: usize| kib.get(n).copied().unwrap_or_default();
            let slope = self.slope_kib.get(name).copied().unwrap_or_default();
            let (early, late) = (at(WARM), at(kib.len().saturating_sub(1)));
            line(
                &mut out,
                &format!(
                    "  {name:<12} first {:>8}  warm {early:>8}  last {late:>8}  slope {slope:>+8.0} per million",
                    at(0)
                ),
            );
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_after_warming_up_is_seen_and_noise_is_not() {
        let grows: Vec<u64> = (0..SAMPLES as u64).map(|n| 10_000 + 100 * n).collect();
        assert!((slope(&grows) - 100.0).abs() < 1e-6);
        let mut warms = vec![20_000; SAMPLES];
        warms[0] = 5_000;
        assert_eq!(slope(&warms), 0.0);
    }
}
