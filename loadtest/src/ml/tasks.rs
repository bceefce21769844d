//! Tasks of the ml service as its users submit them: a result counts where it is the only one of its task, and a success.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::StreamExt as _;
use tasklane_runtime::bus::{Bus, BusError, Outgoing, Stored};
use tasklane_runtime::contract::{headers, streams, subjects};
use tokio::sync::{Semaphore, mpsc};

use crate::arrivals::Arrivals;
use crate::error::LoadError;
use crate::marks::Marks;

/// Without any result for this long, what is missing counts as lost.
const PATIENCE: Duration = Duration::from_secs(120);
/// Bytes of a record's head that hold its status.
const STATUS_WITHIN: usize = 160;

/// Both ends: one connection submits, another listens.
pub struct Tasks {
    submit: Bus,
    listen: Bus,
}

/// What a round came to.
pub struct Done {
    /// From the first submission to the last result.
    pub took: Duration,
    /// From the submission of each task to its result, in the order of the tasks.
    pub each: Vec<Duration>,
    /// The results' records, in the order of the tasks; empty where nobody asked for them.
    pub records: Vec<Bytes>,
}

/// A round.
pub struct Round<'a> {
    /// The type of its tasks.
    pub task_type: &'a str,
    /// Their payloads.
    pub payloads: &'a [Bytes],
    /// So many are unanswered at once, at most.
    pub in_flight: usize,
    /// The least time between two submissions.
    pub apart: Duration,
    /// Whether the results are wanted.
    pub keep: bool,
}

impl<'a> Round<'a> {
    /// As fast as it goes, with so many in flight.
    pub fn of(task_type: &'a str, payloads: &'a [Bytes], in_flight: usize) -> Self {
        Self { task_type, payloads, in_flight, apart: Duration::ZERO, keep: false }
    }
}

impl Tasks {
    /// On two connections.
    pub fn new(submit: Bus, listen: Bus) -> Self {
        Self { submit, listen }
    }

    /// Runs a round.
    ///
    /// # Errors
    /// Where a task is lost, doubled or failed, or NATS is gone.
    pub async fn run(&self, round: &Round<'_>) -> Result<Done, LoadError> {
        let results = self.listen.listen(format!("{}*", subjects::RESULT_PREFIX)).await?;
        // An answer on the same connection means that the server has read the subscription.
        self.listen.stream_load(streams::RESULTS).await?;
        futures::pin_mut!(results);
        let (marks, count) = (Marks::fresh(0), round.payloads.len());
        let window = Arc::new(Semaphore::new(round.in_flight));
        let (sent, mut times) = mpsc::unbounded_channel();
        let begun = Instant::now();
        let subject = format!("{}{}", subjects::SUBMIT_PREFIX, round.task_type);
        let (bus, payloads, apart) = (self.submit.clone(), round.payloads.to_vec(), round.apart);
        let submitting =
            tokio::spawn(submit(bus, subject, marks.clone(), payloads, apart, Arc::clone(&window), sent));
        let mut arrivals = Arrivals::new(count);
        let (mut ended, mut records) = (vec![begun; count], vec![Bytes::new(); count]);
        let mut took = Duration::ZERO;
        while !arrivals.all() {
            let Ok(next) = tokio::time::timeout(PATIENCE, results.next()).await else { break };
            let Some((subject, _, body)) = next else {
                return Err(LoadError::Stack("the connection to NATS is gone".into()));
            };
            let id = subject.strip_prefix(subjects::RESULT_PREFIX).unwrap_or_default();
            let Some(n) = marks.number_in_id(id) else { continue };
            let good = succeeded(&body);
            if !good {
                eprintln!("  task {n}: {}", String::from_utf8_lossy(&body[..body.len().min(600)]));
            }
            if arrivals.note(n, good) {
                window.add_permits(1);
                (ended[n], took) = (Instant::now(), begun.elapsed());
                if round.keep {
                    records[n] = body;
                }
            }
        }
        if !arrivals.all() {
            submitting.abort();
        }
        arrivals.check(round.task_type)?;
        submitting.await.map_err(|e| LoadError::Stack(e.to_string()))??;
        let mut each = Vec::with_capacity(count);
        while let Some(at) = times.recv().await {
            each.push(ended[each.len()].saturating_duration_since(at));
        }
        Ok(Done { took, each, records })
    }
}

/// Submits one after the other, and awaits the stream's word on each.
async fn submit(
    bus: Bus,
    subject: String,
    marks: Marks,
    payloads: Vec<Bytes>,
    apart: Duration,
    window: Arc<Semaphore>,
    times: mpsc::UnboundedSender<Instant>,
) -> Result<(), BusError> {
    let mut due = tokio::time::Instant::now();
    for (n, payload) in payloads.into_iter().enumerate() {
        if !apart.is_zero() {
            tokio::time::sleep_until(due).await;
        }
        match window.acquire().await {
            Ok(permit) => permit.forget(),
            Err(_) => break,
        }
        let out = Outgoing::new(subject.clone(), payload)
            .header(headers::MSG_ID, &marks.id(n))
            .header(headers::TRACEPARENT, &marks.traceparent(n));
        // Whoever no longer listens has given the round up.
        if times.send(Instant::now()).is_err() {
            break;
        }
        let stored = bus.send(out).await?.stored().await?;
        if !matches!(stored, Stored::New { .. }) {
            return Err(BusError::Server(format!("a submission was not taken as a new one: {stored:?}")));
        }
        due = tokio::time::Instant::now().max(due + apart);
    }
    Ok(())
}

fn succeeded(record: &[u8]) -> bool {
    let head = &record[..record.len().min(STATUS_WITHIN)];
    let done = br#""status":"succeeded""#;
    head.windows(done.len()).any(|at| at == done)
}
