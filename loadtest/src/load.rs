//! Submitting tasks and watching for their results: as many as go with a bounded number in flight, or at a fixed
//! rate whatever comes back.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::{Stream, StreamExt as _};
use hdrhistogram::Histogram;
use tasklane_runtime::bus::publish::Sent;
use tasklane_runtime::bus::{Bus, BusError, Headers, Stored};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;

use crate::arrivals::Arrivals;
use crate::error::LoadError;
use crate::marks::Marks;
use crate::path::Path;

/// Without any result for this long, what is missing counts as lost. Longer than an ack wait with its redelivery.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long streams may take to become empty after the last result: acknowledgements are still on their way.
const SETTLE: Duration = Duration::from_secs(10);
/// Largest latency that is told apart from larger ones, in microseconds.
const LONGEST_US: u64 = 120_000_000;

/// The load's two connections.
pub struct Ends {
    /// Publishes.
    pub submit: Bus,
    /// Listens to results.
    pub listen: Bus,
}

/// Where streams stood before a round.
struct Before {
    results: u64,
}

impl Ends {
    /// Submits `tasks` with at most `in_flight` of them unanswered, and returns how long it took from the first
    /// submission to the last result.
    ///
    /// # Errors
    /// Where a task is lost, doubled or failed, or NATS is gone.
    pub async fn closed(
        &self,
        path: Path,
        marks: &Marks,
        tasks: usize,
        in_flight: usize,
    ) -> Result<Duration, LoadError> {
        let before = self.before(path).await?;
        let results = self.listen(path).await?;
        let window = Arc::new(Semaphore::new(in_flight));
        let begun = Instant::now();
        let submitting = submit_all(self.submit.clone(), path, marks.clone(), tasks, Arc::clone(&window));
        let mut arrivals = Arrivals::new(tasks);
        let collected = collect(path, marks, results, &mut arrivals, |_| window.add_permits(1)).await;
        let took = begun.elapsed();
        finish(submitting, collected, &arrivals, path).await?;
        self.settled(path, &before, tasks).await?;
        Ok(took)
    }

    /// Submits at `rate` tasks a second for `length`, whatever comes back (an open loop). Latencies, in microseconds,
    /// count from the moment a task was due, not from when it could be sent: who stalls is not spared the wait.
    ///
    /// # Errors
    /// As [`Ends::closed`].
    pub async fn paced(
        &self,
        path: Path,
        marks: &Marks,
        rate: u32,
        length: Duration,
    ) -> Result<Histogram<u64>, LoadError> {
        let before = self.before(path).await?;
        let results = self.listen(path).await?;
        let every = Duration::from_secs(1) / rate.max(1);
        let tasks = (length.as_secs_f64() * f64::from(rate)).round().max(1.0) as usize;
        let mut latencies = Histogram::new_with_bounds(1, LONGEST_US, 3)
            .map_err(|e| LoadError::Stack(format!("the histogram: {e}")))?;
        // The first is due a little later, when everybody is ready.
        let begin = Instant::now() + Duration::from_millis(50);
        let submitting = pace(self.submit.clone(), path, marks.clone(), tasks, begin, every);
        let mut arrivals = Arrivals::new(tasks);
        let collected = collect(path, marks, results, &mut arrivals, |n| {
            let late =
                begin.elapsed().saturating_sub(every.saturating_mul(u32::try_from(n).unwrap_or(u32::MAX)));
            latencies.saturating_record(u64::try_from(late.as_micros()).unwrap_or(LONGEST_US));
        });
        let collected = collected.await;
        finish(submitting, collected, &arrivals, path).await?;
        self.settled(path, &before, tasks).await?;
        Ok(latencies)
    }

    async fn before(&self, path: Path) -> Result<Before, LoadError> {
        let [_, _, results] = path.streams();
        Ok(Before { results: self.listen.stream_load(results).await?.last })
    }

    async fn listen(
        &self,
        path: Path,
    ) -> Result<impl Stream<Item = (String, Headers, bytes::Bytes)> + use<>, LoadError> {
        let results = self.listen.listen(format!("{}*", path.results())).await?;
        // An answer on the same connection means that the server has read the subscription.
        let [_, _, stream] = path.streams();
        self.listen.stream_load(stream).await?;
        Ok(results)
    }

