//! The threads that own a model, and what waits for them. A thread takes the next batch as soon as it is free; a batch that
//! fails is run again text by text, so that a bad one fails alone. The threads end when the last lane is dropped.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::meters::OfModel;
use super::plan::{self, Limits, Plan, Waiting};
use crate::config::BatchConfig;
use crate::error::MlError;
use crate::models::Urgency;
use crate::torch::guard;

/// What a thread of a lane runs.
pub trait Runner: Send + 'static {
    /// What is asked.
    type Item: Send + 'static;
    /// What is answered.
    type Answer: Send + 'static;

    /// Computes answers of all items, in their order. `alone`: no other thread of the lane has anything to do.
    ///
    /// # Errors
    /// Where the computation failed; with several items they are then tried one by one.
    fn run(&mut self, items: &[Self::Item], alone: bool) -> Result<Vec<Self::Answer>, MlError>;
}

/// An answer that comes.
pub type Coming<A> = oneshot::Receiver<Result<A, MlError>>;

struct Entry<R: Runner> {
    item: R::Item,
    waiting: Waiting,
    answer: oneshot::Sender<Result<R::Answer, MlError>>,
}

struct Queue<R: Runner> {
    waiting: Vec<Entry<R>>,
    /// How many of them the metrics know.
    told: usize,
    /// Threads that have nothing to do, whoever was busy last at the end: its core is awake and has the weights in its caches.
    idle: Vec<usize>,
    closed: bool,
}

struct Shared<R: Runner> {
    model: String,
    queue: Mutex<Queue<R>>,
    /// One for each thread: which of them wakes is ours to say.
    changed: Vec<Condvar>,
    limits: Limits,
    max_waiting: usize,
    meters: OfModel,
}

/// The way to a model's threads. Cheap to clone.
pub struct Lane<R: Runner>(Arc<Door<R>>);

/// Closes when the last lane is dropped.
struct Door<R: Runner>(Arc<Shared<R>>);

impl<R: Runner> Clone for Lane<R> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<R: Runner> Drop for Door<R> {
    fn drop(&mut self) {
        self.0.queue().closed = true;
        self.0.changed.iter().for_each(Condvar::notify_one);
    }
}

impl<R: Runner> Lane<R> {
    /// Starts a thread for each runner. `padded`: a batch is filled up to its longest text.
    ///
    /// # Errors
    /// Where the system starts no thread.
    pub fn start(
        model: &str,
        runners: Vec<R>,
        batch: &BatchConfig,
        padded: bool,
        meters: OfModel,
    ) -> Result<Self, MlError> {
        let limits = Limits {
            max_tokens: batch.max_tokens,
            max_items: batch.max_items,
            max_wait: Duration::from_millis(batch.max_wait_ms),
            padded,
            idle: 1,
        };
        let threads = runners.len();
        let queue = Queue { waiting: Vec::new(), told: 0, idle: (0..threads).collect(), closed: false };
        let shared = Arc::new(Shared {
            model: model.to_owned(),
            queue: Mutex::new(queue),
            changed: (0..threads).map(|_| Condvar::new()).collect(),
            limits,
            max_waiting: batch.max_waiting,
            meters,
        });
        let lane = Self(Arc::new(Door(Arc::clone(&shared))));
        for (me, mut runner) in runners.into_iter().enumerate() {
            let shared = Arc::clone(&shared);
            std::thread::Builder::new()
                .name(format!("model {model}"))
                .spawn(move || shared.serve(me, &mut runner))
                .map_err(|e| MlError::Internal(format!("no thread for the model `{model}`: {e}")))?;
        }
        Ok(lane)
    }

    /// Asks for all of these, or for none: each item with its tokens. Answers come in the same order.
    ///
    /// # Errors
    /// [`MlError::Crowded`] where too much waits already.
    pub fn ask(
        &self,
        items: Vec<(R::Item, usize)>,
        urgency: Urgency,
    ) -> Result<Vec<Coming<R::Answer>>, MlError> {
        let shared = &self.0.0;
        let mut queue = shared.queue();
        if queue.waiting.len() + items.len() > shared.max_waiting {
            queue.forget_the_gone();
        }
        if queue.waiting.len() + items.len() > shared.max_waiting {
            return Err(MlError::Crowded(shared.model.clone()));
        }
        let since = Instant::now();
        let mut coming = Vec::with_capacity(items.len());
        for (item, tokens) in items {
            let (answer, receiver) = oneshot::channel();
            let waiting = Waiting { tokens, priority: urgency.priority, since, until: urgency.until };
            queue.waiting.push(Entry { item, waiting, answer });
            coming.push(receiver);
        }
        queue.tell(&shared.meters);
        shared.wake(&queue);
        Ok(coming)
    }

    /// The model's name, for errors.
    pub fn model(&self) -> &str {
        &self.0.0.model
    }
}

impl<R: Runner> Queue<R> {
    /// Drops those whom nobody waits for any more.
    fn forget_the_gone(&mut self) {
        self.waiting.retain(|entry| !entry.answer.is_closed());
    }

