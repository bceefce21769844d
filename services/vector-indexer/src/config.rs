//! What the operator may set.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use tasklane_runtime::WorkerConfig;
use tasklane_runtime::bus::BusConfig;
use tasklane_runtime::config::{Config, Problem};
use tasklane_runtime::process::LogConfig;

/// The configuration of the vector indexer.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct VectorConfig {
    /// The connection to NATS.
    pub nats: BusConfig,
    /// What every worker lets its operator set.
    pub worker: WorkerConfig,
    /// How the log looks.
    pub log: LogConfig,
    /// Where collections are kept, and how.
    pub vectors: VectorsConfig,
    /// When a snapshot is taken.
    pub snapshots: SnapshotsConfig,
}

/// Where collections are kept, and how.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct VectorsConfig {
    /// The folder of this process alone; empty: one of the system's for temporary files. What is lost there comes back
    /// from the log and the snapshots.
    pub folder: String,
    /// Points that are scanned before they become a segment.
    pub growing_rows: u32,
    /// Threads of one graph's building; 0: half of the machine's cores.
    pub threads: usize,
}

/// When a snapshot is taken.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SnapshotsConfig {
    /// After so much log of a collection since its last snapshot, in MB; 0: only when somebody asks.
    pub after_mb: u64,
    /// How many snapshots of a collection are kept.
    pub keep: usize,
}

impl Default for VectorConfig {
    fn default() -> Self {
        Self {
            nats: BusConfig::default(),
            worker: WorkerConfig { http_listen: "127.0.0.1:9475".into(), ..WorkerConfig::default() },
            log: LogConfig::default(),
            vectors: VectorsConfig::default(),
            snapshots: SnapshotsConfig::default(),
        }
    }
}

impl Default for VectorsConfig {
    fn default() -> Self {
        Self { folder: String::new(), growing_rows: 16_384, threads: 0 }
    }
}

impl Default for SnapshotsConfig {
    fn default() -> Self {
        Self { after_mb: 256, keep: 2 }
    }
}

impl VectorsConfig {
    /// The folder that is meant.
    pub fn folder(&self) -> PathBuf {
        match self.folder.as_str() {
            "" => std::env::temp_dir().join("tasklane-vectors"),
            folder => PathBuf::from(folder),
        }
    }
}

impl Config for VectorConfig {
    fn pages(&self) -> &str {
        &self.worker.http_listen
    }

    fn check(&self) -> Vec<Problem> {
        let mut problems = [self.worker.check(), self.log.check()].concat();
        if !(64..=1_000_000).contains(&self.vectors.growing_rows) {
            problems.push(Problem::new("vectors.growing_rows", "must be 64 to 1000000"));
        }
        if self.vectors.threads > 1_024 {
            problems.push(Problem::new("vectors.threads", "must be 0 to 1024"));
        }
        if !(1..=100).contains(&self.snapshots.keep) {
            problems.push(Problem::new("snapshots.keep", "must be 1 to 100"));
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mistake_is_told() {
        assert!(VectorConfig::default().check().is_empty());
        let mut config = VectorConfig::default();
        (config.vectors.growing_rows, config.vectors.threads, config.snapshots.keep) = (1, 5_000, 0);
        let places: Vec<String> = config.check().into_iter().map(|problem| problem.place).collect();
        assert_eq!(places, ["vectors.growing_rows", "vectors.threads", "snapshots.keep"]);
    }
}
