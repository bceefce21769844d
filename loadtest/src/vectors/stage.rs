//! A stack whose only worker is one vector indexer.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::points::{COLLECTION, result};
use crate::error::LoadError;
use crate::ml::tasks::{Round, Tasks};
use crate::process;
use crate::stack::{Programs, Stack};

/// Segments become fewer, and graphs are built, for no longer than that.
const SETTLES: Duration = Duration::from_secs(600);
/// So long it must do nothing: a collection counts as quiet after two seconds.
const IDLE: u32 = 4;
/// CPU time within a second that is nothing.
const NOTHING: Duration = Duration::from_millis(50);

/// It runs.
pub struct Stage {
    stack: Stack,
    /// What is submitted to it.
    pub tasks: Tasks,
    _folder: TempDir,
}

impl Stage {
    /// Starts it.
    ///
    /// # Errors
    /// Where a program is missing or does not become ready.
    pub async fn start(programs: &Programs) -> Result<Self, LoadError> {
        let folder = tempfile::tempdir().map_err(LoadError::io("make a folder"))?;
        let settings = [("TASKLANE_VECTORS_FOLDER", folder.path().display().to_string())];
        let stack = Stack::with_vectors(programs, &settings).await?;
        let tasks =
            Tasks::new(stack.connect("loadtest-submit").await?, stack.connect("loadtest-listen").await?);
        Ok(Self { stack, tasks, _folder: folder })
    }

    /// One task; its result.
    ///
    /// # Errors
    /// Where it fails.
    pub async fn ask(&self, task_type: &str, payload: &Value) -> Result<Value, LoadError> {
        let payloads = [Bytes::from(payload.to_string())];
        let done = self.tasks.run(&Round { keep: true, ..Round::of(task_type, &payloads, 1) }).await?;
        result(done.records.first().map_or(&[], |record| record))
    }

    /// Waits until all points are there and nothing is built or merged any more. Returns the collection's description.
    ///
    /// # Errors
    /// Where that takes too long.
    pub async fn settle(&self, points: usize) -> Result<Value, LoadError> {
        let begun = Instant::now();
        let (mut idle, mut before) = (0, self.indexer());
        while begun.elapsed() < SETTLES {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let now = self.indexer();
            idle = if now - before < NOTHING { idle + 1 } else { 0 };
            before = now;
            if idle >= IDLE {
                let wanted = json!({"action": "describe", "collection": COLLECTION});
                let described = self.ask("vector_collections", &wanted).await?;
                if described["points"] == points {
                    return Ok(described);
                }
                idle = 0;
            }
        }
        Err(LoadError::Stack(format!("the collection did not come to rest within {SETTLES:?}")))
    }

    /// CPU time of the vector indexer so far.
    pub fn indexer(&self) -> Duration {
        self.cpu().remove("vector-indexer").unwrap_or_default()
    }

    /// CPU time of all of it so far, by process.
    pub fn cpu(&self) -> BTreeMap<&'static str, Duration> {
        let processes = self.stack.processes().into_iter().chain([("loadtest", std::process::id())]);
        processes.filter_map(|(name, pid)| Some((name, process::cpu(pid)?))).collect()
    }

    /// Resident memory of the vector indexer, in KiB.
    pub fn resident_kib(&self) -> u64 {
        let mut processes = self.stack.processes().into_iter();
        processes
            .find(|(name, _)| *name == "vector-indexer")
            .and_then(|(_, pid)| process::resident_kib(pid))
            .unwrap_or(0)
    }

    /// Stops it.
    ///
    /// # Errors
    /// Where a member does not stop when it is told to.
    pub async fn stop(self) -> Result<(), LoadError> {
        self.stack.stop().await
    }
}
