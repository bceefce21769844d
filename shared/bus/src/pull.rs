//! Pulling by credit. A puller asks for `n` messages, the server sends them as they come, and what was asked for and
//! can no longer come is given back as credit. One inbox serves all requests of a puller, so a request costs one
//! message and nothing else.

use std::time::Duration;

use async_nats::{StatusCode, Subscriber, jetstream};
use bytes::Bytes;
use futures::{FutureExt as _, StreamExt as _};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::{Bus, BusError, Delivery, headers::header};

/// How long a request stands at the server. Short, so that credit of a lane that fell idle is soon free for others.
const EXPIRES: Duration = Duration::from_secs(5);
/// The server says this often that a standing request is alive.
const HEARTBEAT: Duration = Duration::from_secs(2);
/// Silence after which standing requests count as lost.
const SILENCE: Duration = Duration::from_secs(7);

/// How long a closing puller waits for what is on its way.
const CLOSING: Duration = Duration::from_millis(500);

/// What came.
#[expect(
    clippy::large_enum_variant,
    reason = "almost every one is a message; a box would cost each an allocation"
)]
pub enum Pulled {
    /// A message; one credit is used.
    Message(Delivery),
    /// This much credit is back: the request ran out, or was lost.
    CreditBack(u32),
    /// The consumer does not exist (any more); all credit is back.
    ConsumerGone,
}

/// Pulls from one durable consumer.
pub struct Puller {
    bus: Bus,
    /// Lent to each message while it is read.
    context: Option<jetstream::Context>,
    stream: String,
    consumer: String,
    next_subject: String,
    inbox: String,
    subscriber: Subscriber,
    reconnects: watch::Receiver<u64>,
    asked: u64,
    credit: u32,
    heard: Instant,
}

impl Puller {
    /// Opens a puller on an existing consumer.
    ///
    /// # Errors
    /// Where the client is closed.
    pub async fn open(bus: &Bus, stream: &str, consumer: &str) -> Result<Self, BusError> {
        let inbox = bus.client.new_inbox();
        let subscriber = bus
            .client
            .subscribe(format!("{inbox}.*"))
            .await
            .map_err(|e| BusError::js(format!("open an inbox for {consumer}"), e))?;
        let mut reconnects = bus.reconnects();
        reconnects.mark_unchanged();
        Ok(Self {
            bus: bus.clone(),
            context: None,
            stream: stream.to_owned(),
            consumer: consumer.to_owned(),
            next_subject: format!("$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}"),
            inbox,
            subscriber,
            reconnects,
            asked: 0,
            credit: 0,
            heard: Instant::now(),
        })
    }

    /// Messages that were asked for and have not come.
    pub fn credit(&self) -> u32 {
        self.credit
    }

    /// Asks for `n` more.
    ///
    /// # Errors
    /// Where the client is closed.
    pub async fn ask(&mut self, n: u32) -> Result<(), BusError> {
        if n == 0 {
            return Ok(());
        }
        if self.credit == 0 {
            self.heard = Instant::now();
        }
        self.asked += 1;
        let reply = format!("{}.{}", self.inbox, self.asked);
        let request = format!(
            r#"{{"batch":{n},"expires":{},"idle_heartbeat":{}}}"#,
            EXPIRES.as_nanos(),
            HEARTBEAT.as_nanos()
        );
        self.bus
            .client
            .publish_with_reply(self.next_subject.clone(), reply, Bytes::from(request))
            .await
            .map_err(|e| BusError::js(format!("pull from {}", self.consumer), e))?;
        self.credit += n;
        Ok(())
    }

    /// Waits for the next message or for credit that is back. Without credit it waits for ever. Safe to drop.
    pub async fn next(&mut self) -> Pulled {
        loop {
            let silent = self.heard + SILENCE;
            tokio::select! {
                // In this order: while messages come, nobody looks at the clock.
                biased;
                message = self.subscriber.next() => match message {
                    Some(message) => if let Some(pulled) = self.read(message) { return pulled },
                    None => return std::future::pending().await,
                },
                // The sender lives as long as the client; an error means that it is closed and nothing will come.
                changed = self.reconnects.changed() => match changed {
                    Ok(()) if self.credit > 0 => return self.all_back(),
                    Ok(()) => {}
                    Err(_) => return std::future::pending().await,
                },
                () = tokio::time::sleep_until(silent), if self.credit > 0 => {
                    tracing::warn!(stream = %self.stream, consumer = %self.consumer, credit = self.credit,
                        "the server was silent about our pull; asking again");
                    return self.all_back();
                }
            }
        }
    }

    /// A message that has come already, if there is one.
    pub fn ready(&mut self) -> Option<Pulled> {
        loop {
            let message = self.subscriber.next().now_or_never()??;
            if let Some(pulled) = self.read(message) {
                return Some(pulled);
            }
        }
    }

    /// Stops pulling, and gives what was on its way. After this the server knows that nobody listens.
    pub async fn close(mut self) -> Vec<Delivery> {
        // UNSUB goes first; the flush comes back when the server has read it, and what it sent before is here then.
        if self.subscriber.drain().await.is_err() || self.bus.flush().await.is_err() {
            tracing::warn!(consumer = %self.consumer, "the connection is gone; what was on its way comes again");
        }
        let mut rest = Vec::new();
        let patience = tokio::time::sleep(CLOSING);
        tokio::pin!(patience);
        loop {
            let message = tokio::select! {
                message = self.subscriber.next() => message,
                () = &mut patience => None,
            };
            let Some(message) = message else { return rest };
            if let Some(Pulled::Message(delivery)) = self.read(message) {
                rest.push(delivery);
            }
        }
    }

    fn read(&mut self, message: async_nats::Message) -> Option<Pulled> {
        self.heard = Instant::now();
        match message.status {
            None => {
                self.credit = self.credit.saturating_sub(1);
                let context = self.context.take().unwrap_or_else(|| (*self.bus.js).clone());
                let (delivery, context) = Delivery::new(message, context, &self.bus.client);
                self.context = Some(context);
                delivery.map(Pulled::Message)
            }
            Some(StatusCode::IDLE_HEARTBEAT) => None,
            Some(_) => {
                let text = message.description.as_deref().unwrap_or_default();
                if text.contains("Consumer Deleted") || message.status == Some(StatusCode::NO_RESPONDERS) {
                    self.credit = 0;
                    return Some(Pulled::ConsumerGone);
                }
                let back = header(&message, "Nats-Pending-Messages").and_then(|n| n.parse::<u32>().ok());
                let back = back.unwrap_or(self.credit).min(self.credit);
                self.credit -= back;
                (back > 0).then_some(Pulled::CreditBack(back))
            }
        }
    }

    fn all_back(&mut self) -> Pulled {
        self.heard = Instant::now();
        Pulled::CreditBack(std::mem::take(&mut self.credit))
    }
}
