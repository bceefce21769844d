//! What all measurements stand on: a stack with both ends of the load connected, warmed up, and its processes watched.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::error::LoadError;
use crate::floor::Floor;
use crate::load::Ends;
use crate::marks::Marks;
use crate::path::Path;
use crate::process;
use crate::stack::{Programs, Stack};

/// Tasks before the first that counts: connections, caches, and the router's picture of the fleet.
const WARM_UP: usize = 2_000;

/// CPU time by process.
type Cpu = BTreeMap<&'static str, Duration>;

/// A stack to measure.
pub struct Bench {
    stack: Stack,
    /// Both ends of the load.
    pub ends: Ends,
    floors: Vec<Floor>,
}

/// One measured round.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Round {
    /// What was measured.
    pub path: &'static str,
    /// From the first submission to the last result.
    pub tasks_per_s: f64,
    /// CPU time per task in microseconds, by process.
    pub cpu_us: BTreeMap<&'static str, f64>,
}

impl Bench {
    /// Starts a stack, or takes the one at `nats`.
    ///
    /// # Errors
    /// Where it does not start.
    pub async fn start(
        programs: &Programs,
        nats: Option<&str>,
        environment: &[(&str, String)],
    ) -> Result<Self, LoadError> {
        let stack = match nats {
            Some(url) => Stack::running(url),
            None => Stack::start(programs, environment).await?,
        };
        let ends = Ends {
            submit: stack.connect("loadtest-submit").await?,
            listen: stack.connect("loadtest-listen").await?,
        };
        let bench = Self { stack, ends, floors: Vec::new() };
        bench.ends.closed(Path::Product, &Marks::fresh(0), WARM_UP, 500).await?;
        Ok(bench)
    }

    /// Starts the floors beside the product, on connections of their own.
    ///
    /// # Errors
    /// Where NATS refuses.
    pub async fn with_floors(mut self, paths: &[Path]) -> Result<Self, LoadError> {
        for path in paths {
            let (relay, worker) =
                (self.stack.connect("floor-relay").await?, self.stack.connect("floor-worker").await?);
            self.floors.push(Floor::start(*path, &self.ends.listen, relay, worker).await?);
            self.ends.closed(*path, &Marks::fresh(0), WARM_UP, 500).await?;
        }
        Ok(self)
    }

    /// One round as fast as it goes.
    ///
    /// # Errors
    /// Where a task is lost, doubled or failed.
    pub async fn round(
        &self,
        path: Path,
        marks: &Marks,
        tasks: usize,
        in_flight: usize,
    ) -> Result<Round, LoadError> {
        let before = self.cpu();
        let took = self.ends.closed(path, marks, tasks, in_flight).await?;
        let after = self.cpu();
        let per_task = |name: &&'static str| {
            let spent = after.get(name)?.saturating_sub(*before.get(name)?);
            Some((*name, spent.as_secs_f64() * 1e6 / tasks as f64))
        };
        Ok(Round {
            path: path.name(),
            tasks_per_s: tasks as f64 / took.as_secs_f64(),
            cpu_us: before.keys().filter_map(per_task).collect(),
        })
    }

    fn cpu(&self) -> Cpu {
        let mut all = self.stack.processes();
        all.push(("loadtest", std::process::id()));
        all.into_iter().filter_map(|(name, pid)| Some((name, process::cpu(pid)?))).collect()
    }

    /// Resident memory by process, in KiB.
    pub fn resident(&self) -> BTreeMap<&'static str, u64> {
        self.stack
            .processes()
            .into_iter()
            .filter_map(|(name, pid)| Some((name, process::resident_kib(pid)?)))
            .collect()
    }

    /// Removes the floors and stops the stack.
    ///
    /// # Errors
    /// Where something does not stop.
    pub async fn stop(self) -> Result<(), LoadError> {
        for floor in self.floors {
            floor.remove(&self.ends.listen).await?;
        }
        self.stack.stop().await
    }
}
