//! Publishing in atomic batches. Where the server writes every message to the disk before it acknowledges it
//! (`sync_interval: always`), one message costs a whole write; a batch costs about as much. Nothing waits to be gathered:
//! while one batch is on its way the next collects, so that a quiet system sends single messages and a busy one batches.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use async_nats::header::{NATS_BATCH_COMMIT, NATS_BATCH_COMMIT_FINAL, NATS_BATCH_ID, NATS_BATCH_SEQUENCE};
use async_nats::jetstream::context::PublishErrorKind;
use async_nats::jetstream::message::PublishMessage;
use futures::future::BoxFuture;
use tasklane_contract::streams;
use tokio::sync::{mpsc, oneshot};

use crate::publish::{Outgoing, Stored};
use crate::{Bus, BusError};

/// Messages of one batch, at most; the server takes 1,000.
const MOST: usize = 500;
/// So many of a refused batch are not halved any more.
const FEW: usize = 16;
/// Bytes of one batch, at most: what the server stages in memory, and what is sent again where it is refused.
const MOST_BYTES: usize = 4 << 20;
/// Room for headers: a message that is nearly too large goes alone, so that its size is its own fault.
const HEADROOM: usize = 16 * 1024;
/// Messages that wait for their batch; who publishes more, waits.
const WAITING: usize = 20_000;

type Answer = Result<Stored, BusError>;

struct Item {
    out: Outgoing,
    told: oneshot::Sender<Answer>,
}

/// The queues of messages that wait for their batch, one for each stream.
#[derive(Default)]
pub(crate) struct Batches {
    queues: Mutex<HashMap<&'static str, mpsc::Sender<Item>>>,
}

/// The stream whose batches a message joins. None for a schedule, which replaces the one before it, as a batch does not;
/// and for a dead letter, of which there are few. Logs of vectors join: many small writes then share one write to the
/// disk, and a large one is nearly a batch of its own.
fn batched(subject: &str) -> Option<&'static str> {
    let is_schedule = subject.starts_with("tasks.sched.");
    streams::stream_of(subject).filter(|stream| !is_schedule && *stream != streams::DEAD)
}

impl Batches {
    /// Puts a message into its stream's next batch. Gives it back where it belongs to none.
    pub(crate) async fn put(&self, bus: &Bus, out: Outgoing) -> Result<oneshot::Receiver<Answer>, Outgoing> {
        let Some(stream) = batched(&out.subject) else { return Err(out) };
        if out.body.len() + HEADROOM > bus.max_payload() {
            return Err(out);
        }
        let queue = {
            let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
            let queue = queues.entry(stream).or_insert_with(|| {
                let (queue, waiting) = mpsc::channel(WAITING);
                tokio::spawn(send_all(bus.clone(), waiting));
                queue
            });
            queue.clone()
        };
        let (told, answer) = oneshot::channel();
        queue.send(Item { out, told }).await.map_err(|refused| refused.0.out)?;
        Ok(answer)
    }
}

/// Sends what waits, a batch after the other, until nobody can publish any more.
async fn send_all(bus: Bus, mut waiting: mpsc::Receiver<Item>) {
    let mut held = None;
    loop {
        let first = match held.take() {
            Some(item) => item,
            None => match waiting.recv().await {
                Some(item) => item,
                None => return,
            },
        };
        let mut bytes = first.out.body.len();
        let mut items = vec![first];
        while items.len() < MOST {
            let Ok(next) = waiting.try_recv() else { break };
            bytes += next.out.body.len();
            if bytes > MOST_BYTES {
                held = Some(next);
                break;
            }
            items.push(next);
        }
        send(&bus, items).await;
    }
}

/// Sends messages as one batch. The server refuses a batch as a whole where one message of it is a duplicate or not the
/// first on its subject: then its halves are sent, so that the odd one is found in a few steps. Few are sent one by one
/// without waiting for each other: after a restart all of them may be duplicates, and those cost no write.
fn send(bus: &Bus, mut items: Vec<Item>) -> BoxFuture<'_, ()> {
    Box::pin(async move {
        if items.len() == 1 {
            return send_each(bus, items).await;
        }
        match commit(bus, &items).await {
            Ok(last) => {
                let count = items.len() as u64;
                for (n, item) in (1..).zip(items) {
                    tell(item.told, Ok(Stored::New { sequence: (last + n).saturating_sub(count) }));
                }
            }
            Err(Refused::Batch) if items.len() <= FEW => send_each(bus, items).await,
            Err(Refused::Batch) => {
                let rest = items.split_off(items.len() / 2);
                send(bus, items).await;
                send(bus, rest).await;
            }
            Err(Refused::Silent(reason)) => {
                for Item { out, told } in items {
                    let subject = out.subject;
                    tell(told, Err(BusError::NotStored { subject, reason: reason.clone() }));
                }
            }
        }
    })
}

/// Sends messages for themselves, all at once.
async fn send_each(bus: &Bus, items: Vec<Item>) {
    let each = items.into_iter().map(|Item { out, told }| async move {
        let answer = match bus.send_alone(out).await {
            Ok(sent) => sent.stored().await,
            Err(e) => Err(e),
        };
        tell(told, answer);
    });
    futures::future::join_all(each).await;
}

/// Whoever published may have given up waiting.
fn tell(told: oneshot::Sender<Answer>, answer: Answer) {
    drop(told.send(answer));
}

enum Refused {
    /// The server said no: nothing of the batch is stored.
    Batch,
    /// Nobody knows: it may be stored all the same.
    Silent(String),
}

/// Publishes all but the last without a reply, and awaits the word that commits them. Returns the last one's sequence.
async fn commit(bus: &Bus, items: &[Item]) -> Result<u64, Refused> {
    let inbox = bus.client.new_inbox();
    let id = inbox.rsplit('.').next().unwrap_or_default();
    let silent = |e: &dyn std::fmt::Display| Refused::Silent(e.to_string());
    let mut last = None;
    for (n, item) in (1..).zip(items) {
        let mut headers = item.out.headers.0.clone();
        headers.insert(NATS_BATCH_ID, id);
        headers.insert(NATS_BATCH_SEQUENCE, n.to_string());
        if n < items.len() {
            let sent =
                bus.client.publish_with_headers(item.out.subject.clone(), headers, item.out.body.clone());
            sent.await.map_err(|e| silent(&e))?;
        } else {
            headers.insert(NATS_BATCH_COMMIT, NATS_BATCH_COMMIT_FINAL);
            let message = PublishMessage::build().payload(item.out.body.clone()).headers(headers);
            last = Some((item.out.subject.clone(), message));
        }
    }
    let Some((subject, message)) = last else { return Err(Refused::Batch) };
    let ack = bus.js.send_publish(subject, message).await.map_err(|e| silent(&e))?;
    match ack.await {
        Ok(ack) => Ok(ack.sequence),
        Err(e) => match e.kind() {
            PublishErrorKind::Other
            | PublishErrorKind::WrongLastSequence
            | PublishErrorKind::WrongLastMessageId => Err(Refused::Batch),
            _ => Err(silent(&e)),
        },
    }
}
