//! `/healthz`, `/readyz` and `/metrics`, which every service serves.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

pub use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use tasklane_bus::Bus;
use tasklane_telemetry::Metrics;
use tasklane_telemetry::metrics::{Family, Gauge};
use tokio::net::TcpListener;

/// Whether the service can do its work now. Clones share it.
#[derive(Clone)]
pub struct Readiness {
    said: Arc<AtomicBool>,
    bus: Bus,
}

impl Readiness {
    /// Of a service that needs this connection: not ready yet.
    pub fn of(bus: &Bus) -> Self {
        Self { said: Arc::default(), bus: bus.clone() }
    }

    /// Says so.
    pub fn set(&self, ready: bool) {
        self.said.store(ready, Ordering::Release);
    }

    /// Whether it said so, and NATS is there.
    pub fn get(&self) -> bool {
        self.said.load(Ordering::Acquire) && self.bus.is_connected()
    }
}

/// Serves the three until the process ends; `extra` adds a service's own pages. Returns the address it listens on.
///
/// # Errors
/// Where the address is taken or not ours.
pub async fn serve(
    listen: &str,
    metrics: Metrics,
    ready: Readiness,
    extra: Router,
) -> Result<SocketAddr, std::io::Error> {
    let listener = TcpListener::bind(listen).await.map_err(|e| {
        std::io::Error::new(e.kind(), format!("cannot listen on {listen} (http.listen): {e}"))
    })?;
    let address = listener.local_addr()?;
    let shown =
        Shown { gauge: metrics.gauge("ready", "1: the service can do its work now", []), metrics, ready };
    let ours = Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(page))
        .with_state(shown);
    let app = extra.merge(ours);
    tokio::spawn(async move {
        if let Err(e) = axum::serve(listener, app).await {
            tracing::error!("the HTTP server ended: {e}");
        }
    });
    Ok(address)
}

/// What the pages are made of.
#[derive(Clone)]
struct Shown {
    metrics: Metrics,
    ready: Readiness,
    gauge: Family<Gauge, 0>,
}

async fn readyz(State(shown): State<Shown>) -> impl IntoResponse {
    if shown.ready.get() {
        (StatusCode::OK, "ready\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not ready\n")
    }
}

async fn page(State(shown): State<Shown>) -> impl IntoResponse {
    shown.gauge.with([]).set(shown.ready.get().into());
    ([(header::CONTENT_TYPE, tasklane_telemetry::metrics::CONTENT_TYPE)], shown.metrics.encode())
}
