//! What a collection is, and how much it may take.

use std::{num::NonZero, time::Duration};

use crate::{
    graph::Params,
    space::{Metric, Precision},
};

/// A collection's settings.
#[derive(Clone, Debug)]
pub struct Config {
    /// Tells this collection from an earlier one of the same name: with another, what is on disk is not used.
    pub identity: String,
    /// Numbers of a vector.
    pub dimension: usize,
    /// What near means.
    pub metric: Metric,
    /// What is kept beside the codes.
    pub precision: Precision,
    /// How graphs are built.
    pub graph: Params,
    /// When the growing part has so many rows, it becomes a segment.
    pub growing_rows: u32,
    /// The same in bytes of memory.
    pub growing_bytes: u64,
    /// How many bytes of texts may wait for their index before writers do.
    pub waiting_texts: u64,
    /// How soon a text can be found.
    pub text_every: Duration,
    /// Segments smaller than that are always scanned.
    pub graph_rows: u32,
    /// No merge makes a larger segment.
    pub most_rows: u32,
    /// Nothing is being written when nothing was for so long.
    pub quiet: Duration,
    /// Threads of one graph's building.
    pub threads: usize,
}

impl Config {
    /// The usual settings of a collection.
    #[must_use]
    pub fn new(identity: impl Into<String>, dimension: usize, metric: Metric, precision: Precision) -> Self {
        Self {
            identity: identity.into(),
            dimension,
            metric,
            precision,
            graph: Params::default(),
            growing_rows: 16_384,
            growing_bytes: 96 << 20,
            waiting_texts: 32 << 20,
            text_every: Duration::from_millis(500),
            graph_rows: 4096,
            most_rows: 500_000,
            quiet: Duration::from_secs(2),
            threads: std::thread::available_parallelism().map_or(1, NonZero::get).div_ceil(2),
        }
    }

    /// What must be the same for files to be used.
    pub(super) fn shape(&self) -> String {
        format!("{} {} {:?} {:?}", self.identity, self.dimension, self.metric, self.precision)
    }
}
