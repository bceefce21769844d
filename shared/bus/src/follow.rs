//! Following a stream from a sequence on, in order and without gaps, for who keeps a copy of what it says.
//!
//! A consumer of one's own without acknowledgements: the server forgets it when nobody asks any more. What it sends is
//! counted, so that a message that did not arrive is noticed; whatever goes wrong, the following ends, and who follows
//! begins again after the last message that arrived.

use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, pull};
use async_nats::{StatusCode, Subscriber, jetstream};
use bytes::Bytes;
use futures::{FutureExt as _, StreamExt as _};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::{Bus, BusError, headers::header};

/// Messages of one request.
const BATCH: u64 = 256;
/// Bytes of one request, and so what lies here at most; twice the largest message where that is more.
const BYTES: usize = 16 << 20;
/// How long a request stands at the server.
const EXPIRES: Duration = Duration::from_secs(20);
/// The server says this often that a standing request is alive.
const HEARTBEAT: Duration = Duration::from_secs(2);
/// Silence after which the following ends.
const SILENCE: Duration = Duration::from_secs(7);
/// The server forgets a consumer that nobody has asked for so long.
const FORGOTTEN: Duration = Duration::from_secs(60);

/// A message of the stream.
#[derive(Debug, Clone)]
pub struct Followed {
    /// Its subject.
    pub subject: String,
    /// Its sequence in the stream.
    pub sequence: u64,
    /// Its body.
    pub body: Bytes,
    /// How many came after it, when it was sent.
    pub pending: u64,
}

/// A stream that is followed.
pub struct Following {
    bus: Bus,
    context: Option<jetstream::Context>,
    next_subject: String,
    inbox: String,
    subscriber: Subscriber,
    reconnects: watch::Receiver<u64>,
    requests: u64,
    /// Messages of the standing request that have not come; 0: none stands.
    open: u64,
    /// The consumer's own count of messages.
    count: u64,
    heard: Instant,
    waiting: u64,
    ended: bool,
}

impl Bus {
    /// Follows all subjects of a stream from a sequence on.
    ///
    /// # Errors
    /// [`BusError::JetStream`].
    pub async fn follow(&self, stream: &str, from: u64) -> Result<Following, BusError> {
        let failed = |e: &dyn std::fmt::Display| BusError::js(format!("follow {stream}"), e);
        let mut reconnects = self.reconnects();
        reconnects.mark_unchanged();
        let config = pull::Config {
            ack_policy: AckPolicy::None,
            deliver_policy: DeliverPolicy::ByStartSequence { start_sequence: from.max(1) },
            inactive_threshold: FORGOTTEN,
            memory_storage: true,
            num_replicas: 1,
            ..pull::Config::default()
        };
        let consumer = self.js.create_consumer_on_stream(config, stream).await.map_err(|e| failed(&e))?;
        let info = consumer.cached_info();
        let inbox = self.client.new_inbox();
        let subscriber = self.client.subscribe(format!("{inbox}.*")).await.map_err(|e| failed(&e))?;
        Ok(Following {
            bus: self.clone(),
            context: None,
            next_subject: format!("$JS.API.CONSUMER.MSG.NEXT.{stream}.{}", info.name),
            inbox,
            subscriber,
            reconnects,
            requests: 0,
            open: 0,
            count: 0,
            heard: Instant::now(),
            waiting: info.num_pending,
            ended: false,
        })
    }
}

impl Following {
    /// How many messages lay ahead when it began.
    pub fn ahead(&self) -> u64 {
        self.waiting
    }

    /// The next message; nothing where the following has ended. Safe to drop.
    pub async fn next(&mut self) -> Option<Followed> {
        while !self.ended {
            if self.open == 0 {
                self.ask().await;
                continue;
            }
            let silent = self.heard + SILENCE;
            tokio::select! {
                biased;
                // An error says that the client is closed.
                _ = self.reconnects.changed() => self.end("the connection was lost"),
                message = self.subscriber.next() => match message {
                    Some(message) => if let Some(followed) = self.read(message) { return Some(followed) },
                    None => self.end("the client is closed"),
                },
                () = tokio::time::sleep_until(silent) => self.end("the server was silent"),
            }
        }
        None
    }

    /// A message that has come already, if there is one.
    pub fn ready(&mut self) -> Option<Followed> {
        while !self.ended && self.open > 0 {
            let message = self.subscriber.next().now_or_never()??;
            if let Some(followed) = self.read(message) {
                return Some(followed);
            }
        }
        None
    }

    fn end(&mut self, why: &str) {
        tracing::debug!(consumer = %self.next_subject, "a stream is no longer followed: {why}");
        self.ended = true;
    }

    async fn ask(&mut self) {
        self.requests += 1;
        let reply = format!("{}.{}", self.inbox, self.requests);
        let bytes = BYTES.max(self.bus.max_payload().saturating_mul(2));
        let request = format!(
            r#"{{"batch":{BATCH},"max_bytes":{bytes},"expires":{},"idle_heartbeat":{}}}"#,
            EXPIRES.as_nanos(),
            HEARTBEAT.as_nanos()
        );
        let asked =
            self.bus.client.publish_with_reply(self.next_subject.clone(), reply, Bytes::from(request)).await;
        if asked.is_err() {
            return self.end("the client is closed");
        }
        self.open = BATCH;
        self.heard = Instant::now();
    }

    fn read(&mut self, message: async_nats::Message) -> Option<Followed> {
        self.heard = Instant::now();
        match message.status {
            None => self.take(message),
            Some(StatusCode::IDLE_HEARTBEAT) => None,
            Some(StatusCode::TIMEOUT) => {
                self.close(&message);
                None
            }
            // 409 says that the bytes are used up, or that the consumer is gone.
            Some(_) => {
                let text = message.description.as_deref().unwrap_or_default();
                if text.contains("MaxBytes") {
                    self.close(&message);
                } else {
                    self.end("the consumer is gone");
                }
                None
            }
        }
    }

    /// A request has ended: what of it has not come by now does not come.
    fn close(&mut self, status: &async_nats::Message) {
        let unsent = header(status, "Nats-Pending-Messages").and_then(|n| n.parse::<u64>().ok());
        if unsent.is_some_and(|unsent| unsent != self.open) {
            return self.end("a message did not arrive");
        }
        self.open = 0;
    }

    fn take(&mut self, message: async_nats::Message) -> Option<Followed> {
        // A copy of the context for every message would be dear: it is lent.
        let context = self.context.take().unwrap_or_else(|| (*self.bus.js).clone());
        let wrapped = jetstream::Message { message, context };
        let place = wrapped.info().ok().map(|i| (i.stream_sequence, i.consumer_sequence, i.pending));
        let jetstream::Message { message, context } = wrapped;
        self.context = Some(context);
        let (sequence, count, pending) = place?;
        if count != self.count + 1 {
            self.end("a message did not arrive");
            return None;
        }
        self.count = count;
        self.open = self.open.saturating_sub(1);
        Some(Followed { subject: message.subject.to_string(), sequence, body: message.payload, pending })
    }
}
