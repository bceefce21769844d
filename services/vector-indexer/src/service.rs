//! The service: collections that follow a log, behind task types.

use std::time::Duration;

use tasklane_runtime::bus::Bus;
use tasklane_runtime::{Worker, process};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::catalogue::Catalogue;
use crate::config::VectorConfig;
use crate::inquiries;
use crate::log::{Follower, Progress};
use crate::meters::Meters;
use crate::qdrant::Engine;
use crate::shelf::{self, Choices, Import, Shelf};
use crate::snapshots::Snapshots;
use crate::tasks::{self, Parts};

/// The service's name; also its pool where the operator names none.
pub const SERVICE: &str = "vector-indexer";
/// What it announces itself as.
const WORKER_TYPE: &str = "vector_indexer";
/// What it can do.
const CAPABILITIES: [&str; 1] = ["vector_indexing"];
/// Searches take less than a millisecond each; those that wait for something cost little.
const SLOTS: u32 = 256;
/// How often collections are measured.
const MEASURE: Duration = Duration::from_secs(2);
/// How long collections may take to bring to disk what is in memory, when the process is told to stop.
const FLUSH: Duration = Duration::from_secs(10);

/// Serves until SIGTERM or SIGINT.
///
/// # Errors
/// Why it cannot start, for people.
pub async fn run(config: VectorConfig) -> Result<(), String> {
    let stop = process::stop_signal().map_err(|e| e.to_string())?;
    let connect = Bus::connect(&config.nats, "tasklane-vector-indexer", Duration::from_secs(60));
    let bus = tokio::select! {
        bus = connect => bus.map_err(|e| e.to_string())?,
        () = stop.cancelled() => return Ok(()),
    };
    serve(bus, config, stop).await
}

/// Serves over a connection until `stop`.
///
/// # Errors
/// Why it cannot start, for people.
pub async fn serve(bus: Bus, config: VectorConfig, stop: CancellationToken) -> Result<(), String> {
    let said = |e: &dyn std::fmt::Display| e.to_string();
    let worker = Worker::new(SERVICE, WORKER_TYPE, &CAPABILITIES).default_slots(SLOTS);
    let meters = Meters::new(worker.metrics());
    let qdrant = Engine::new(&config.qdrant)?;
    let id = worker.id(&config.worker);
    tokio::select! {
        () = bus.await_buckets() => {}
        () = stop.cancelled() => return Ok(()),
    }
    let catalogue = Catalogue::open(&bus).await.map_err(|e| said(&e))?;
    let choices = Choices { growing_rows: config.vectors.growing_rows, threads: config.vectors.threads };
    let shelf = Shelf::new(bus.clone(), catalogue, config.vectors.folder(), choices).map_err(|e| said(&e))?;
    let alive = CancellationToken::new();
    let snapshots = Snapshots::new(shelf.clone(), id.clone(), config.snapshots);
    let (follower, progress) = Follower::new(shelf.clone(), meters.clone(), alive.clone());
    let _inquiries = inquiries::serve(&bus, &shelf, &progress, &id).await.map_err(|e| said(&e))?;
    tokio::select! {
        begun = shelf.settle(Import::Older) => drop(begun.map_err(|e| said(&e))?),
        () = stop.cancelled() => return Ok(()),
    }
    shelf.sweep().map_err(|e| said(&e))?;
    snapshots.sweep_later();
    let following = tokio::spawn(follower.run());
    tokio::select! {
        () = caught_up(progress) => tracing::info!("all of the log is applied"),
        () = stop.cancelled() => {}
    }
    tokio::spawn(shelf::watch(shelf.clone(), alive.clone()));
    tokio::spawn(snapshots.clone().keep(alive.clone()));
    tokio::spawn(measure(shelf.clone(), meters.clone(), alive.clone()));
    let parts = Parts { shelf: shelf.clone(), snapshots, meters, qdrant };
    let ended = worker
        .task(tasks::collections::task_type(parts.clone()))
        .task(tasks::indexing::task_type(parts.clone()))
        .task(tasks::delete::task_type(parts.clone()))
        .task(tasks::search::task_type(parts.clone()))
        .task(tasks::points::task_type(parts.clone()))
        .task(tasks::snapshot::task_type(parts))
        .run(bus, config.worker, stop)
        .await;
    alive.cancel();
    if let Err(e) = following.await {
        tracing::error!("following the log ended: {e}");
    }
    flush(&shelf).await;
    ended.map_err(|e| said(&e))
}

/// Waits until the follower has been at the log's end.
async fn caught_up(mut progress: watch::Receiver<Progress>) {
    if progress.wait_for(|progress| progress.caught_up).await.is_err() {
        // It ends only with the process.
        std::future::pending::<()>().await;
    }
}

/// What is in memory alone comes again from the log; on disk it comes faster.
async fn flush(shelf: &Shelf) {
    let entries = shelf.entries();
    let flushed = tokio::task::spawn_blocking(move || {
        for entry in entries {
            if let Err(e) = entry.collection.flush() {
                tracing::warn!(collection = %entry.name, "what is in memory is not on disk: {e}");
            }
        }
    });
    if tokio::time::timeout(FLUSH, flushed).await.is_err() {
        tracing::warn!("not everything is on disk; it comes again from the log");
    }
}

async fn measure(shelf: Shelf, meters: Meters, alive: CancellationToken) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(MEASURE) => {}
            () = alive.cancelled() => return,
        }
        let entries = shelf.entries();
        for entry in &entries {
            let is = entry.collection.describe();
            entry.set_points(is.points);
            meters.collection(&entry.name, is.points, is.segments.len(), is.memory.total(), is.sequence);
        }
        meters.only(&|name| entries.iter().any(|entry| entry.name == name));
    }
}
