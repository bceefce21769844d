//! A delivered message, and what can be said about it.

use std::sync::Arc;

use async_nats::{Client, jetstream};
use bytes::Bytes;

use crate::{BusError, Headers, headers::header};

/// Where a delivered message lies, and how often it was delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Its sequence in the stream.
    pub sequence: u64,
    /// 1 for the first delivery.
    pub delivered: u32,
    /// Messages behind it on this consumer.
    pub pending: u64,
    /// When the stream stored it, in microseconds since the epoch.
    pub stored_at_us: i64,
}

/// A delivered message. It is out until it is acknowledged, put back, or silent for the consumer's ack wait.
pub struct Delivery {
    message: async_nats::Message,
    client: Arc<Client>,
    /// Where it lies.
    pub place: Place,
}

impl Delivery {
    /// `None` where the message is not a delivery of a consumer. The context comes back: reading where a message
    /// lies takes one, and a copy for every message is dear.
    pub(crate) fn new(
        message: async_nats::Message,
        context: jetstream::Context,
        client: &Arc<Client>,
    ) -> (Option<Self>, jetstream::Context) {
        let wrapped = jetstream::Message { message, context };
        let place = wrapped.info().ok().map(|info| Place {
            sequence: info.stream_sequence,
            delivered: u32::try_from(info.delivered).unwrap_or(u32::MAX),
            pending: info.pending,
            stored_at_us: i64::try_from(info.published.unix_timestamp_nanos() / 1000).unwrap_or(0),
        });
        let jetstream::Message { message, context } = wrapped;
        (place.map(|place| Self { message, client: Arc::clone(client), place }), context)
    }

    /// The subject it was published on.
    pub fn subject(&self) -> &str {
        &self.message.subject
    }

    /// The body.
    pub fn body(&self) -> &Bytes {
        &self.message.payload
    }

    /// A header's last value.
    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.message, name)
    }

    /// All headers.
    pub fn headers(&self) -> Headers {
        Headers(self.message.headers.clone().unwrap_or_default())
    }

    /// Done: it leaves a work queue. Not confirmed by the server: a lost ack means one more delivery, never a lost
    /// task.
    ///
    /// # Errors
    /// Where the client is closed.
    pub async fn ack(&self) -> Result<(), BusError> {
        self.say("+ACK".into()).await
    }

    /// Puts it back, to be delivered again after `delay_ms`. It counts as a delivery.
    ///
    /// # Errors
    /// Where the client is closed.
    pub async fn put_back(&self, delay_ms: u64) -> Result<(), BusError> {
        self.say(format!("-NAK {{\"delay\":{}}}", delay_ms.max(1) * 1_000_000).into()).await
    }

    /// A handle that keeps the delivery alive while it is held elsewhere.
    pub fn keeper(&self) -> Keeper {
        Keeper { reply: self.message.reply.clone(), client: Arc::clone(&self.client) }
    }

    async fn say(&self, what: Bytes) -> Result<(), BusError> {
        let Some(reply) = &self.message.reply else { return Ok(()) };
        self.client.publish(reply.clone(), what).await.map_err(|e| BusError::js("acknowledge", e))
    }
}

/// Says for a delivery that somebody is still at it.
pub struct Keeper {
    reply: Option<async_nats::Subject>,
    client: Arc<Client>,
}

impl Keeper {
    /// Still at it: the ack wait starts anew.
    ///
    /// # Errors
    /// Where the client is closed.
    pub async fn progress(&self) -> Result<(), BusError> {
        let Some(reply) = &self.reply else { return Ok(()) };
        let said = self.client.publish(reply.clone(), Bytes::from_static(b"+WPI")).await;
        said.map_err(|e| BusError::js("keep a delivery alive", e))
    }
}
