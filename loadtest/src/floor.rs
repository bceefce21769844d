//! The floor: submit, relay, work, result, stored three times on the same server with the same settings and with
//! nothing decided. What any product on these three hops can reach at most; a relay and a worker on a connection
//! each, pulling by the hundred and awaiting acknowledgements in a second task.

use std::time::Duration;

use tasklane_runtime::bus::publish::Sent;
use tasklane_runtime::bus::pull::{Pulled, Puller};
use tasklane_runtime::bus::{Bus, BusError, Delivery, Outgoing};
use tasklane_runtime::contract::headers;
use tasklane_runtime::contract::streams::{self, ConsumerDef, Policy, StreamDef};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::error::LoadError;
use crate::path::Path;

/// Messages that are asked for together.
const BATCH: u32 = 500;
/// Messages that may be asked for at once.
const WINDOW: u32 = 2 * BATCH;
/// The one consumer of each floor stream.
const CONSUMER: &str = "floor";

/// A floor that runs; it ends when it is dropped.
pub struct Floor {
    path: Path,
    hops: Vec<JoinHandle<()>>,
}

impl Drop for Floor {
    fn drop(&mut self) {
        for hop in &self.hops {
            hop.abort();
        }
    }
}

impl Floor {
    /// Makes the streams and starts the two hops.
    ///
    /// # Errors
    /// Where NATS refuses.
    pub async fn start(path: Path, admin: &Bus, relay: Bus, worker: Bus) -> Result<Self, LoadError> {
        make(path, admin).await?;
        let [tasks, work, _] = path.streams();
        let relay = Hop { path, stream: tasks, work: true, bus: relay };
        let worker = Hop { path, stream: work, work: false, bus: worker };
        let mut hops = relay.start().await?;
        hops.extend(worker.start().await?);
        Ok(Self { path, hops })
    }

    /// Removes the streams.
    ///
    /// # Errors
    /// Where NATS refuses.
    pub async fn remove(self, admin: &Bus) -> Result<(), LoadError> {
        for stream in self.path.streams() {
            admin.drop_stream(stream).await?;
        }
        Ok(())
    }
}

/// The product's own definitions with other names.
async fn make(path: Path, admin: &Bus) -> Result<(), LoadError> {
    // As many copies as the product's own have.
    let replicas = admin.stream_load(streams::TASKS).await?.replicas;
    let policy = Policy { replicas, ..Policy::default() };
    let subjects = [path.submit(), work_subject(path).to_owned(), format!("{}*", path.results())];
    for ((name, of), subject) in path.streams().into_iter().zip(Path::Product.streams()).zip(subjects) {
        let like = streams::streams(&policy).into_iter().find(|def| def.name == of);
        let Some(like) = like else {
            return Err(LoadError::Stack(format!("there is no stream {of} to copy")));
        };
        let def = StreamDef { name, subjects: vec![subject.clone()], ..like };
        let pulled = def.work_queue;
        admin.make_stream(def).await?;
        if pulled {
            let like = streams::router_consumer(&policy);
            let consumer =
                ConsumerDef { stream: name, name: CONSUMER.into(), filters: vec![subject], ..like };
            admin.make_consumer(&consumer).await?;
        }
    }
    Ok(())
}

fn work_subject(path: Path) -> &'static str {
    if path == Path::Guarded { "floor.guarded.work" } else { "floor.bare.work" }
}

struct Hop {
    path: Path,
    stream: &'static str,
    /// The relay puts on the work stream, the worker on the results.
    work: bool,
    bus: Bus,
}

impl Hop {
    async fn start(self) -> Result<Vec<JoinHandle<()>>, BusError> {
        let puller = Puller::open(&self.bus, self.stream, CONSUMER).await?;
        let (sent, awaited) = mpsc::channel(20_000);
        let moving = tokio::spawn(async move {
            if let Err(e) = self.run(puller, sent).await {
                eprintln!("a hop of the floor ends: {e}");
            }
        });
        Ok(vec![moving, tokio::spawn(acknowledge(awaited))])
    }

    async fn run(&self, mut puller: Puller, sent: mpsc::Sender<(Sent, Delivery)>) -> Result<(), BusError> {
        loop {
            if puller.credit() <= WINDOW - BATCH {
                puller.ask(BATCH).await?;
            }
            match puller.next().await {
                Pulled::Message(delivery) => {
                    let stored = self.bus.send(self.next(&delivery)).await?;
                    if sent.send((stored, delivery)).await.is_err() {
                        return Ok(());
                    }
                }
                Pulled::CreditBack(_) => {}
                Pulled::ConsumerGone => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        }
    }

    fn next(&self, delivery: &Delivery) -> Outgoing {
        let body = delivery.body().clone();
        if self.path == Path::Bare {
            let subject = if self.work {
                work_subject(self.path).into()
            } else {
                format!("{}all", self.path.results())
            };
            return Outgoing::new(subject, body);
        }
        let id = delivery.header(headers::MSG_ID).unwrap_or_default();
        let carried = self.path.next_headers(Some(id), delivery.header(headers::TRACEPARENT), self.work);
        if self.work {
            return Outgoing { subject: work_subject(self.path).into(), headers: carried, body };
        }
        Outgoing { subject: format!("{}{id}", self.path.results()), headers: carried, body }.only_first()
    }
}

async fn acknowledge(mut awaited: mpsc::Receiver<(Sent, Delivery)>) {
    while let Some((sent, delivery)) = awaited.recv().await {
        let done = match sent.stored().await {
            Ok(_) => delivery.ack().await,
            Err(e) => Err(e),
        };
        if let Err(e) = done {
            eprintln!("a message of the floor was not stored: {e}");
        }
    }
}
