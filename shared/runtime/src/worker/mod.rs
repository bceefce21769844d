//! A worker: what it serves, and its life from start to the last drained task.

mod announce;
mod attempt;
mod hold;
mod lanes;
mod pause;
mod quarantine;
mod settle;
mod shared;
mod supervise;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use serde::{Deserialize, Serialize};
use tasklane_bus::{Bus, BusConfig, BusError};
use tasklane_contract::{streams, v1};
use tasklane_domain::lane;
use tasklane_domain::priority;
use tasklane_domain::retry::Backoff;
use tasklane_telemetry::Metrics;
use tokio_util::sync::CancellationToken;

use crate::cancels;
use crate::config::Problem;
use crate::handler::{Ctx, Handler, Output, Payload, TaskError};
use crate::http::{self, Readiness};
use crate::process::{self, LogConfig};
use shared::{Served, Shared};

/// What every worker lets its operator set. A service's own struct holds it as the section `worker`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WorkerConfig {
    /// The pool it belongs to: replicas of one kind share one. Empty: the service's own name.
    pub pool: String,
    /// Tasks that run at once. 0: as the service thinks best.
    pub slots: u32,
    /// Memory one task may use, in MB; 0: not limited.
    pub memory_mb: u64,
    /// How long a drain may take before running tasks are handed back, in ms.
    pub drain_ms: u64,
    /// How long a worker may be silent about a task, in ms; as the router's `streams.ack_wait_ms`.
    pub ack_wait_ms: u64,
    /// Bytes of a payload that is fetched from the object store.
    pub max_payload_bytes: usize,
    /// Bytes of all fetched payloads at once; more waits.
    pub buffer_bytes: usize,
    /// Where `/metrics`, `/healthz` and `/readyz` listen; port 0: any free one.
    pub http_listen: String,
    /// The first retry waits up to this, in ms; each next one up to twice as long.
    pub retry_base_ms: u64,
    /// No retry waits longer than this, in ms.
    pub retry_cap_ms: u64,
}

impl Default for WorkerConfig {
    fn default() -> Self {
        let backoff = Backoff::default();
        Self {
            pool: String::new(),
            slots: 0,
            memory_mb: 0,
            drain_ms: 25_000,
            ack_wait_ms: 5_000,
            max_payload_bytes: 256 << 20,
            buffer_bytes: 512 << 20,
            http_listen: "127.0.0.1:0".into(),
            retry_base_ms: backoff.base_ms,
            retry_cap_ms: backoff.cap_ms,
        }
    }
}

impl WorkerConfig {
    /// Finds values out of bounds.
    pub fn check(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if !self.pool.is_empty()
            && let Err(e) = tasklane_domain::name::check_pool(&self.pool)
        {
            problems.push(Problem::new("worker.pool", e.to_string()));
        }
        if self.ack_wait_ms < 500 {
            problems.push(Problem::new("worker.ack_wait_ms", "must be at least 500"));
        }
        if self.buffer_bytes < self.max_payload_bytes {
            problems.push(Problem::new("worker.buffer_bytes", "must be at least worker.max_payload_bytes"));
        }
        if self.slots > 10_000 {
            problems.push(Problem::new("worker.slots", "at most 10000"));
        }
        problems
    }
}

/// A task type that a worker serves.
pub struct TaskType {
    info: v1::TaskType,
    handler: Handler,
}

impl TaskType {
    /// A task type with its handler.
    pub fn new<F, Fut>(name: &str, description: &str, handler: F) -> Self
    where
        F: Fn(Ctx, Payload) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Output, TaskError>> + Send + 'static,
    {
        let info = v1::TaskType {
            name: name.to_owned(),
            description: description.to_owned(),
            ..v1::TaskType::default()
        };
        Self { info, handler: Arc::new(move |ctx, payload| Box::pin(handler(ctx, payload))) }
    }

    /// The JSON Schema that the router holds payloads against.
    #[must_use]
    pub fn schema(mut self, schema: &serde_json::Value) -> Self {
        self.info.schema_json = schema.to_string();
        self
    }

    /// What applies where the publisher says nothing.
    #[must_use]
    pub fn rule(mut self, rule: v1::Rule) -> Self {
        self.info.rule = Some(rule);
        self
    }
}

/// A worker before it runs.
pub struct Worker {
    service: String,
    worker_type: String,
    capabilities: Vec<String>,
    default_slots: u32,
    tasks: Vec<TaskType>,
    pages: Router,
    metrics: Metrics,
    /// What tells it from other replicas.
    mark: String,
}

impl Worker {
    /// A worker of a service and type.
    pub fn new(service: &str, worker_type: &str, capabilities: &[&str]) -> Self {
        Self {
            service: service.to_owned(),
            worker_type: worker_type.to_owned(),
            capabilities: capabilities.iter().map(|c| (*c).to_owned()).collect(),
            default_slots: 16,
            tasks: Vec::new(),
            pages: Router::new(),
            metrics: Metrics::new(service),
            mark: uuid::Uuid::now_v7().simple().to_string().split_off(24),
        }
    }

    /// The name under which it will run with this configuration.
    pub fn id(&self, config: &WorkerConfig) -> String {
        format!("{}-{}", self.pool(config), self.mark)
    }

