//! The router's configuration.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tasklane_bus::BusConfig;
use tasklane_contract::streams::Policy;
use tasklane_contract::submission::Limits;
use tasklane_domain::enrich::Defaults;
use tasklane_domain::rebalance;
use tasklane_domain::score::Weights;
use tasklane_runtime::config::{Config, Problem};
use tasklane_runtime::process::LogConfig;

/// Everything that an operator may set.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RouterConfig {
    /// How to reach NATS.
    pub nats: BusConfig,
    /// NATS's monitoring pages, so that its storage is measured.
    pub monitor: Monitor,
    /// How the log looks.
    pub log: LogConfig,
    /// The pages `/metrics`, `/healthz`, `/readyz`.
    pub http: Http,
    /// Streams and their bounds.
    pub streams: Streams,
    /// What counts how much in a score.
    pub weights: Weights,
    /// What stands where nobody says anything.
    pub defaults: Defaults,
    /// What a submission may be.
    pub edge: Edge,
    /// When tasks are taken back from lanes.
    pub rebalance: rebalance::Settings,
    /// Workers that come and go.
    pub fleet: Fleet,
}

/// NATS's monitoring pages.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Monitor {
    /// One URL a server, such as `http://127.0.0.1:8222`; none: storage is not measured.
    pub urls: Vec<String>,
}

/// Where the pages listen.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Http {
    /// Address and port; port 0: any free one.
    pub listen: String,
}

impl Default for Http {
    fn default() -> Self {
        Self { listen: "127.0.0.1:9470".into() }
    }
}

/// Streams and their bounds.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Streams {
    /// Copies of each stream: 1, 3 or 5.
    pub replicas: usize,
    /// The window in which an id is refused the second time, in seconds. Ids are kept in the server's memory.
    pub dedupe_s: u64,
    /// How long a result is kept, in hours.
    pub results_hours: u64,
    /// Results that are kept, in MB; the oldest go first.
    pub results_mb: u32,
    /// How long a dead letter is kept, in days.
    pub dead_days: u64,
    /// How long a worker may be silent about a task, in ms; as the workers' `worker.ack_wait_ms`.
    pub ack_wait_ms: u64,
}

impl Default for Streams {
    fn default() -> Self {
        Self {
            replicas: 1,
            dedupe_s: 120,
            results_hours: 24,
            results_mb: 4096,
            dead_days: 14,
            ack_wait_ms: 5_000,
        }
    }
}

impl Streams {
    /// As the contract wants it.
    pub fn policy(&self) -> Policy {
        Policy {
            replicas: self.replicas,
            dedupe: Duration::from_secs(self.dedupe_s),
            results_age: Duration::from_secs(self.results_hours * 3600),
            results_bytes: i64::from(self.results_mb) << 20,
            dead_age: Duration::from_secs(self.dead_days * 24 * 3600),
            ack_wait: Duration::from_millis(self.ack_wait_ms),
        }
    }
}

/// What a submission may be.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Edge {
    /// Bytes of a body; more goes through the object store.
    pub max_body_bytes: usize,
    /// Levels of nested arrays and objects.
    pub max_depth: usize,
    /// Attempts that a publisher may ask for.
    pub max_attempts: u32,
    /// How far in the future `not_before` may lie, in hours.
    pub max_delay_hours: u64,
    /// How long a task without a deadline waits for somebody who can do it, in seconds; 0: for ever.
    pub wait_for_worker_s: u64,
    /// Message ids, schemas and tasks that are worked on at once: the router's own window.
    pub window: u32,
}

impl Default for Edge {
    fn default() -> Self {
        let limits = Limits::default();
        Self {
            max_body_bytes: limits.max_body_bytes,
            max_depth: limits.max_depth,
            max_attempts: limits.max_attempts,
            max_delay_hours: 24 * 365,
            wait_for_worker_s: 600,
            window: 2_000,
        }
    }
}

impl Edge {
    /// As the contract wants it.
    pub fn limits(&self) -> Limits {
        Limits {
            max_body_bytes: self.max_body_bytes,
            max_depth: self.max_depth,
            max_attempts: self.max_attempts,
            ..Limits::default()
        }
    }
}

/// Workers that come and go.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Fleet {
    /// A worker that is silent for longer counts as dead, in ms. Workers speak every second.
    pub worker_ttl_ms: u64,
    /// How often lanes are measured and decisions are made afresh, in ms.
    pub refresh_ms: u64,
    /// How often tasks are taken back from lanes, in ms.
    pub rebalance_ms: u64,
    /// An empty pool that was dead for longer is forgotten, in seconds.
    pub forget_s: u64,
}

impl Default for Fleet {
    fn default() -> Self {
        Self { worker_ttl_ms: 3_000, refresh_ms: 500, rebalance_ms: 1_000, forget_s: 3600 }
    }
}

impl Config for RouterConfig {
    fn pages(&self) -> &str {
        &self.http.listen
    }

    fn check(&self) -> Vec<Problem> {
        let mut problems = self.log.check();
        if let Err(violations) = self.weights.validate() {
            problems.extend(violations.into_iter().map(|v| Problem::new(v.field, v.problem)));
        }
        for url in self.monitor.urls.iter().filter(|url| !url.starts_with("http://")) {
            problems.push(Problem::new("monitor.urls", format!("\"{url}\" does not begin with http://")));
        }
        if ![1, 3, 5].contains(&self.streams.replicas) {
            problems.push(Problem::new("streams.replicas", "must be 1, 3 or 5"));
        }
        let at_least = [
            ("streams.dedupe_s", self.streams.dedupe_s, 1),
            ("streams.results_hours", self.streams.results_hours, 1),
            ("streams.dead_days", self.streams.dead_days, 1),
            ("streams.ack_wait_ms", self.streams.ack_wait_ms, 500),
            ("fleet.worker_ttl_ms", self.fleet.worker_ttl_ms, 1_500),
            ("fleet.refresh_ms", self.fleet.refresh_ms, 50),
            ("fleet.rebalance_ms", self.fleet.rebalance_ms, 100),
            ("edge.window", u64::from(self.edge.window), 1),
            ("edge.max_depth", self.edge.max_depth as u64, 1),
        ];
        for (place, value, least) in at_least {
            if value < least {
                problems.push(Problem::new(place, format!("is {value}; must be at least {least}")));
            }
        }
        // serde_json refuses deeper nesting by itself, and with a worse text.
        if self.edge.max_depth > 120 {
            problems.push(Problem::new("edge.max_depth", "at most 120"));
        }
        if self.streams.dedupe_s * 1000 < 2 * self.streams.ack_wait_ms {
            problems.push(Problem::new("streams.dedupe_s", "must be at least twice streams.ack_wait_ms"));
        }
        problems
    }
}
