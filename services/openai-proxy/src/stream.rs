//! An answer in pieces, on its way from a provider to whoever asked: forwarded as it came, and read along.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::Response;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::answers::{Pieces, Whole};
use crate::api_error::ApiError;
use crate::cache::{Entry, FromCache};
use crate::client;
use crate::recording::Heard;
use crate::sse::{Event, Sniffed, Splitter, sniff};

/// An event is no larger than this, in bytes.
const MOST_OF_EVENT: usize = 8 << 20;

/// The content type of a stream of events.
pub const EVENTS: &str = "text/event-stream; charset=utf-8";

/// How pieces are passed on.
pub struct Pump {
    /// Where they go; whoever asked has gone when this is closed.
    pub out: mpsc::Sender<Bytes>,
    /// Whether the chunk with the usage was our wish alone.
    pub hides_usage: bool,
    /// Whether it is a stream of the responses API, which ends with an event that says how, instead of `[DONE]`.
    pub is_typed: bool,
    /// The model as it was asked for, for errors.
    pub asked: String,
    /// How long the next piece may take.
    pub between: Duration,
    /// When all of it has to be there.
    pub until: Instant,
    /// Whether what is passed on is kept, up to so many bytes.
    pub keeps: Option<usize>,
    /// Where what is said is recorded.
    pub heard: Option<Heard>,
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
    pub tally: Sniffed,
    /// How it ended.
    pub how: How,
    /// All that was passed on, where it was to be kept and its end was there.
    pub kept: Option<Bytes>,
    /// What was said, where it is recorded.
    pub heard: Option<Heard>,
}

/// Passes pieces on until the end. Where the provider breaks off, an error event says so.
pub async fn pump(mut answer: Response, first: Bytes, mut pump: Pump) -> Ended {
    let mut reader = Reader {
        splitter: Splitter::new(MOST_OF_EVENT),
        tally: Sniffed::default(),
        done: false,
        kept: pump.keeps.map(|_| BytesMut::new()),
        heard: pump.heard.take(),
    };
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
    // An error that the provider told itself has been passed on: a second one would hide it.
    if how == How::Broken && !reader.done && reader.tally.error.is_none() {
        let said = ApiError::BadUpstream { model: pump.asked.clone(), reason: "it broke off".to_owned() };
        // Whoever asked may have gone as well.
        drop(pump.out.send(said.event().into()).await);
    }
    let is_all = how == How::Whole && reader.tally.error.is_none() && !reader.tally.finish.is_empty();
    let kept = reader.kept.filter(|_| is_all).map(BytesMut::freeze);
    Ended { tally: reader.tally, how, kept, heard: reader.heard }
}

/// A stream that was kept, event by event as it came.
pub fn replay(entry: &Entry) -> Pieces {
    let mut splitter = Splitter::new(MOST_OF_EVENT);
    let mut events = Vec::new();
    // What was kept was split once already.
    if splitter.feed(entry.body.clone(), &mut events).is_err() {
        events.clear();
    }
    events.extend(splitter.finish());
    let (out, pieces) = mpsc::channel(events.len().max(1));
    for event in events {
        if out.try_send(event.raw).is_err() {
            break;
        }
    }
    let whole = Whole::kept(&entry.model, &entry.content_type, Bytes::new());
    Pieces { headers: whole.headers, pieces, model: whole.model, cache: FromCache::Hit }
}

struct Reader {
    splitter: Splitter,
    tally: Sniffed,
    done: bool,
    kept: Option<BytesMut>,
    heard: Option<Heard>,
}

/// Reads an event along and passes it on. False where nobody listens any more.
async fn forward(reader: &mut Reader, event: Event, pump: &Pump) -> bool {
    let mut hidden = false;
    if event.is_done() {
        reader.done = true;
    } else if let Some(data) = event.data() {
        if let Some(heard) = &mut reader.heard {
            heard.listen(&data);
        }
        let said = sniff(&data);
        reader.done = reader.done || (pump.is_typed && !said.finish.is_empty());
        hidden = pump.hides_usage && said.usage.is_some() && said.chars == 0 && has_no_choices(&data);
        reader.tally.add(said);
    }
    if hidden {
        return true;
    }
    if let (Some(kept), Some(most)) = (&mut reader.kept, pump.keeps) {
        kept.extend_from_slice(&event.raw);
        if kept.len() > most {
            reader.kept = None;
        }
    }
    pump.out.send(event.raw).await.is_ok()
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
