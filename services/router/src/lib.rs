//! The router: reads what comes in, works out what it needs, and puts it on the lane of the pool that serves it best.
//! It learns capabilities, task types and schemas from announcements, never from a list in its code.

pub mod api;
pub mod config;
pub mod end;
pub mod fleet;
pub mod gauges;
pub mod intake;
pub mod plan;
pub mod provision;
pub mod put;
pub mod rebalance;
pub mod schema;
pub mod state;
pub mod waiting;
pub mod watch;

use std::sync::Arc;
use std::time::Duration;

use tasklane_bus::{Bus, BusError};
use tasklane_domain::priority;
use tasklane_runtime::http::{self, Readiness};
use tasklane_runtime::{cancels, process};
use tasklane_telemetry::Metrics;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use config::RouterConfig;
use state::Router;

/// Why the router cannot run.
#[derive(Debug, thiserror::Error)]
pub enum RouterError {
    /// NATS.
    #[error("{code} {0}", code = .0.code())]
    Bus(#[from] BusError),
    /// The HTTP address or the signals.
    #[error("TL9001 {0}")]
    Io(#[from] std::io::Error),
}

/// Runs as a process until SIGTERM or SIGINT.
///
/// # Errors
/// Where it cannot start.
pub async fn main(config: RouterConfig) -> Result<(), RouterError> {
    let stop = process::stop_signal()?;
    let connect = Bus::connect(&config.nats, "tasklane-router", Duration::from_secs(60));
    let bus = tokio::select! {
        bus = connect => bus?,
        () = stop.cancelled() => return Ok(()),
    };
    run(bus, config, stop).await
}

/// Runs until `stop`.
///
/// # Errors
/// Where it cannot start.
pub async fn run(bus: Bus, config: RouterConfig, stop: CancellationToken) -> Result<(), RouterError> {
    let metrics = Metrics::new("router");
    let ready = Readiness::of(&bus);
    let address =
        http::serve(&config.http.listen, metrics.clone(), ready.clone(), http::Router::new()).await?;
    let (pending, awaited) = mpsc::channel(20_000);
    let router = Arc::new(Router::new(bus, config, metrics, stop, pending));
    tracing::info!(router = router.id, http = %address, "starting");
    provision::all(&router).await;
    if router.stop.is_cancelled() {
        return Ok(());
    }
    let acknowledging = tokio::spawn(put::acknowledge(awaited));
    cancels::watch(&router.bus, Arc::clone(&router.cancels), router.stop.clone()).await?;
    let ears = listen(&router).await?;
    let _service = api::serve(&router, &ears).await?;
    ready.set(true);
    tracing::info!(router = router.id, "ready");
    intake::run(&router).await?;
    ready.set(false);
    if tokio::time::timeout(Duration::from_secs(5), put::settled(&router)).await.is_err() {
        tracing::warn!("not everything routed was acknowledged; it is routed again and stored once");
    }
    acknowledging.abort();
    if let Err(e) = router.bus.flush().await {
        tracing::warn!("not everything that was said has left; it is routed again and stored once: {e}");
    }
    tracing::info!(router = router.id, "stopped");
    Ok(())
}

/// Everything that runs beside the intake.
async fn listen(router: &Arc<Router>) -> Result<Arc<watch::Ears>, BusError> {
    let ears = Arc::new(watch::Ears::default());
    watch::remember(router, &ears).await?;
    watch::listen(router, &ears).await?;
    tokio::spawn(watch::announce(Arc::clone(router)));
    tokio::spawn(watch::refresh(Arc::clone(router), Arc::clone(&ears)));
    tokio::spawn(gauges::run(Arc::clone(router)));
    for p in priority::ALL {
        let router = Arc::clone(router);
        tokio::spawn(async move {
            if let Err(e) = waiting::run(&router, p).await {
                tracing::error!("tasks that wait for somebody who can do them are not looked after: {e}");
            }
        });
    }
    let (keeper, leader) = (Arc::clone(router), (Arc::clone(router), Arc::clone(&ears)));
    tokio::spawn(async move { provision::keep(&keeper).await });
    tokio::spawn(async move {
        let (router, ears) = leader;
        rebalance::run(&router, || ears.leads(&router)).await;
    });
    Ok(ears)
}
