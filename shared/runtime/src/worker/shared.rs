//! What all parts of a running worker share.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use tasklane_bus::Bus;
use tasklane_contract::v1;
use tasklane_domain::retry::Backoff;
use tasklane_telemetry::metrics::Gauge;
use tasklane_telemetry::{Metrics, TaskMetrics};
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;

use super::WorkerConfig;
use super::hold::Holds;
use super::quarantine::Quarantine;
use crate::cancels::Cancels;
use crate::handler::Handler;
use crate::measure::Measurements;

/// A task type as this worker serves it.
pub(crate) struct Served {
    pub info: v1::TaskType,
    pub handler: Handler,
    pub metrics: Arc<TaskMetrics>,
}

/// The worker's parts.
pub(crate) struct Shared {
    pub bus: Bus,
    pub worker: Arc<str>,
    pub pool: String,
    pub worker_type: String,
    pub capabilities: Vec<String>,
    pub slots: u32,
    pub memory_mb: u64,
    pub served: HashMap<String, Served>,
    pub metrics: Metrics,
    pub measured: Measurements,
    pub cancels: Arc<Cancels>,
    pub holds: Holds,
    pub backoff: Backoff,
    pub ack_wait: Duration,
    pub max_payload: usize,
    /// Bytes that fetched payloads may take together, in KiB.
    pub buffer: Arc<Semaphore>,
    /// Who may run beside whom.
    pub quarantine: Quarantine,
    /// Fires when a drain has run out of patience.
    pub hand_back: CancellationToken,
    pub finished: AtomicU64,
    pub started_at_us: i64,
    busy: AtomicU32,
    pub freed: Notify,
    busy_gauge: Gauge,
}

impl Shared {
    #[expect(clippy::too_many_arguments, reason = "it is the one place where the parts come together")]
    pub fn new(
        bus: Bus,
        config: &WorkerConfig,
        worker: String,
        pool: String,
        worker_type: String,
        capabilities: Vec<String>,
        slots: u32,
        served: HashMap<String, Served>,
        metrics: Metrics,
    ) -> Self {
        metrics.slots_total().set(i64::from(slots));
        Self {
            worker: worker.into(),
            backoff: Backoff {
                base_ms: config.retry_base_ms,
                cap_ms: config.retry_cap_ms,
                ..Backoff::default()
            },
            ack_wait: Duration::from_millis(config.ack_wait_ms),
            max_payload: config.max_payload_bytes,
            buffer: Arc::new(Semaphore::new((config.buffer_bytes / 1024).min(Semaphore::MAX_PERMITS))),
            memory_mb: config.memory_mb,
            busy_gauge: metrics.slots_busy(),
            bus,
            pool,
            worker_type,
            capabilities,
            slots,
            served,
            metrics,
            measured: Measurements::default(),
            cancels: Arc::default(),
            holds: Holds::default(),
            quarantine: Quarantine::default(),
            hand_back: CancellationToken::new(),
            finished: AtomicU64::new(0),
            started_at_us: tasklane_contract::time::now_us(),
            busy: AtomicU32::new(0),
            freed: Notify::new(),
        }
    }

    /// Tasks that run now.
    pub fn busy(&self) -> u32 {
        self.busy.load(Ordering::Acquire)
    }

    /// Takes a slot; it is free again when the guard is dropped.
    pub fn take_slot(self: &Arc<Self>) -> Slot {
        self.busy.fetch_add(1, Ordering::AcqRel);
        self.busy_gauge.inc();
        Slot(Arc::clone(self))
    }

    /// Waits until nothing runs.
    pub async fn idle(&self) {
        loop {
            let freed = self.freed.notified();
            if self.busy() == 0 {
                return;
            }
            freed.await;
        }
    }
}

/// A slot in use.
pub(crate) struct Slot(Arc<Shared>);

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.busy.fetch_sub(1, Ordering::AcqRel);
        self.0.busy_gauge.dec();
        self.0.finished.fetch_add(1, Ordering::Relaxed);
        self.0.freed.notify_one();
    }
}
