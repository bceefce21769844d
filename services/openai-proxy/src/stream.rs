//! An answer in pieces, on its way from a provider to whoever asked: forwarded as it came, and read along.

use std::time::Duration;

use bytes::Bytes;
use reqwest::Response;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::api_error::ApiError;
use crate::client;
use crate::sse::{Event, Sniffed, Splitter, Tally, sniff};

/// An event is no larger than this, in bytes.
const MOST_OF_EVENT: usize = 8 << 20;

/// How pieces are passed on.
pub struct Pump {
    /// Where they go; whoever asked has gone when this is closed.
    pub out: mpsc::Sender<Bytes>,
    /// Whether the chunk with the usage was our wish alone.
    pub hides_usage: bool,
    /// The model as it was asked for, for errors.
    pub asked: String,
    /// How long the next piece may take.
    pub between: Duration,
    /// When all of it has to be there.
    pub until: Instant,
}

/// How a stream ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// The provider said all.
    Whole,
    /// Whoever asked went away; the provider's answer was cut off.
    ClientGone,
    /// The provider broke off, fell silent, or sent what is no stream of events.
    Broken,
}

/// What is known of a stream that is over.
pub struct Ended {
    /// What its events said together.
    pub tally: Tally,
    /// How it ended.
    pub how: How,
}

/// Passes pieces on until the end. Where the provider breaks off, an error event says so.
pub async fn pump(mut answer: Response, first: Bytes, pump: Pump) -> Ended {
    let mut reader = Reader { splitter: Splitter::new(MOST_OF_EVENT), tally: Tally::default(), done: false };
    let mut piece = Some(first);
    let how = loop {
        let Some(bytes) = piece.take() else {
            if let Some(rest) = reader.splitter.finish()
                && !forward(&mut reader, rest, &pump).await
            {
                break How::ClientGone;
            }
            break if reader.done || reader.tally.error.is_none() { How::Whole } else { How::Broken };
        };
        let mut events = Vec::new();
        if reader.splitter.feed(bytes, &mut events).is_err() {
            break How::Broken;
        }
        let mut gone = false;
        for event in events {
            gone = gone || !forward(&mut reader, event, &pump).await;
        }
        if gone {
            break How::ClientGone;
        }
        let patience = pump.between.min(pump.until.saturating_duration_since(Instant::now()));
        let next = tokio::select! {
            next = client::next(&mut answer, patience) => next,
            () = pump.out.closed() => break How::ClientGone,
        };
        match next {
            Ok(next) => piece = next,
            Err(e) => {
                tracing::warn!(model = pump.asked, "a stream broke off: {e}");
                break How::Broken;
            }
        }
    };
    if how == How::Broken && !reader.done {
        let said = ApiError::BadUpstream { model: pump.asked.clone(), reason: "it broke off".to_owned() };
        // Whoever asked may have gone as well.
        drop(pump.out.send(said.event().into()).await);
    }
    Ended { tally: reader.tally, how }
}

struct Reader {
    splitter: Splitter,
    tally: Tally,
    done: bool,
}

/// Reads an event along and passes it on. False where nobody listens any more.
async fn forward(reader: &mut Reader, event: Event, pump: &Pump) -> bool {
    let mut hidden = false;
    if event.is_done() {
        reader.done = true;
    } else if let Some(data) = event.data() {
        let said: Sniffed = sniff(&data);
        hidden = pump.hides_usage && said.usage.is_some() && said.chars == 0 && has_no_choices(&data);
        reader.tally.add(said);
    }
    hidden || pump.out.send(event.raw).await.is_ok()
}

/// The last chunk of a chat stream that was asked for its usage: `"choices": []`.
fn has_no_choices(data: &[u8]) -> bool {
    #[derive(serde::Deserialize)]
    struct Chunk<'a> {
        #[serde(borrow)]
        choices: Vec<&'a serde_json::value::RawValue>,
    }
    serde_json::from_slice::<Chunk<'_>>(data).is_ok_and(|chunk| chunk.choices.is_empty())
}
