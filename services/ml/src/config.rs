//! What the operator may set.

use serde::{Deserialize, Serialize};
use tasklane_runtime::WorkerConfig;
use tasklane_runtime::bus::BusConfig;
use tasklane_runtime::config::{Config, Problem};
use tasklane_runtime::process::LogConfig;

/// The configuration of the ml service.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MlConfig {
    /// The connection to NATS.
    pub nats: BusConfig,
    /// What every worker lets its operator set.
    pub worker: WorkerConfig,
    /// How the log looks.
    pub log: LogConfig,
    /// Where models are, and how many are held.
    pub models: ModelsConfig,
    /// What they run on.
    pub torch: TorchConfig,
    /// How tasks share a computation.
    pub batch: BatchConfig,
}

/// Where models are, and how many are held.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ModelsConfig {
    /// A folder of models; empty: only the object store `models`.
    pub folder: String,
    /// Where models of the object store are unpacked; empty: a folder of the system's for temporary files.
    pub cache: String,
    /// Memory that loaded models may take together, in MB; 0: half of the machine's.
    pub memory_mb: u64,
    /// Models that are loaded at start, as `name` or `name@version`.
    pub preload: Vec<String>,
}

/// What models run on.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TorchConfig {
    /// `auto` (a GPU where there is one), `cpu`, `cuda`, or `cuda:<n>`.
    pub device: String,
    /// Threads of one computation; 0: one per core.
    pub threads: usize,
    /// `auto` (as the model's manifest says), `f32` or `bf16`.
    pub precision: String,
}

/// How tasks share a computation.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BatchConfig {
    /// Tokens of one batch, padding included. Encoders on a CPU take less at once, for its caches.
    pub max_tokens: usize,
    /// Texts or sequences of one batch.
    pub max_items: usize,
    /// The longest that a text waits for others to share its batch, in ms, while nothing runs; while the model is busy
    /// everything waits anyway.
    pub max_wait_ms: u64,
    /// Texts that may wait for one model.
    pub max_waiting: usize,
    /// Memory for the keys and values of the texts that one model writes, in MB; 0: an eighth of the machine's.
    pub kv_memory_mb: u64,
}

impl Default for MlConfig {
    fn default() -> Self {
        Self {
            nats: BusConfig::default(),
            worker: WorkerConfig { http_listen: "127.0.0.1:9474".into(), ..WorkerConfig::default() },
            log: LogConfig::default(),
            models: ModelsConfig::default(),
            torch: TorchConfig::default(),
            batch: BatchConfig::default(),
        }
    }
}

impl Default for TorchConfig {
    fn default() -> Self {
        Self { device: "auto".into(), threads: 0, precision: "auto".into() }
    }
}

impl Default for BatchConfig {
    fn default() -> Self {
        Self { max_tokens: 8_192, max_items: 256, max_wait_ms: 0, max_waiting: 16_384, kv_memory_mb: 0 }
    }
}

impl Config for MlConfig {
    fn pages(&self) -> &str {
        &self.worker.http_listen
    }

    fn check(&self) -> Vec<Problem> {
        let mut problems = [self.worker.check(), self.log.check()].concat();
        let device = self.torch.device.as_str();
        let numbered = device.strip_prefix("cuda:").is_some_and(|n| n.parse::<u16>().is_ok());
        if !(matches!(device, "auto" | "cpu" | "cuda") || numbered) {
            problems.push(Problem::new("torch.device", "must be auto, cpu, cuda, or cuda:<n>"));
        }
        if !matches!(self.torch.precision.as_str(), "auto" | "f32" | "bf16") {
            problems.push(Problem::new("torch.precision", "must be auto, f32 or bf16"));
        }
        if self.torch.threads > 1_024 {
            problems.push(Problem::new("torch.threads", "must be 0 to 1024"));
        }
        for (key, value, least) in [
            ("batch.max_tokens", self.batch.max_tokens, 512),
            ("batch.max_items", self.batch.max_items, 1),
            ("batch.max_waiting", self.batch.max_waiting, 1),
        ] {
            if value < least {
                problems.push(Problem::new(key, format!("must be at least {least}")));
            }
        }
        for name in &self.models.preload {
            if let Err(e) = name.parse::<tasklane_models::ModelName>() {
                problems.push(Problem::new("models.preload", e));
            }
        }
        if self.batch.max_wait_ms > 1_000 {
            problems.push(Problem::new("batch.max_wait_ms", "must be 0 to 1000"));
        }
        problems
    }
}
