//! `models` on the command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use tasklane_models::ModelName;

use crate::units;

/// `models`.
#[derive(Debug, Subcommand)]
pub enum ModelsCommand {
    /// Every model: where it is, and which workers have it loaded
    List,
    /// Put a model's folder into the object store, for all workers
    Push(PushArgs),
    /// Get a model out of the object store into a folder
    Pull(PullArgs),
    /// Load a model on every worker and keep it loaded, also on workers that start later
    Load(LoadArgs),
    /// Take a model out of every worker's memory, and keep it no longer
    Unload(ModelArgs),
}

/// `models push`.
#[derive(Debug, Args)]
pub struct PushArgs {
    /// The folder, with a manifest `model.toml`
    pub folder: PathBuf,
    /// Put it in place of another model of the same name and version
    #[arg(long)]
    pub replace: bool,
}

/// `models pull`.
#[derive(Debug, Args)]
pub struct PullArgs {
    /// NAME, or NAME@VERSION; without a version the newest
    pub model: ModelName,
    /// A folder that does not exist yet; without it NAME@VERSION, here
    pub folder: Option<PathBuf>,
}

/// `models load`.
#[derive(Debug, Args)]
pub struct LoadArgs {
    /// NAME, or NAME@VERSION; without a version the newest, and each newer one that comes
    pub model: ModelName,
    /// How long the workers may take
    #[arg(long, value_name = "DURATION", default_value = "10m", value_parser = units::duration)]
    pub timeout: Duration,
}

/// A model.
#[derive(Debug, Args)]
pub struct ModelArgs {
    /// NAME, for all its versions, or NAME@VERSION
    pub model: ModelName,
}
