//! What the operator may set. Who the providers are and what they cost stands in a file of its own (`catalog`).

use serde::{Deserialize, Serialize};
use tasklane_runtime::WorkerConfig;
use tasklane_runtime::bus::BusConfig;
use tasklane_runtime::config::{Config, Problem};
use tasklane_runtime::contract::streams;
use tasklane_runtime::process::LogConfig;

/// Usage is kept for ten years at most.
const MAX_KEEP_DAYS: u64 = 3_660;

/// The configuration of the openai-proxy.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ProxyConfig {
    /// The connection to NATS.
    pub nats: BusConfig,
    /// What every worker lets its operator set.
    pub worker: WorkerConfig,
    /// How the log looks.
    pub log: LogConfig,
    /// What HTTP clients call.
    pub api: ApiConfig,
    /// Providers, models, routes, tenants.
    pub providers: ProvidersConfig,
    /// Answers that are given again.
    pub cache: CacheConfig,
    /// Prompts and answers in spans.
    pub recording: RecordingConfig,
    /// What was used, by tenant, model and day.
    pub usage: UsageConfig,
    /// The prompts of jobs.
    pub prompts: PromptsConfig,
    /// Tasks of several model calls.
    pub jobs: JobsConfig,
}

/// What HTTP clients call.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ApiConfig {
    /// Address and port of `/v1/...`.
    pub listen: String,
    /// Bytes of a request's body, at most.
    pub max_body_bytes: usize,
    /// Bytes of a model's answer, at most: those of a stream are not held.
    pub max_answer_bytes: usize,
    /// Threads that serve HTTP clients; 0: one per core.
    pub threads: usize,
    /// Whether clients without a key of a tenant are served, as the tenant `default`.
    pub anonymous: bool,
}

/// Providers, models, routes, tenants.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ProvidersConfig {
    /// The TOML file; empty: there are none, and every call is refused.
    pub file: String,
}

/// Answers that are given again.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CacheConfig {
    /// Whether there is a cache at all.
    pub enabled: bool,
    /// How long an answer is given again, in seconds; a day at most.
    pub ttl_s: u64,
    /// What all answers in memory may take, in MiB.
    pub memory_mb: u64,
    /// A larger answer is not kept, in KiB.
    pub max_entry_kb: usize,
    /// Whether an object store stands behind the memory, which replicas share and restarts outlive.
    pub objects: bool,
    /// Which chats and responses are kept; embeddings and moderations always are.
    pub chat: ChatCache,
    /// Whether a tenant gets what another asked for. Who may measure how long an answer takes then learns whether
    /// somebody asked the same.
    pub shared: bool,
}

/// Which chats and responses are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChatCache {
    /// None, unless the request says so.
    Never,
    /// Those with `temperature` 0: the same answer is what they ask for.
    Deterministic,
    /// All.
    Always,
}

/// Prompts and answers in spans.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RecordingConfig {
    /// Whether they are recorded. They are what users wrote, and go wherever the spans go.
    pub content: bool,
    /// Bytes of the messages of one call that are recorded, at most, each way.
    pub max_bytes: usize,
}

impl Default for RecordingConfig {
    fn default() -> Self {
        Self { content: false, max_bytes: 16 << 10 }
    }
}

impl Default for CacheConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            ttl_s: 3_600,
            memory_mb: 64,
            max_entry_kb: 1_024,
            objects: true,
            chat: ChatCache::Deterministic,
            shared: false,
        }
    }
}

impl CacheConfig {
    fn check(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let longest = streams::LLM_CACHE_AGE.as_secs();
        if self.ttl_s == 0 || self.ttl_s > longest {
            let text = format!("must be from 1 to {longest}; `cache.enabled = false` switches the cache off");
            problems.push(Problem::new("cache.ttl_s", text));
        }
        if self.memory_mb == 0 || self.memory_mb > 1 << 20 {
            problems.push(Problem::new("cache.memory_mb", "must be from 1 to 1048576"));
        }
        if self.max_entry_kb == 0 || self.max_entry_kb > 65_536 {
            problems.push(Problem::new("cache.max_entry_kb", "must be from 1 to 65536"));
        }
        problems
    }
}

/// What was used, by tenant, model and day.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct UsageConfig {
    /// Days for which it is kept.
    pub keep_days: u64,
}

/// The prompts of jobs.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PromptsConfig {
    /// A folder with templates that stand in the place of ours; empty: ours are used.
    pub folder: String,
}

/// Tasks of several model calls.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct JobsConfig {
    /// The route or model of jobs that name none; empty: they have to.
    pub model: String,
    /// Calls of one job at the same time, at most.
    pub concurrent_calls: usize,
    /// Calls of one job, at most.
    pub max_calls: u32,
    /// The longest that a job waits for a limit to open, in ms; for longer ones it is tried again from its beginning.
    pub wait_ms: u64,
}

impl Default for JobsConfig {
    fn default() -> Self {
        Self { model: String::new(), concurrent_calls: 8, max_calls: 500, wait_ms: 0 }
    }
}

impl Default for ProxyConfig {
    fn default() -> Self {
        Self {
            nats: BusConfig::default(),
            worker: WorkerConfig { http_listen: "127.0.0.1:9473".into(), ..WorkerConfig::default() },
            log: LogConfig::default(),
            api: ApiConfig::default(),
            providers: ProvidersConfig::default(),
            cache: CacheConfig::default(),
            recording: RecordingConfig::default(),
            usage: UsageConfig::default(),
            prompts: PromptsConfig::default(),
            jobs: JobsConfig::default(),
        }
    }
}

impl Default for UsageConfig {
    fn default() -> Self {
        Self { keep_days: 400 }
    }
}

impl Default for ApiConfig {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:9480".into(),
            max_body_bytes: 32 << 20,
            max_answer_bytes: 64 << 20,
            threads: 0,
            anonymous: true,
        }
    }
}

impl Config for ProxyConfig {
    fn pages(&self) -> &str {
        &self.worker.http_listen
    }

    fn check(&self) -> Vec<Problem> {
        let mut problems = [self.worker.check(), self.log.check(), self.cache.check()].concat();
        for (key, value) in [
            ("api.max_body_bytes", self.api.max_body_bytes),
            ("api.max_answer_bytes", self.api.max_answer_bytes),
            ("recording.max_bytes", self.recording.max_bytes),
        ] {
            if value < 1024 {
                problems.push(Problem::new(key, "must be at least 1024"));
            }
        }
        if self.api.threads > 1_024 {
            problems.push(Problem::new("api.threads", "must be 0 to 1024"));
        }
        if !(1..=MAX_KEEP_DAYS).contains(&self.usage.keep_days) {
            problems.push(Problem::new("usage.keep_days", format!("must be from 1 to {MAX_KEEP_DAYS}")));
        }
        if !(1..=64).contains(&self.jobs.concurrent_calls) {
            problems.push(Problem::new("jobs.concurrent_calls", "must be 1 to 64"));
        }
        if !(1..=100_000).contains(&self.jobs.max_calls) {
            problems.push(Problem::new("jobs.max_calls", "must be 1 to 100000"));
        }
        problems
    }
}
