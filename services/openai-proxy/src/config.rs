//! What the operator may set. Who the providers are and what they cost stands in a file of its own (`catalog`).

use serde::{Deserialize, Serialize};
use tasklane_runtime::WorkerConfig;
use tasklane_runtime::bus::BusConfig;
use tasklane_runtime::config::{Config, Problem};
use tasklane_runtime::process::LogConfig;

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

impl Default for ProxyConfig {
    fn default() -> Self {
        Self {
            nats: BusConfig::default(),
            worker: WorkerConfig { http_listen: "127.0.0.1:9473".into(), ..WorkerConfig::default() },
            log: LogConfig::default(),
            api: ApiConfig::default(),
            providers: ProvidersConfig::default(),
        }
    }
}

impl Default for ApiConfig {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:9480".into(),
            max_body_bytes: 32 << 20,
            max_answer_bytes: 64 << 20,
            anonymous: true,
        }
    }
}

impl Config for ProxyConfig {
    fn pages(&self) -> &str {
        &self.worker.http_listen
    }

    fn check(&self) -> Vec<Problem> {
        let mut problems = [self.worker.check(), self.log.check()].concat();
        for (key, value) in [
            ("api.max_body_bytes", self.api.max_body_bytes),
            ("api.max_answer_bytes", self.api.max_answer_bytes),
        ] {
            if value < 1024 {
                problems.push(Problem::new(key, "must be at least 1024"));
            }
        }
        problems
    }
}
