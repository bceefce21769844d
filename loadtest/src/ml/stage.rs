//! A stack whose only worker is the ml service with one model loaded, and the tasks for it.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use super::tasks::Tasks;
use crate::error::LoadError;
use crate::process;
use crate::stack::{Programs, Stack, of_model};

/// It runs.
pub struct Stage {
    stack: Stack,
    /// What is submitted to it.
    pub tasks: Tasks,
}

impl Stage {
    /// Starts it. It is ready when the model of this store is loaded.
    ///
    /// # Errors
    /// Where a program is missing or does not become ready.
    pub async fn start(programs: &Programs, store: &Path, model: &str) -> Result<Self, LoadError> {
        let settings = of_model(store, &store.join("cache"), model);
        let stack = Stack::with_models(programs, &settings).await?;
        let tasks =
            Tasks::new(stack.connect("loadtest-submit").await?, stack.connect("loadtest-listen").await?);
        Ok(Self { stack, tasks })
    }

    /// CPU time of all of it so far, by process.
    pub fn cpu(&self) -> BTreeMap<&'static str, Duration> {
        let processes = self.stack.processes().into_iter();
        processes.filter_map(|(name, pid)| Some((name, process::cpu(pid)?))).collect()
    }

    /// Resident memory of the ml service, in KiB.
    pub fn resident_kib(&self) -> u64 {
        let mut processes = self.stack.processes().into_iter();
        processes.find(|(name, _)| *name == "ml").and_then(|(_, pid)| process::resident_kib(pid)).unwrap_or(0)
    }

    /// Stops it.
    ///
    /// # Errors
    /// Where a member does not stop when it is told to.
    pub async fn stop(self) -> Result<(), LoadError> {
        self.stack.stop().await
    }
}
