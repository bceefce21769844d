//! Publishing into streams. Sending and waiting for the stream's acknowledgement are two steps, so that a second task
//! can await acknowledgements while the first goes on sending.

use std::time::Duration;

use async_nats::jetstream::context::traits::TimeoutProvider as _;
use async_nats::jetstream::context::{PublishAckFuture, PublishError, PublishErrorKind};
use async_nats::jetstream::message::PublishMessage;
use bytes::Bytes;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::{Bus, BusError, Headers};

/// A message for a stream.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// Where it goes.
    pub subject: String,
    /// Its headers.
    pub headers: Headers,
    /// Its body.
    pub body: Bytes,
}

impl Outgoing {
    /// A message without headers.
    pub fn new(subject: impl Into<String>, body: impl Into<Bytes>) -> Self {
        Self { subject: subject.into(), headers: Headers::new(), body: body.into() }
    }

    /// Sets a header.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.set(name, value);
        self
    }

    /// Stores it only if its subject holds no message yet.
    #[must_use]
    pub fn only_first(self) -> Self {
        self.header("Nats-Expected-Last-Subject-Sequence", "0")
    }
}

/// What the stream said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stored {
    /// It is stored now.
    New {
        /// Its sequence in the stream.
        sequence: u64,
    },
    /// A message with this id was stored before, within the stream's window.
    Duplicate,
    /// It was to be the first on its subject, and is not.
    NotFirst,
}

/// A message that was sent and not acknowledged yet. Await it, or the client's window of unacknowledged messages
/// fills.
pub struct Sent(Way);

enum Way {
    Alone {
        subject: String,
        ack: PublishAckFuture,
        deadline: Instant,
    },
    /// In a batch: its task tells what the stream said.
    Batch {
        subject: String,
        answer: oneshot::Receiver<Result<Stored, BusError>>,
    },
}

impl Sent {
    /// Waits for the stream's word.
    ///
    /// # Errors
    /// [`BusError::NotStored`]: it may be stored all the same; publish again with the same id.
    pub async fn stored(self) -> Result<Stored, BusError> {
        let (subject, ack, deadline) = match self.0 {
            Way::Alone { subject, ack, deadline } => (subject, ack, deadline),
            Way::Batch { subject, answer } => {
                let gone = |_| BusError::NotStored { subject, reason: "the client is closed".to_owned() };
                return answer.await.map_err(gone)?;
            }
        };
        // The client's own time-out begins only here. When the server dies, thousands of acknowledgements are lost at
        // once; whoever awaits one after the other would wait that long for each.
        let Ok(ack) = tokio::time::timeout_at(deadline, ack).await else {
            let reason = "no word from the stream in time".to_owned();
            return Err(BusError::NotStored { subject, reason });
        };
        match ack {
            Ok(ack) if ack.duplicate => Ok(Stored::Duplicate),
            Ok(ack) => Ok(Stored::New { sequence: ack.sequence }),
            Err(e) if e.kind() == PublishErrorKind::WrongLastSequence => Ok(Stored::NotFirst),
            Err(e) => Err(not_stored(subject, &e)),
        }
    }
}

fn not_stored(subject: String, e: &PublishError) -> BusError {
    match e.kind() {
        PublishErrorKind::MaxPayloadExceeded => BusError::TooLarge { subject, reason: e.to_string() },
        _ => BusError::NotStored { subject, reason: e.to_string() },
    }
}

impl Bus {
    /// Hands a message to the client. Waits only where too many are unacknowledged.
    ///
    /// # Errors
    /// [`BusError::TooLarge`], or [`BusError::NotStored`] where the client is closed.
    pub async fn send(&self, mut out: Outgoing) -> Result<Sent, BusError> {
        if let Some(batches) = &self.batches {
            let subject = out.subject.clone();
            match batches.put(self, out).await {
                Ok(answer) => return Ok(Sent(Way::Batch { subject, answer })),
                Err(back) => out = back,
            }
        }
        self.send_alone(out).await
    }

    /// [`Bus::send`], in a message of its own.
    pub(crate) async fn send_alone(&self, out: Outgoing) -> Result<Sent, BusError> {
        let message = PublishMessage::build().payload(out.body).headers(out.headers.0);
        match self.js.send_publish(out.subject.clone(), message).await {
            Ok(ack) => {
                let deadline = Instant::now() + self.js.timeout();
                Ok(Sent(Way::Alone { subject: out.subject, ack, deadline }))
            }
            Err(e) => Err(not_stored(out.subject, &e)),
        }
    }

    /// Sends and waits for the stream's word.
    ///
    /// # Errors
    /// As [`Bus::send`] and [`Sent::stored`].
    pub async fn store(&self, out: Outgoing) -> Result<Stored, BusError> {
        self.send(out).await?.stored().await
    }

    /// Stores, however long the server is away. For what must not be lost and is safe to say twice: messages with an
    /// id, or only first on their subject.
    ///
    /// # Errors
    /// [`BusError::TooLarge`]: trying again would not help.
    pub async fn store_surely(&self, out: Outgoing) -> Result<Stored, BusError> {
        self.store_made(|| out.clone()).await
    }

    /// As [`Bus::store_surely`], of a message that is made anew for each try: nearly always the first one succeeds, and
    /// then no copy was made.
    ///
    /// # Errors
    /// As [`Bus::store_surely`].
    pub async fn store_made(&self, make: impl Fn() -> Outgoing) -> Result<Stored, BusError> {
        let mut delay = Duration::from_millis(50);
        loop {
            match self.store(make()).await {
                Err(BusError::NotStored { subject, reason }) => {
                    tracing::warn!(%subject, "not stored yet, trying again: {reason}");
                    tokio::time::sleep(delay).await;
                    delay = (delay * 2).min(Duration::from_secs(2));
                }
                other => return other,
            }
        }
    }
}
