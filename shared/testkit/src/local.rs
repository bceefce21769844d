//! A worker in the test's own process: the real runtime around a handler that the test has in its hands.

use std::time::Duration;

use serde_json::json;
use tasklane_runtime::{Worker, WorkerConfig};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::{Client, wait};

/// A running worker. It drains when it is told to; the test's end ends it in any case.
pub struct LocalWorker {
    stop: CancellationToken,
    running: JoinHandle<()>,
}

impl LocalWorker {
    /// Starts a worker as pool `pool` with so many slots, and waits until the router knows it.
    ///
    /// # Panics
    /// Where it does not start.
    pub async fn start(client: &Client, worker: Worker, pool: &str, slots: u32) -> Self {
        let config = WorkerConfig { pool: pool.to_owned(), slots, ..WorkerConfig::default() };
        let stop = CancellationToken::new();
        let (bus, stopped) = (client.bus.clone(), stop.clone());
        let running = tokio::spawn(async move {
            worker.run(bus, config, stopped).await.unwrap_or_else(|e| panic!("a worker of the test: {e}"));
        });
        wait::until(&format!("the router knows the pool {pool}"), async || {
            let lanes = client.ask("api.lanes", json!({})).await.ok()?;
            let found =
                lanes["lanes"].as_array()?.iter().any(|row| row["pool"] == pool && row["live"] == true);
            (found || running.is_finished()).then_some(())
        })
        .await;
        assert!(!running.is_finished(), "the worker of pool {pool} ended");
        Self { stop, running }
    }

    /// Drains it and waits for its end.
    ///
    /// # Panics
    /// Where it fails, or takes longer than [`wait::PATIENCE`].
    pub async fn stop(self) {
        self.stop.cancel();
        let ended = tokio::time::timeout(wait::PATIENCE + Duration::from_secs(30), self.running).await;
        ended.unwrap_or_else(|_| panic!("a worker does not end")).unwrap_or_else(|e| panic!("{e}"));
    }
}