    fn tell(&mut self, meters: &OfModel) {
        meters.waiting(self.told, self.waiting.len());
        self.told = self.waiting.len();
    }

    /// Takes the entries at these indices out, in their order.
    fn take(&mut self, indices: &[usize]) -> Vec<Entry<R>> {
        let mut slots: Vec<Option<Entry<R>>> =
            std::mem::take(&mut self.waiting).into_iter().map(Some).collect();
        let taken = indices.iter().filter_map(|&i| slots.get_mut(i).and_then(Option::take)).collect();
        self.waiting = slots.into_iter().flatten().collect();
        taken
    }
}

impl<R: Runner> Shared<R> {
    fn queue(&self) -> MutexGuard<'_, Queue<R>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes one thread, which wakes the next where it leaves something to do: a second one that finds nothing would only be
    /// in the way of the first.
    fn wake(&self, queue: &Queue<R>) {
        if let Some(changed) = queue.idle.last().and_then(|&thread| self.changed.get(thread)) {
            changed.notify_one();
        }
    }

    /// The life of a thread.
    fn serve(&self, me: usize, runner: &mut R) {
        while let Some((batch, alone)) = self.next(me) {
            self.run(runner, batch, alone);
            self.queue().idle.push(me);
        }
    }

    /// Waits for this thread's next batch; `None`: the lane is closed.
    fn next(&self, me: usize) -> Option<(Vec<Entry<R>>, bool)> {
        let changed = self.changed.get(me)?;
        let mut queue = self.queue();
        loop {
            queue.forget_the_gone();
            let now = Instant::now();
            let waiting: Vec<Waiting> = queue.waiting.iter().map(|entry| entry.waiting).collect();
            let Plan { late, batch, again_at } =
                plan::plan(now, &waiting, &Limits { idle: queue.idle.len(), ..self.limits });
            // Both are indices of the same list, so both go out in one.
            let mut taken = queue.take(&[late.as_slice(), &batch].concat());
            queue.tell(&self.meters);
            let batch = taken.split_off(late.len());
            for entry in taken {
                answer(entry.answer, Err(MlError::TooLate));
            }
            if !batch.is_empty() {
                queue.idle.retain(|&thread| thread != me);
                if !queue.waiting.is_empty() {
                    self.wake(&queue);
                }
                return Some((batch, queue.waiting.is_empty() && !queue.idle.is_empty()));
            }
            if queue.closed {
                return None;
            }
            queue = match again_at {
                Some(at) => {
                    let wait = changed.wait_timeout(queue, at.saturating_duration_since(now));
                    wait.unwrap_or_else(PoisonError::into_inner).0
                }
                None => changed.wait(queue).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }

    fn run(&self, runner: &mut R, batch: Vec<Entry<R>>, alone: bool) {
        let start = Instant::now();
        let lengths: Vec<usize> = batch.iter().map(|entry| entry.waiting.tokens).collect();
        let (mut items, mut answers) = (Vec::with_capacity(batch.len()), Vec::with_capacity(batch.len()));
        for entry in batch {
            self.meters.waited(start.saturating_duration_since(entry.waiting.since));
            items.push(entry.item);
            answers.push(entry.answer);
        }
        match self.guarded(runner, &items, alone) {
            Ok(done) => done.into_iter().zip(answers).for_each(|(done, to)| answer(to, Ok(done))),
            Err(error) if items.len() == 1 => {
                answers.into_iter().for_each(|to| answer(to, Err(error.clone())))
            }
            Err(error) => {
                tracing::warn!(
                    model = self.model,
                    texts = items.len(),
                    "a batch failed; its texts run alone: {error}"
                );
                self.meters.split();
                for (item, to) in items.chunks(1).zip(answers) {
                    let mut done = self.guarded(runner, item, alone);
                    answer(
                        to,
                        done.as_mut().map_err(|e| e.clone()).and_then(|done| {
                            done.pop().ok_or_else(|| MlError::Internal("an answer is missing".into()))
                        }),
                    );
                }
            }
        }
        let padding = plan::padding(lengths.iter().copied(), self.limits.padded);
        self.meters.ran(lengths.len(), lengths.iter().sum(), padding, start.elapsed());
    }

    /// A runner that panics fails its batch and nothing else.
    fn guarded(&self, runner: &mut R, items: &[R::Item], alone: bool) -> Result<Vec<R::Answer>, MlError> {
        let run = std::panic::AssertUnwindSafe(|| runner.run(items, alone));
        let done = std::panic::catch_unwind(run).unwrap_or_else(|panic| {
            let reason = guard::said(panic.as_ref());
            Err(MlError::Failed { model: self.model.clone(), reason })
        })?;
        if done.len() == items.len() {
            return Ok(done);
        }
        Err(MlError::Internal(format!("{} answers to {} texts of `{}`", done.len(), items.len(), self.model)))
    }
}

/// Whoever asked may have gone: then nobody reads the answer.
fn answer<A>(to: oneshot::Sender<Result<A, MlError>>, answer: Result<A, MlError>) {
    drop(to.send(answer));
}
