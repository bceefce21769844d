//! The children that wait for documents: as many as may work at once, replaced as they die or grow old.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Semaphore, mpsc, oneshot};

use super::frame::{Header, Report, Usage};
use super::worker::{Attempt, Worker};
use crate::error::DocError;
use crate::job::Job;
use crate::limits::Limits;
use crate::model::Document;

/// How children are run.
#[derive(Debug, Clone)]
pub struct SandboxConfig {
    /// The binary that becomes a child when its first argument is `child::FLAG`.
    pub program: PathBuf,
    /// Children, and so documents, at once; at least 1.
    pub children: usize,
    /// Wall time a document may take, in milliseconds.
    pub timeout_ms: u64,
    /// Resident memory a child may take, in megabytes.
    pub memory_mb: u64,
    /// Documents after which a child is replaced.
    pub recycle_after: u32,
    /// Peak resident memory, in megabytes, after which an idle child is replaced.
    pub recycle_mb: u64,
    /// The PDF library; empty where PDFs cannot be read.
    pub pdfium_library: PathBuf,
}

/// The pool. Cheap to clone; the children end with its last clone.
#[derive(Clone)]
pub struct Sandbox {
    shared: Arc<Shared>,
}

struct Shared {
    config: SandboxConfig,
    turns: Semaphore,
    idle: Mutex<Vec<Worker>>,
    starter: mpsc::UnboundedSender<oneshot::Sender<io::Result<Worker>>>,
}

impl Sandbox {
    /// Starts the pool and its children. Call it inside a tokio runtime.
    ///
    /// # Errors
    /// `Sandbox` where no child can be started.
    pub async fn start(config: SandboxConfig) -> Result<Self, DocError> {
        let (starter, orders) = mpsc::unbounded_channel();
        spawn_starter(config.clone(), orders).map_err(|error| failed(&error))?;
        let children = config.children.max(1);
        let idle = Mutex::new(Vec::with_capacity(children));
        let shared = Shared { config, turns: Semaphore::new(children), idle, starter };
        let sandbox = Self { shared: Arc::new(shared) };
        for _ in 0..children {
            let worker = sandbox.shared.order().await?;
            sandbox.shared.put_back(worker);
        }
        Ok(sandbox)
    }

    /// How many documents are worked on at once.
    pub fn children(&self) -> usize {
        self.shared.config.children.max(1)
    }

    /// Has a child read `body` into a `Document`.
    ///
    /// # Errors
    /// As [`Sandbox::run`].
    pub async fn read(&self, body: &[u8], limits: &Limits) -> Result<(Document, Usage), DocError> {
        let report = self.run(&Job::Read, body, limits).await?;
        let document = serde_json::from_str(report.result?.get()).map_err(|error| failed(&error))?;
        Ok((document, report.usage))
    }

    /// Has a child do `job` with `body` within `limits`, waiting for a free one first.
    ///
    /// # Errors
    /// What the parser reports of the document; `TimedOut`, `OutOfMemory` or `Crashed` where the child did not
    /// survive it; `Sandbox` where no child can be had.
    pub async fn run(&self, job: &Job, body: &[u8], limits: &Limits) -> Result<Report, DocError> {
        let shared = &self.shared;
        if body.len() as u64 > limits.max_bytes {
            return Err(DocError::TooLarge { what: "the document".into(), limit: limits.max_bytes });
        }
        let _turn = shared.turns.acquire().await.map_err(|error| failed(&error))?;
        let waiting = shared.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut worker = match waiting {
            Some(worker) => worker,
            None => shared.order().await?,
        };
        let cpu_seconds = shared.config.timeout_ms.div_ceil(1000) + 1;
        let header = Header { job: job.clone(), limits: limits.clone(), cpu_seconds };
        match worker.parse(&shared.config, &header, body).await {
            Attempt::Answered(report) => {
                if shared.is_worn(&worker) {
                    self.replace();
                } else {
                    shared.put_back(worker);
                }
                Ok(report)
            }
            Attempt::Died(error) => {
                self.replace();
                Err(error)
            }
        }
    }

    /// Starts the next child early, so that the next document need not wait for it.
    fn replace(&self) {
        let shared = Arc::clone(&self.shared);
        tokio::spawn(async move {
            match shared.order().await {
                Ok(worker) => shared.put_back(worker),
                // The next document tries again, and reports it.
                Err(error) => tracing::warn!(%error, "a parsing child could not be replaced"),
            }
        });
    }
}

impl Shared {
    async fn order(&self) -> Result<Worker, DocError> {
        let (reply, started) = oneshot::channel();
        self.starter.send(reply).map_err(|error| failed(&error))?;
        started.await.map_err(|error| failed(&error))?.map_err(|error| failed(&error))
    }

    fn put_back(&self, worker: Worker) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        // A document that came before its child's replacement started one itself.
        if idle.len() < self.config.children.max(1) {
            idle.push(worker);
        }
    }

    fn is_worn(&self, worker: &Worker) -> bool {
        worker.served >= self.config.recycle_after || worker.peak_rss_kb >= self.config.recycle_mb << 10
    }
}

/// Children are started by one thread that lives as long as the pool: the kernel delivers a child's death signal
/// when the *thread* that started it ends, and threads of a runtime may come and go.
fn spawn_starter(
    config: SandboxConfig,
    mut orders: mpsc::UnboundedReceiver<oneshot::Sender<io::Result<Worker>>>,
) -> io::Result<()> {
    let runtime = tokio::runtime::Handle::current();
    std::thread::Builder::new().name("parse-starter".into()).spawn(move || {
        let _entered = runtime.enter();
        while let Some(reply) = orders.blocking_recv() {
            // Where nobody waits any more, the worker comes back and is dropped, which kills it.
            drop(reply.send(Worker::start(&config)));
        }
    })?;
    Ok(())
}

fn failed(error: &impl ToString) -> DocError {
    DocError::Sandbox { reason: error.to_string() }
}