    /// The streams agree: nothing is left, and exactly as many results were stored as tasks were submitted.
    async fn settled(&self, path: Path, before: &Before, tasks: usize) -> Result<(), LoadError> {
        let [submitted, work, results] = path.streams();
        let begun = Instant::now();
        loop {
            let left = self.listen.stream_load(submitted).await?.messages
                + self.listen.stream_load(work).await?.messages;
            let stored = self.listen.stream_load(results).await?.last - before.results;
            if left == 0 && stored == tasks as u64 {
                return Ok(());
            }
            if begun.elapsed() > SETTLE {
                let name = path.name();
                return Err(LoadError::Wrong(format!(
                    "{name}: {tasks} tasks were submitted, {stored} results stored, {left} messages are left on \
                     {submitted} and {work}; did somebody else use the stack?"
                )));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

type Submitting = JoinHandle<Result<(), BusError>>;

/// Publishes as fast as the window allows; a second task awaits the stream's word.
fn submit_all(bus: Bus, path: Path, marks: Marks, tasks: usize, window: Arc<Semaphore>) -> Submitting {
    let (sent, awaited) = mpsc::channel(20_000);
    let confirming = tokio::spawn(confirm(awaited));
    tokio::spawn(async move {
        for n in 0..tasks {
            match window.acquire().await {
                Ok(permit) => permit.forget(),
                Err(_) => break,
            }
            if sent.send(bus.send(path.submission(&marks, n)).await?).await.is_err() {
                break;
            }
        }
        drop(sent);
        joined(confirming).await
    })
}

/// Publishes by the clock, from a thread of its own: a timer of the runtime is only good to a millisecond.
fn pace(bus: Bus, path: Path, marks: Marks, tasks: usize, begin: Instant, every: Duration) -> Submitting {
    let (sent, awaited) = mpsc::channel(20_000);
    let confirming = tokio::spawn(confirm(awaited));
    let runtime = tokio::runtime::Handle::current();
    let pacing = tokio::task::spawn_blocking(move || -> Result<(), BusError> {
        let mut due = begin;
        for n in 0..tasks {
            wait_until(due);
            let out = path.submission(&marks, n);
            let passed = runtime
                .block_on(async { Ok::<_, BusError>(sent.send(bus.send(out).await?).await.is_ok()) })?;
            if !passed {
                break;
            }
            due += every;
        }
        Ok(())
    });
    tokio::spawn(async move {
        joined(pacing).await?;
        joined(confirming).await
    })
}

#[expect(clippy::disallowed_methods, reason = "a thread of its own, made to wait")]
fn wait_until(due: Instant) {
    if let Some(left) = due.checked_duration_since(Instant::now()) {
        std::thread::sleep(left);
    }
}

async fn joined(task: JoinHandle<Result<(), BusError>>) -> Result<(), BusError> {
    task.await.unwrap_or_else(|e| Err(BusError::Server(format!("a part of the load test ended: {e}"))))
}

async fn confirm(mut awaited: mpsc::Receiver<Sent>) -> Result<(), BusError> {
    while let Some(sent) = awaited.recv().await {
        let stored = sent.stored().await?;
        if !matches!(stored, Stored::New { .. }) {
            return Err(BusError::Server(format!("a submission was not taken as a new one: {stored:?}")));
        }
    }
    Ok(())
}

/// Takes results until all are there, or none comes any more.
async fn collect(
    path: Path,
    marks: &Marks,
    results: impl Stream<Item = (String, Headers, bytes::Bytes)>,
    arrivals: &mut Arrivals,
    mut each: impl FnMut(usize),
) -> Result<(), LoadError> {
    futures::pin_mut!(results);
    while !arrivals.all() {
        let Ok(next) = tokio::time::timeout(PATIENCE, results.next()).await else { return Ok(()) };
        let Some((subject, _, body)) = next else {
            return Err(LoadError::Stack("the connection to NATS is gone".into()));
        };
        if let Some(n) = path.number(marks, &subject, &body)
            && arrivals.note(n, path.is_success(&body))
        {
            each(n);
        }
    }
    Ok(())
}

async fn finish(
    submitting: Submitting,
    collected: Result<(), LoadError>,
    arrivals: &Arrivals,
    path: Path,
) -> Result<(), LoadError> {
    collected?;
    if !arrivals.all() {
        submitting.abort();
        return arrivals.check(path.name());
    }
    joined(submitting).await?;
    arrivals.check(path.name())
}
