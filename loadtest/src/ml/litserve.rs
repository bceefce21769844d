//! LitServe beside it, with the same model on sentence-transformers. While others are measured it stands still: its
//! processes look for work all the time.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::json;
use tokio::process::Child;

use super::kit::Kit;
use crate::error::LoadError;
use crate::models::client::{Client, Request};
use crate::process;
use crate::stack::{await_http, free_port};

/// How it may be set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Setting {
    /// Texts that share a computation, at most.
    pub batch: usize,
    /// Processes that compute.
    pub workers: usize,
    /// Threads of each.
    pub threads: usize,
}

/// A LitServe that runs.
pub struct Litserve {
    child: Child,
    address: SocketAddr,
    /// How it is set.
    pub setting: Setting,
}

impl Drop for Litserve {
    fn drop(&mut self) {
        // Its workers are processes of their own, and would go on.
        self.signal(Signal::KILL);
    }
}

impl Litserve {
    /// Starts it and waits until it answers.
    ///
    /// # Errors
    /// Where it does not.
    pub async fn start(kit: &Kit, setting: Setting) -> Result<Self, LoadError> {
        let port = free_port().await?;
        let mut command = kit.script("serve.py");
        command.args(
            [usize::from(port), setting.batch, setting.workers, setting.threads].map(|n| n.to_string()),
        );
        // It talks of its start.
        command.process_group(0).stdout(std::process::Stdio::null());
        let child = command.spawn().map_err(LoadError::io("start LitServe"))?;
        let mut this = Self { child, address: SocketAddr::from(([127, 0, 0, 1], port)), setting };
        await_http(vec![("LitServe", &mut this.child)], port, "/health").await?;
        Ok(this)
    }

    /// Stands still, or goes on.
    pub fn pause(&self, still: bool) {
        self.signal(if still { Signal::STOP } else { Signal::CONT });
    }

    /// CPU time that its processes used so far.
    pub fn cpu(&self) -> Duration {
        self.child.id().and_then(process::tree_cpu).unwrap_or_default()
    }

    fn signal(&self, signal: Signal) {
        let group = self.child.id().and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?));
        if let Some(Err(e)) = group.map(|group| kill_process_group(group, signal)) {
            eprintln!("LitServe was not told {signal:?}: {e}");
        }
    }

    /// All texts once, one a request, from so many clients at once.
    ///
    /// # Errors
    /// Where one is not answered.
    pub async fn run(&self, texts: &[String], clients: usize) -> Result<Duration, LoadError> {
        let requests = texts.iter().map(|text| Request::post("/predict", &json!({"input": text})));
        let left: Arc<Mutex<VecDeque<Request>>> = Arc::new(Mutex::new(requests.collect()));
        let begun = Instant::now();
        let callers: Vec<_> = (0..clients)
            .map(|_| {
                let (left, address) = (Arc::clone(&left), self.address);
                tokio::spawn(async move {
                    let mut client = Client::of(address);
                    let next = || left.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
                    while let Some(request) = next() {
                        let answer = client.call(&request).await?;
                        if answer.status != 200 {
                            return Err(std::io::Error::other(format!("status {}", answer.status)));
                        }
                    }
                    Ok::<(), std::io::Error>(())
                })
            })
            .collect();
        for caller in callers {
            let ended = caller.await.map_err(|e| LoadError::Stack(e.to_string()))?;
            ended.map_err(LoadError::io("a request to LitServe"))?;
        }
        Ok(begun.elapsed())
    }
}
