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
    /// A qdrant for collections that are created there.
    pub qdrant: QdrantConfig,
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

/// A qdrant for collections that are created there.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct QdrantConfig {
    /// Where its gRPC is, such as `http://qdrant:6334`; `https` for TLS. Empty: there is none.
    pub url: String,
    /// A file with its API key; empty: it wants none.
    pub api_key_file: String,
    /// How long one call may take.
    pub timeout_ms: u64,
    /// What its names of our collections begin with.
    pub prefix: String,
    /// Shards of a collection that is created.
    pub shards: u32,
    /// Copies of each shard.
    pub replicas: u32,
    /// How many of them must have a write before it is acknowledged.
    pub write_replicas: u32,
}

impl Default for VectorConfig {
    fn default() -> Self {
        Self {
            nats: BusConfig::default(),
            worker: WorkerConfig { http_listen: "127.0.0.1:9475".into(), ..WorkerConfig::default() },
            log: LogConfig::default(),
            vectors: VectorsConfig::default(),
            snapshots: SnapshotsConfig::default(),
            qdrant: QdrantConfig::default(),
        }
    }
}

impl Default for VectorsConfig {
    fn default() -> Self {
        Self { folder: String::new(), growing_rows: 16_384, threads: 0 }
    }
}

impl Default for QdrantConfig {
    fn default() -> Self {
        Self {
            url: String::new(),
            api_key_file: String::new(),
            timeout_ms: 10_000,
            prefix: "tasklane-".into(),
            shards: 1,
            replicas: 1,
            write_replicas: 1,
        }
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

impl QdrantConfig {
    fn check(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if let Some(why) = wrong_url(&self.url) {
            problems.push(Problem::new("qdrant.url", why));
        }
        if !(100..=600_000).contains(&self.timeout_ms) {
            problems.push(Problem::new("qdrant.timeout_ms", "must be 100 to 600000"));
        }
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if !(1..=64).contains(&self.prefix.len()) || !self.prefix.chars().all(is_plain) {
            problems.push(Problem::new("qdrant.prefix", "must be 1 to 64 of letters, digits, -, _ and ."));
        }
        for (place, is, most) in
            [("qdrant.shards", self.shards, 1_024), ("qdrant.replicas", self.replicas, 64)]
        {
            if !(1..=most).contains(&is) {
                problems.push(Problem::new(place, format!("must be 1 to {most}")));
            }
        }
        if self.write_replicas == 0 || self.write_replicas > self.replicas {
            problems.push(Problem::new("qdrant.write_replicas", "must be 1 to qdrant.replicas"));
        }
        problems
    }
}

/// What is wrong with a URL. It is not repeated: somebody may have put a key into it.
fn wrong_url(text: &str) -> Option<&'static str> {
    if text.is_empty() {
        return None;
    }
    let Ok(url) = url::Url::parse(text) else {
        return Some("must be a URL such as http://qdrant:6334");
    };
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none_or(str::is_empty) {
        return Some("must begin with http:// or https:// and name a host");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Some("must hold no name and no password: the key is in the file of qdrant.api_key_file");
    }
    let is_bare = matches!(url.path(), "" | "/") && url.query().is_none() && url.fragment().is_none();
    (!is_bare).then_some("must end after the port: gRPC has no path")
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
        problems.extend(self.qdrant.check());
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

    #[test]
    fn every_mistake_about_qdrant_is_told() {
        let good = QdrantConfig { url: "https://qdrant.example:6334".into(), ..QdrantConfig::default() };
        assert!(good.check().is_empty());
        let bad = QdrantConfig {
            url: "ftp://x".into(),
            api_key_file: String::new(),
            timeout_ms: 1,
            prefix: "a/b".into(),
            shards: 0,
            replicas: 65,
            write_replicas: 66,
        };
        let places: Vec<String> = bad.check().into_iter().map(|problem| problem.place).collect();
        let keys = ["url", "timeout_ms", "prefix", "shards", "replicas", "write_replicas"];
        assert_eq!(places, keys.map(|key| format!("qdrant.{key}")));
        for url in ["qdrant:6334", "http://", "http://me:secret@x:1", "http://x/path", "http://x?a", "x"] {
            assert!(wrong_url(url).is_some_and(|why| !why.contains("secret")), "{url}");
        }
    }
}
