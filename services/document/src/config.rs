//! What can be configured, with its defaults.

use serde::{Deserialize, Serialize};
use tasklane_runtime::WorkerConfig;
use tasklane_runtime::bus::BusConfig;
use tasklane_runtime::config::{Config, Problem};
use tasklane_runtime::process::LogConfig;

use crate::limits::Limits;
use crate::plan::Network;

/// The service's own configuration.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DocumentConfig {
    /// The NATS server.
    pub nats: BusConfig,
    /// What every worker lets its operator set.
    pub worker: WorkerConfig,
    /// How the log looks.
    pub log: LogConfig,
    /// Where documents may come from.
    pub sources: SourcesConfig,
    /// The parsing children.
    pub parser: ParserConfig,
    /// Bounds of one document.
    pub limits: Limits,
}

impl Default for DocumentConfig {
    fn default() -> Self {
        Self {
            nats: BusConfig::default(),
            worker: WorkerConfig { http_listen: "127.0.0.1:9472".into(), ..WorkerConfig::default() },
            log: LogConfig::default(),
            sources: SourcesConfig::default(),
            parser: ParserConfig::default(),
            limits: Limits::default(),
        }
    }
}

impl DocumentConfig {
    /// A task gets what its child may have, unless the operator promises something else: the router must not send what
    /// needs more.
    pub fn promise_memory(&mut self) {
        if self.worker.memory_mb == 0 {
            self.worker.memory_mb = self.parser.memory_mb;
        }
    }
}

impl Config for DocumentConfig {
    fn pages(&self) -> &str {
        &self.worker.http_listen
    }

    fn check(&self) -> Vec<Problem> {
        let mut problems = [self.worker.check(), self.log.check()].concat();
        for network in &self.sources.allow_networks {
            if let Err(text) = network.parse::<Network>() {
                problems.push(Problem::new("sources.allow_networks", text));
            }
        }
        for (key, value, least) in [
            ("parser.timeout_ms", self.parser.timeout_ms, 100),
            ("parser.memory_mb", self.parser.memory_mb, 64),
            ("parser.recycle_after", u64::from(self.parser.recycle_after), 1),
            ("sources.http_timeout_ms", self.sources.http_timeout_ms, 100),
            ("limits.max_bytes", self.limits.max_bytes, 1),
            ("limits.max_pages", u64::from(self.limits.max_pages), 1),
        ] {
            if value < least {
                problems.push(Problem::new(key, format!("must be at least {least}")));
            }
        }
        problems
    }
}

/// Where documents may come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SourcesConfig {
    /// Folders whose files tasks may name as `file://<path>`; none by default.
    pub roots: Vec<String>,
    /// Whether tasks may name `http://` and `https://` addresses.
    pub allow_http: bool,
    /// Networks (`10.1.0.0/16`, or one address) that may be fetched from although they are not public.
    pub allow_networks: Vec<String>,
    /// Time a fetch from the web may take altogether, in milliseconds.
    pub http_timeout_ms: u64,
    /// Redirects that are followed; each is checked like the first address.
    pub http_max_redirects: u32,
}

impl Default for SourcesConfig {
    fn default() -> Self {
        Self {
            roots: Vec::new(),
            allow_http: true,
            allow_networks: Vec::new(),
            http_timeout_ms: 30_000,
            http_max_redirects: 5,
        }
    }
}

/// The parsing children.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ParserConfig {
    /// Children, and so documents, at once; 0 stands for one a core.
    pub children: usize,
    /// Time parsing one document may take before its child is killed, in milliseconds.
    pub timeout_ms: u64,
    /// Resident memory of one child, in megabytes.
    pub memory_mb: u64,
    /// Documents after which a child is replaced.
    pub recycle_after: u32,
    /// Peak resident memory after which an idle child is replaced, in megabytes.
    pub recycle_mb: u64,
    /// The PDFium library; empty: searched beside the executable, in the cache, and with the system's libraries.
    pub pdfium_library: String,
}

impl Default for ParserConfig {
    fn default() -> Self {
        Self {
            children: 0,
            timeout_ms: 30_000,
            memory_mb: 1024,
            recycle_after: 500,
            recycle_mb: 256,
            pdfium_library: String::new(),
        }
    }
}
