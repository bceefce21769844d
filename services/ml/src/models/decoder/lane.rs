//! The thread that owns a decoder. Texts join and leave between its steps. It ends when the last handle is dropped and
//! the last text is written.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, TryRecvError, channel};
use std::time::Duration;

use tokio::time::Instant;

use super::engine::{Engine, Job};
use crate::batch::meters::OfModel;
use crate::error::MlError;

/// A model that nobody has asked for so long gives its memory for keys and values back.
const REST: Duration = Duration::from_secs(30);

/// The way to a decoder's thread.
pub struct Lane {
    name: String,
    jobs: Sender<Job>,
    /// Texts that wait.
    waiting: Arc<AtomicUsize>,
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
        let waiting = Arc::new(AtomicUsize::new(0));
        let (seen, told) = (Arc::clone(&waiting), meters.clone());
        std::thread::Builder::new()
            .name(format!("decoder {name}"))
            .spawn(move || run(engine, &came, &seen, &told))
            .map_err(|e| MlError::Internal(format!("no thread for the model `{name}`: {e}")))?;
        Ok(Self { name: name.to_owned(), jobs, waiting, meters, most })
    }

    /// Hands a text over.
    ///
    /// # Errors
    /// Where too many wait, or the thread is gone.
    pub fn add(&self, job: Job) -> Result<(), MlError> {
        if self.waiting.fetch_add(1, Ordering::Relaxed) >= self.most {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            return Err(MlError::Crowded(self.name.clone()));
        }
        self.jobs.send(job).map_err(|_| MlError::Gone(self.name.clone()))?;
        self.meters.waiting(0, 1);
        Ok(())
    }
}

fn run(mut engine: Engine, jobs: &Receiver<Job>, counted: &AtomicUsize, meters: &OfModel) {
    // Of those counted as waiting, who is still on the way here.
    let mut known = 0;
    while take(&mut engine, jobs, &mut known) {
        let began = Instant::now();
        let did = engine.step(began);
        let (waiting, _) = engine.load();
        meters.waiting(known, waiting);
        engine.joined().for_each(|wait| meters.waited(wait));
        if did.sequences > 0 {
            meters.ran(did.sequences, did.read + did.written, 0, began.elapsed());
        }
        counted.fetch_sub(known - waiting, Ordering::Relaxed);
        known = waiting;
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
