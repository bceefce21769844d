//! Looking without taking: lanes' loads, stored messages by subject or sequence.

use async_nats::jetstream::{self, consumer};
use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _};

use crate::{Bus, BusError, Headers};

/// A consumer's load.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Load {
    /// Messages not delivered yet.
    pub queued: u64,
    /// Messages delivered and not acknowledged.
    pub out: u64,
    /// Messages delivered more than once and not acknowledged.
    pub redelivered: u64,
    /// Pull requests that stand.
    pub waiting: u64,
    /// Sequence of the last message that was delivered, in its stream.
    pub delivered: u64,
}

/// A stored message.
#[derive(Debug, Clone)]
pub struct StoredMessage {
    /// Its subject.
    pub subject: String,
    /// Its sequence in the stream.
    pub sequence: u64,
    /// Its headers.
    pub headers: Headers,
    /// Its body.
    pub body: Bytes,
    /// When it was stored, in microseconds since the epoch.
    pub stored_at_us: i64,
}

/// A stream's size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamLoad {
    /// Messages in it.
    pub messages: u64,
    /// Bytes in it.
    pub bytes: u64,
    /// The first sequence.
    pub first: u64,
    /// The last sequence.
    pub last: u64,
    /// Copies of it.
    pub replicas: usize,
}

impl From<jetstream::message::StreamMessage> for StoredMessage {
    fn from(m: jetstream::message::StreamMessage) -> Self {
        Self {
            subject: m.subject.to_string(),
            sequence: m.sequence,
            headers: Headers(m.headers),
            body: m.payload,
            stored_at_us: i64::try_from(m.time.unix_timestamp_nanos() / 1_000).unwrap_or(0),
        }
    }
}

impl Bus {
    /// A consumer's load.
    ///
    /// # Errors
    /// [`BusError::NotFound`], else [`BusError::JetStream`].
    pub async fn lane(&self, stream: &str, consumer: &str) -> Result<Load, BusError> {
        let subject = format!("CONSUMER.INFO.{stream}.{consumer}");
        let failed = |e: &dyn std::fmt::Display| BusError::js(format!("look at {consumer} on {stream}"), e);
        let info: jetstream::response::Response<consumer::Info> =
            self.js.request(subject, &serde_json::json!({})).await.map_err(|e| failed(&e))?;
        match info {
            jetstream::response::Response::Ok(info) => Ok(Load {
                queued: info.num_pending,
                out: info.num_ack_pending as u64,
                redelivered: info.num_redelivered as u64,
                waiting: info.num_waiting as u64,
                delivered: info.delivered.stream_sequence,
            }),
            jetstream::response::Response::Err { error }
                if error.error_code() == jetstream::ErrorCode::CONSUMER_NOT_FOUND =>
            {
                Err(BusError::NotFound(format!("the consumer {consumer} on {stream}")))
            }
            jetstream::response::Response::Err { error } => Err(failed(&error)),
        }
    }

    /// Names of a stream's consumers.
    ///
    /// # Errors
    /// [`BusError::JetStream`].
    pub async fn consumers(&self, stream: &str) -> Result<Vec<String>, BusError> {
        let handle = self.no_info(stream).await?;
        let names = handle.consumer_names().try_collect().await;
        names.map_err(|e| BusError::js(format!("list the consumers of {stream}"), e))
    }

    /// A stream's size.
    ///
    /// # Errors
    /// [`BusError::JetStream`].
    pub async fn stream_load(&self, stream: &str) -> Result<StreamLoad, BusError> {
        let failed = |e: &dyn std::fmt::Display| BusError::js(format!("look at the stream {stream}"), e);
        let mut stream = self.js.get_stream(stream).await.map_err(|e| failed(&e))?;
        let info = stream.info().await.map_err(|e| failed(&e))?;
        let state = &info.state;
        Ok(StreamLoad {
            messages: state.messages,
            bytes: state.bytes,
            first: state.first_sequence,
            last: state.last_sequence,
            replicas: info.config.num_replicas,
        })
    }

    /// The last message on a subject.
    ///
    /// # Errors
    /// [`BusError::NotFound`], else [`BusError::JetStream`].
    pub async fn last_on(&self, stream: &str, subject: &str) -> Result<StoredMessage, BusError> {
        let handle = self.no_info(stream).await?;
        handle
            .direct_get_last_for_subject(subject)
            .await
            .map(Into::into)
            .map_err(|e| missing_or(subject.to_owned(), &e))
    }

    /// The message of a sequence.
    ///
    /// # Errors
    /// [`BusError::NotFound`], else [`BusError::JetStream`].
    pub async fn message_at(&self, stream: &str, sequence: u64) -> Result<StoredMessage, BusError> {
        let handle = self.no_info(stream).await?;
        let name = format!("message {sequence} of {stream}");
        handle.direct_get(sequence).await.map(Into::into).map_err(|e| missing_or(name, &e))
    }

    /// The first message on subjects that match `filter` from `sequence` on.
    ///
    /// # Errors
    /// [`BusError::NotFound`] at the end, else [`BusError::JetStream`].
    pub async fn next_on(
        &self,
        stream: &str,
        filter: &str,
        sequence: u64,
    ) -> Result<StoredMessage, BusError> {
        let handle = self.no_info(stream).await?;
        handle
            .direct_get_next_for_subject(filter, Some(sequence))
            .await
            .map(Into::into)
            .map_err(|e| missing_or(filter.to_owned(), &e))
    }

    /// Removes the message of a sequence.
    ///
    /// # Errors
    /// [`BusError::JetStream`].
    pub async fn remove_message(&self, stream: &str, sequence: u64) -> Result<(), BusError> {
        let handle = self.no_info(stream).await?;
        handle
            .delete_message(sequence)
            .await
            .map(drop)
            .map_err(|e| BusError::js(format!("remove message {sequence} of {stream}"), e))
    }

    /// The subjects that match `filter` and have messages, at most so many, with how many each has.
    ///
    /// # Errors
    /// [`BusError::JetStream`].
    pub async fn subjects(
        &self,
        stream: &str,
        filter: &str,
        most: usize,
    ) -> Result<Vec<(String, usize)>, BusError> {
        let failed = |e: &dyn std::fmt::Display| BusError::js(format!("list {filter} of {stream}"), e);
        let handle = self.no_info(stream).await?;
        let found = handle.info_with_subjects(filter).await.map_err(|e| failed(&e))?;
        found.take(most).try_collect().await.map_err(|e| failed(&e))
    }

    /// Removes the messages of a subject up to a sequence, that one among them; all of them where none is given.
    ///
    /// # Errors
    /// [`BusError::JetStream`].
    pub async fn purge(&self, stream: &str, subject: &str, up_to: Option<u64>) -> Result<(), BusError> {
        let handle = self.no_info(stream).await?;
        let purge = handle.purge().filter(subject);
        let purged = match up_to {
            Some(sequence) => purge.sequence(sequence.saturating_add(1)).await,
            None => purge.await,
        };
        purged.map(drop).map_err(|e| BusError::js(format!("purge {subject} of {stream}"), e))
    }

    async fn no_info(&self, stream: &str) -> Result<jetstream::stream::Stream<()>, BusError> {
        self.js
            .get_stream_no_info(stream)
            .await
            .map_err(|e| BusError::js(format!("open the stream {stream}"), e))
    }
}

fn missing_or(what: String, e: &jetstream::stream::DirectGetError) -> BusError {
    match e.kind() {
        jetstream::stream::DirectGetErrorKind::NotFound => BusError::NotFound(what),
        _ => BusError::js(format!("read {what}"), e),
    }
}
