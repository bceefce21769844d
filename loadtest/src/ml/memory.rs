//! Resident memory of the ml service over many texts of mixed lengths: it must not grow with what passed through.

use serde::Serialize;

use super::embeddings::{MODEL, payloads};
use super::kit::Kit;
use super::stage::Stage;
use super::tasks::Round;
use super::texts::Texts;
use crate::args::Args;
use crate::error::LoadError;
use crate::memory::{SAMPLES, WARM, slope};
use crate::report::{Bar, line};
use crate::stack::Programs;

/// Tasks in flight.
const IN_FLIGHT: usize = 64;
/// Growth over the measurement that counts as flat, in KiB.
const FLAT_KIB: f64 = 4_096.0;

/// What was measured.
#[derive(Debug, Serialize)]
pub struct Memory {
    /// Requests in all.
    pub requests: usize,
    /// Resident KiB with the model loaded, before the first request.
    pub before_kib: u64,
    /// Resident KiB, sample by sample.
    pub resident_kib: Vec<u64>,
    /// Growth over the whole measurement by a line through the samples after warming up, in KiB.
    pub growth_kib: f64,
}

/// Measures.
///
/// # Errors
/// Where a task fails.
pub async fn measure(programs: &Programs, args: &Args, kit: &Kit) -> Result<Memory, LoadError> {
    let (store, model) = kit.model(MODEL).await?;
    let mut texts = Texts::of(&model)?;
    let stage = Stage::start(programs, &store, MODEL).await?;
    let before_kib = stage.resident_kib();
    let each = (args.ml_requests / SAMPLES).max(1);
    let mut resident_kib = Vec::with_capacity(SAMPLES);
    for n in 1..=SAMPLES {
        let tasks = payloads(&texts.mixed(each).0, 1);
        let done = stage.tasks.run(&Round::of("embed_text", &tasks, IN_FLIGHT)).await?;
        let (kib, rate) = (stage.resident_kib(), each as f64 / done.took.as_secs_f64());
        eprintln!("  {:>7} requests   {kib} KiB   {rate:.0}/s", n * each);
        resident_kib.push(kib);
    }
    stage.stop().await?;
    let growth_kib = slope(&resident_kib) * SAMPLES as f64;
    Ok(Memory { requests: each * SAMPLES, before_kib, resident_kib, growth_kib })
}

impl Memory {
    /// The bar.
    pub fn bar(&self) -> Bar {
        Bar {
            promise: "memory of the ml service: flat",
            measured: format!("{:+.0} KiB over {} requests", self.growth_kib, self.requests),
            met: self.growth_kib < FLAT_KIB,
        }
    }

    /// For people.
    pub fn table(&self) -> String {
        let at = |n: usize| self.resident_kib.get(n).copied().unwrap_or_default();
        let mut out = String::new();
        let last = at(self.resident_kib.len().saturating_sub(1));
        line(&mut out, &format!("memory of the ml service over {} requests", self.requests));
        line(
            &mut out,
            &format!(
                "  KiB: loaded {}  first {}  warm {}  last {last}  growth {:+.0}",
                self.before_kib,
                at(0),
                at(WARM),
                self.growth_kib
            ),
        );
        out
    }
}
