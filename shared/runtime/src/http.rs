//! `/healthz`, `/readyz` and `/metrics`, which every service serves.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

pub use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use tasklane_telemetry::Metrics;
use tokio::net::TcpListener;

/// Whether the service can do its work now. Clones share it.
#[derive(Clone, Default)]
pub struct Readiness(Arc<AtomicBool>);

impl Readiness {
    /// Says so.
    pub fn set(&self, ready: bool) {
        self.0.store(ready, Ordering::Release);
    }

    /// Asks.
    pub fn get(&self) -> bool {
        self.0.load(Ordering::Acquire)
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
    let app = extra
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(move || async move { readyz(&ready) }))
        .route("/metrics", get(move || async move { page(&metrics) }));
    tokio::spawn(async move {
        if let Err(e) = axum::serve(listener, app).await {
            tracing::error!("the HTTP server ended: {e}");
        }
    });
    Ok(address)
}

fn readyz(ready: &Readiness) -> impl IntoResponse + use<> {
    if ready.get() { (StatusCode::OK, "ready\n") } else { (StatusCode::SERVICE_UNAVAILABLE, "not ready\n") }
}

fn page(metrics: &Metrics) -> impl IntoResponse + use<> {
    ([(header::CONTENT_TYPE, tasklane_telemetry::metrics::CONTENT_TYPE)], metrics.encode())
}
