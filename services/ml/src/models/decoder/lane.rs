//! The thread that owns a decoder. Texts join and leave between its steps. It ends when the last handle is dropped and
//! the last text is written.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, TryRecvError, channel};
use std::time::Duration;

use tokio::time::Instant;

use super::engine::{Engine, Job};
use crate::batch::meters::OfModel;
use crate::error::MlError;

/// A model that nobody has asked for so long gives its memory for keys and values back.
const REST: Duration = Duration::from_secs(30);

/// What a lane does, in numbers that only grow, but for the first three.
#[derive(Debug, Default)]
pub struct Figures {
    /// Texts that wait.
    pub waiting: AtomicUsize,
    /// Texts that are being written.
    pub running: AtomicUsize,
    /// Bytes held for keys and values.
    pub held: AtomicU64,
    /// Steps computed.
    pub steps: AtomicU64,
    /// Texts computed in all steps together: divided by `steps`, how many shared one.
    pub shared: AtomicU64,
    /// Prompt tokens read.
    pub read: AtomicU64,
    /// Tokens written.
    pub written: AtomicU64,
}

/// The way to a decoder's thread.
pub struct Lane {
    name: String,
    jobs: Sender<Job>,
    figures: Arc<Figures>,
    meters: OfModel,
    most: usize,
}

impl Lane {
    /// Starts the thread. At most `most` texts wait.
    ///
    /// # Errors
    /// Where there are no more threads.
    pub fn start(name: &str, engine: Engine, most: usize, meters: OfModel) -> Result<Self, MlError> {
        let (jobs, came) = channel();
        let figures = Arc::new(Figures::default());
        let (seen, told) = (Arc::clone(&figures), meters.clone());
        std::thread::Builder::new()
            .name(format!("decoder {name}"))
            .spawn(move || run(engine, &came, &seen, &told))
            .map_err(|e| MlError::Internal(format!("no thread for the model `{name}`: {e}")))?;
        Ok(Self { name: name.to_owned(), jobs, figures, meters, most })
    }

    /// Hands a text over.
    ///
    /// # Errors
    /// Where too many wait, or the thread is gone.
    pub fn add(&self, job: Job) -> Result<(), MlError> {
        if self.figures.waiting.fetch_add(1, Ordering::Relaxed) >= self.most {
            self.figures.waiting.fetch_sub(1, Ordering::Relaxed);
            return Err(MlError::Crowded(self.name.clone()));
        }
        self.jobs.send(job).map_err(|_| MlError::Gone(self.name.clone()))?;
        self.meters.waiting(0, 1);
        Ok(())
    }

    /// What it does, in numbers.
    pub fn figures(&self) -> &Arc<Figures> {
        &self.figures
    }
}

fn run(mut engine: Engine, jobs: &Receiver<Job>, figures: &Figures, meters: &OfModel) {
    // Of those counted as waiting, who is still on the way here.
    let mut known = 0;
    while take(&mut engine, jobs, &mut known) {
        let began = Instant::now();
        let did = engine.step(began);
        let (waiting, running) = engine.load();
        meters.waiting(known, waiting);
        engine.joined().for_each(|wait| meters.waited(wait));
        if did.sequences > 0 {
            meters.ran(did.sequences, did.read + did.written, 0, began.elapsed());
        }
        figures.waiting.fetch_sub(known - waiting, Ordering::Relaxed);
        known = waiting;
        figures.running.store(running, Ordering::Relaxed);
        figures.held.store(engine.held(), Ordering::Relaxed);
        figures.steps.fetch_add(u64::from(did.sequences > 0), Ordering::Relaxed);
        figures.shared.fetch_add(did.sequences as u64, Ordering::Relaxed);
        figures.read.fetch_add(did.read as u64, Ordering::Relaxed);
        figures.written.fetch_add(did.written as u64, Ordering::Relaxed);
    }
}

/// Takes what came; waits for the first where nothing else is to be done. False where nothing comes any more.
fn take(engine: &mut Engine, jobs: &Receiver<Job>, known: &mut usize) -> bool {
    let mut add = |engine: &mut Engine, job| {
        engine.add(job);
        *known += 1;
    };
    if engine.load() == (0, 0) {
        let first = jobs.recv_timeout(REST).or_else(|e| match e {
            RecvTimeoutError::Timeout => {
                engine.rest();
                jobs.recv().map_err(|_| ())
            }
            RecvTimeoutError::Disconnected => Err(()),
        });
        match first {
            Ok(job) => add(engine, job),
            Err(()) => return false,
        }
    }
    loop {
        match jobs.try_recv() {
            Ok(job) => add(engine, job),
            Err(TryRecvError::Empty) => return true,
            Err(TryRecvError::Disconnected) => return engine.load() != (0, 0),
        }
    }
}
