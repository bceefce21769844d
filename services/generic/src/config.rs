//! What the operator may set.

use serde::{Deserialize, Serialize};
use tasklane_runtime::WorkerConfig;
use tasklane_runtime::bus::BusConfig;
use tasklane_runtime::config::{Config, Problem};
use tasklane_runtime::process::LogConfig;

/// The configuration of the generic service.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GenericConfig {
    /// The connection to NATS.
    pub nats: BusConfig,
    /// What every worker lets its operator set.
    pub worker: WorkerConfig,
    /// How the log looks.
    pub log: LogConfig,
    /// The limits of `compute`.
    pub compute: ComputeConfig,
    /// What `error` may do.
    pub error: ErrorConfig,
}

impl Default for GenericConfig {
    fn default() -> Self {
        Self {
            nats: BusConfig::default(),
            worker: WorkerConfig { http_listen: "127.0.0.1:9471".into(), ..WorkerConfig::default() },
            log: LogConfig::default(),
            compute: ComputeConfig::default(),
            error: ErrorConfig::default(),
        }
    }
}

impl Config for GenericConfig {
    fn pages(&self) -> &str {
        &self.worker.http_listen
    }

    fn check(&self) -> Vec<Problem> {
        [self.worker.check(), self.log.check(), self.compute.check(), self.error.check()].concat()
    }
}

/// The limits of one script. Together they bound what a hostile script can take: time by `max_ms` and
/// `max_operations`, the stack by the depths, memory by the sizes and, for all values of a script together, by
/// `memory_mb`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ComputeConfig {
    /// Scripts that run at once; 0: one per core. More wait their turn.
    pub threads: usize,
    /// Time a script may run, in ms, from when it has its core.
    pub max_ms: u64,
    /// Steps a script may take.
    pub max_operations: u64,
    /// Calls within calls.
    pub max_call_depth: usize,
    /// Expressions within expressions, and blocks within blocks.
    pub max_expression_depth: usize,
    /// Functions a script may define.
    pub max_functions: usize,
    /// Variables of one function, inputs among them.
    pub max_variables: usize,
    /// Bytes of the expression or script.
    pub max_script_bytes: usize,
    /// Bytes of the whole payload.
    pub max_payload_bytes: usize,
    /// Bytes of all text in one value.
    pub max_string_bytes: usize,
    /// Elements of all arrays in one value.
    pub max_array_size: usize,
    /// Entries of all maps in one value.
    pub max_map_size: usize,
    /// Bytes of the value as JSON.
    pub max_result_bytes: usize,
    /// How much the process may grow while a script runs, in MB; 0: not looked at. Where another script or task
    /// made it grow, this one is tried again.
    pub memory_mb: u64,
}

impl Default for ComputeConfig {
    fn default() -> Self {
        Self {
            threads: 0,
            max_ms: 5_000,
            max_operations: 5_000_000,
            max_call_depth: 48,
            max_expression_depth: 64,
            max_functions: 64,
            max_variables: 128,
            max_script_bytes: 64 << 10,
            max_payload_bytes: 1 << 20,
            max_string_bytes: 256 << 10,
            max_array_size: 10_000,
            max_map_size: 4_000,
            max_result_bytes: 512 << 10,
            memory_mb: 256,
        }
    }
}

impl ComputeConfig {
    /// Finds values out of bounds. The upper bounds keep the stack of a script's thread, which they determine, within
    /// what can be reserved; a limit of 0 would mean none at all to the engine.
    pub fn check(&self) -> Vec<Problem> {
        let within = |key: &str, value: u64, least: u64, most: u64| {
            let text = || format!("is {value}; must be from {least} to {most}");
            (!(least..=most).contains(&value)).then(|| Problem::new(format!("compute.{key}"), text()))
        };
        let size = |key: &str, value: usize, least: u64, most: u64| {
            within(key, u64::try_from(value).unwrap_or(u64::MAX), least, most)
        };
        [
            size("threads", self.threads, 0, 1_024),
            within("max_ms", self.max_ms, 1, 3_600_000),
            within("max_operations", self.max_operations, 1, u64::MAX),
            size("max_call_depth", self.max_call_depth, 1, 256),
            size("max_expression_depth", self.max_expression_depth, 1, 256),
            size("max_functions", self.max_functions, 1, 10_000),
            size("max_variables", self.max_variables, 1, 10_000),
            size("max_script_bytes", self.max_script_bytes, 1, 16 << 20),
            size("max_payload_bytes", self.max_payload_bytes, 1, 256 << 20),
            size("max_string_bytes", self.max_string_bytes, 1, 256 << 20),
            size("max_array_size", self.max_array_size, 1, 100_000),
            size("max_map_size", self.max_map_size, 1, 100_000),
            size("max_result_bytes", self.max_result_bytes, 1, 256 << 20),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

/// What `error` may do.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ErrorConfig {
    /// Whether a task may end the whole process, with modes `exit` and `out_of_memory`.
    pub dangerous: bool,
    /// What `out_of_memory` takes before it ends the process, in MB.
    pub memory_mb: usize,
}

impl Default for ErrorConfig {
    fn default() -> Self {
        Self { dangerous: false, memory_mb: 256 }
    }
}

impl ErrorConfig {
    /// Finds values out of bounds.
    pub fn check(&self) -> Vec<Problem> {
        if (1..=65_536).contains(&self.memory_mb) {
            return vec![];
        }
        vec![Problem::new("error.memory_mb", format!("is {}; must be from 1 to 65536", self.memory_mb))]
    }
}

#[cfg(test)]
mod tests {
    use tasklane_runtime::config::merge;

    use super::*;

    fn with(pairs: &[(&str, &str)]) -> Result<GenericConfig, Vec<Problem>> {
        merge(None, pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())))
    }

    #[test]
    fn the_defaults_can_be_used() {
        let config = with(&[]).unwrap();
        assert_eq!(config.worker.http_listen, "127.0.0.1:9471");
        assert!(!config.error.dangerous, "nobody may end the process unless the operator says so");
    }

    #[test]
    fn every_limit_can_be_set_and_is_held_within_bounds() {
        let config = with(&[("TASKLANE_COMPUTE_MAX_MS", "7"), ("TASKLANE_ERROR_DANGEROUS", "true")]).unwrap();
        assert_eq!((config.compute.max_ms, config.error.dangerous), (7, true));
        let problems = with(&[
            ("TASKLANE_COMPUTE_MAX_OPERATIONS", "0"),
            ("TASKLANE_COMPUTE_MAX_ARRAY_SIZE", "100001"),
            ("TASKLANE_ERROR_MEMORY_MB", "0"),
        ])
        .unwrap_err();
        let places: Vec<_> = problems.iter().map(|p| p.place.as_str()).collect();
        assert_eq!(places, ["compute.max_operations", "compute.max_array_size", "error.memory_mb"]);
    }
}
