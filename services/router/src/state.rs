//! What all parts of a running router share.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tasklane_bus::publish::Sent;
use tasklane_bus::{Bus, Delivery};
use tasklane_contract::streams::Policy;
use tasklane_contract::submission::Limits;
use tasklane_runtime::cancels::Cancels;
use tasklane_telemetry::Metrics;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::config::RouterConfig;
use crate::plan::Planner;

/// Tasks that end in the router at once; more waits, so that a flood of bad submissions cannot swell it.
const ENDINGS: usize = 256;

/// What the acknowledging task is given.
#[expect(
    clippy::large_enum_variant,
    reason = "almost every one is a message; a box would cost each an allocation"
)]
pub enum Pending {
    /// A routed message that is not stored yet, and the delivery that it was made of.
    Routed(Sent, Delivery),
    /// Everything given before this is settled when it is answered.
    Settled(oneshot::Sender<()>),
}

/// The router's parts.
pub struct Router {
    /// NATS.
    pub bus: Bus,
    /// As configured.
    pub config: RouterConfig,
    /// The bounds of a submission.
    pub limits: Limits,
    /// The streams' definition.
    pub policy: Policy,
    /// Counted and measured.
    pub metrics: Metrics,
    /// Which tasks are cancelled.
    pub cancels: Arc<Cancels>,
    /// This router among several.
    pub id: String,
    /// Fires at the end.
    pub stop: CancellationToken,
    /// Routed messages go here to be acknowledged.
    pub pending: mpsc::Sender<Pending>,
    /// Bounds what ends here at once.
    pub endings: Arc<Semaphore>,
    planner: Mutex<Planner>,
}

impl Router {
    /// A router that knows nothing of the fleet yet.
    pub fn new(
        bus: Bus,
        config: RouterConfig,
        metrics: Metrics,
        stop: CancellationToken,
        pending: mpsc::Sender<Pending>,
    ) -> Self {
        let max_delay_ms = config.edge.max_delay_hours * 3_600_000;
        let planner = Planner::new(config.weights, config.defaults, max_delay_ms);
        let id = uuid::Uuid::now_v7().simple().to_string();
        Self {
            limits: config.edge.limits(),
            policy: config.streams.policy(),
            id: id[id.len() - 8..].to_owned(),
            cancels: Arc::default(),
            endings: Arc::new(Semaphore::new(ENDINGS)),
            planner: Mutex::new(planner),
            bus,
            config,
            metrics,
            stop,
            pending,
        }
    }

    /// The planner. Never held over an await.
    pub fn planner(&self) -> MutexGuard<'_, Planner> {
        self.planner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