    fn pool(&self, config: &WorkerConfig) -> String {
        if config.pool.is_empty() { self.service.clone() } else { config.pool.clone() }
    }

    /// Slots where the operator set none.
    #[must_use]
    pub fn default_slots(mut self, slots: u32) -> Self {
        self.default_slots = slots;
        self
    }

    /// Serves a task type.
    #[must_use]
    pub fn task(mut self, task: TaskType) -> Self {
        self.tasks.push(task);
        self
    }

    /// The metrics, for the service's own.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Pages of the service's own beside `/metrics`.
    #[must_use]
    pub fn pages(mut self, pages: Router) -> Self {
        self.pages = pages;
        self
    }

    /// Logs, traces, connection, signals: runs the worker as a process until it is told to stop. Returns the exit
    /// code.
    pub async fn main(self, nats: BusConfig, worker: WorkerConfig, log: LogConfig) -> std::process::ExitCode {
        let service = self.service.clone();
        process::main(&service, &log, self.connect_and_run(nats, worker)).await
    }

    async fn connect_and_run(self, nats: BusConfig, worker: WorkerConfig) -> Result<(), WorkerError> {
        let stop = process::stop_signal().map_err(WorkerError::Io)?;
        let name = format!("tasklane-{}", self.service);
        let patience = Duration::from_secs(60);
        let bus = tokio::select! {
            bus = Bus::connect(&nats, &name, patience) => bus?,
            () = stop.cancelled() => return Ok(()),
        };
        self.run(bus, worker, stop).await
    }

    /// Runs until `stop` fires and the drain is over.
    ///
    /// # Errors
    /// Where it cannot start: the HTTP address is taken, or NATS refuses.
    pub async fn run(
        self,
        bus: Bus,
        config: WorkerConfig,
        stop: CancellationToken,
    ) -> Result<(), WorkerError> {
        let ready = Readiness::of(&bus);
        let listen =
            http::serve(&config.http_listen, self.metrics.clone(), ready.clone(), self.pages.clone());
        let address = listen.await.map_err(WorkerError::Io)?;
        let shared = Arc::new(self.into_shared(bus, &config));
        tracing::info!(worker = %shared.worker, pool = %shared.pool, slots = shared.slots, http = %address, "starting");
        let alive = CancellationToken::new();
        let announcing = alive.child_token();
        let start = start(&shared, &alive, &announcing);
        tokio::select! {
            started = start => started?,
            () = stop.cancelled() => { alive.cancel(); return Ok(()) }
        }
        let paused = pause::watch(&shared, &alive).await?;
        ready.set(true);
        tracing::info!(worker = %shared.worker, "ready");
        lanes::run(&shared, &stop, paused).await?;
        ready.set(false);
        announcing.cancel();
        announce::remove(&shared).await;
        drain(&shared, Duration::from_millis(config.drain_ms)).await;
        alive.cancel();
        if let Err(e) = shared.bus.flush().await {
            tracing::warn!(
                "not everything that was said has left; what was in hand comes again elsewhere: {e}"
            );
        }
        tracing::info!(worker = %shared.worker, "stopped");
        Ok(())
    }

    fn into_shared(self, bus: Bus, config: &WorkerConfig) -> Shared {
        let (worker, pool) = (self.id(config), self.pool(config));
        let slots = if config.slots == 0 { self.default_slots } else { config.slots };
        let served: HashMap<_, _> = self
            .tasks
            .into_iter()
            .map(|t| {
                let metrics = self.metrics.task(&t.info.name);
                (t.info.name.clone(), Served { info: t.info, handler: t.handler, metrics })
            })
            .collect();
        Shared::new(
            bus,
            config,
            worker,
            pool,
            self.worker_type,
            self.capabilities,
            slots,
            served,
            self.metrics,
        )
    }
}

/// Announces, so that the router makes the pool's consumers; waits for them; listens for cancellations.
async fn start(
    shared: &Arc<Shared>,
    alive: &CancellationToken,
    announcing: &CancellationToken,
) -> Result<(), WorkerError> {
    shared.bus.await_buckets().await;
    cancels::watch(&shared.bus, Arc::clone(&shared.cancels), alive.clone()).await?;
    hold::keep_alive(shared, alive);
    announce::start(shared, announcing).await?;
    for priority in priority::ALL {
        shared.bus.await_consumer(streams::WORK, &lane::consumer_name(&shared.pool, priority)).await;
    }
    Ok(())
}

/// Waits for what runs; after `patience` it is handed back.
async fn drain(shared: &Arc<Shared>, patience: Duration) {
    if tokio::time::timeout(patience, shared.idle()).await.is_ok() {
        return;
    }
    tracing::warn!(busy = shared.busy(), "the drain takes too long; handing back what still runs");
    shared.hand_back.cancel();
    if tokio::time::timeout(Duration::from_secs(5), shared.idle()).await.is_err() {
        tracing::error!(
            busy = shared.busy(),
            "tasks could not be handed back; they go to another worker by themselves"
        );
    }
}

/// Why a worker cannot run.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// NATS.
    #[error("{code} {0}", code = .0.code())]
    Bus(#[from] BusError),
    /// The HTTP address or the signals.
    #[error("TL9001 {0}")]
    Io(std::io::Error),
}
