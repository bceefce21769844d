//! Kinds of models: how each is loaded, and what it is asked.

pub mod decoder;
pub mod encoder;
pub mod script;
pub mod turns;

use std::path::Path;

use tasklane_runtime::Ctx;
use tokio::time::Instant;

use crate::batch::Meters;
use crate::config::BatchConfig;
use crate::manifest::{Manifest, Precision};
use crate::torch::Device;

/// What all models of the process share.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What they run on.
    pub device: Device,
    /// Threads that models use together; 0: one per core.
    pub threads: usize,
    /// Instead of the manifest's precision.
    pub precision: Option<Precision>,
    /// How tasks share a computation.
    pub batch: BatchConfig,
}

/// A model that is to be loaded.
#[derive(Debug, Clone, Copy)]
pub struct Loading<'a> {
    /// Its folder. The files of the manifest are there, and are what they have to be.
    pub folder: &'a Path,
    /// What it is.
    pub manifest: &'a Manifest,
    /// What all models share.
    pub settings: &'a Settings,
    /// Where it is told what batches look like.
    pub meters: &'a Meters,
}

/// How much something hurries.
#[derive(Debug, Clone, Copy)]
pub struct Urgency {
    /// 0 is the most urgent, 3 the least, as lanes have it.
    pub priority: u8,
    /// When nobody wants the answer any more.
    pub until: Instant,
}

impl Urgency {
    /// That of a task.
    pub fn of(ctx: &Ctx) -> Self {
        Self { priority: ctx.priority(), until: Instant::now() + ctx.remaining() }
    }
}
