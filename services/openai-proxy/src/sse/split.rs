//! Cuts a stream into events, whatever the chunks it arrives in.
//!
//! The format is that of the HTML standard, "Server-sent events": lines end with CR LF, LF or CR, and a blank line ends
//! an event. Two things are our own. A comment ahead of an event's first field is passed on at once, because it keeps
//! a connection alive only if it does not wait for the event. And nothing is held but the bytes of one unfinished
//! event, which are bounded.

use bytes::{Bytes, BytesMut};

use super::Event;

/// An event is larger than the bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the upstream sent an event of more than {max} bytes; raise the bound on one event if that is expected"
)]
pub struct TooLarge {
    /// The bound in bytes.
    pub max: usize,
}

/// Cuts a stream into events. Where an event lies within one chunk, it shares the chunk's memory; only what spans
/// chunks is copied, once. Every byte is looked at once.
///
/// An event that ends with a lone CR at the end of a chunk waits for the next byte, for that may be the LF that belongs
/// to it.
#[derive(Debug)]
pub struct Splitter {
    max: usize,
    /// The beginning of an event whose end has not come yet, at most `max` bytes.
    held: BytesMut,
    line: Line,
    /// Whether a field has been seen in the current event.
    fields: bool,
    broken: bool,
}

/// What is known of the current line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line {
    /// No byte has come.
    Blank,
    /// It begins with a colon.
    Comment,
    /// It begins otherwise.
    Field,
    /// It was the given kind, and a CR came. An LF next belongs to it.
    Cr(Kind),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Blank,
    Comment,
    Field,
}

impl Splitter {
    /// A splitter for a new stream. No event may have more than `max` bytes, line ends included.
    #[must_use]
    pub fn new(max: usize) -> Self {
        Self { max, held: BytesMut::new(), line: Line::Blank, fields: false, broken: false }
    }

    /// How many bytes of an unfinished event are held.
    #[must_use]
    pub fn held(&self) -> usize {
        self.held.len()
    }

    /// Takes the next chunk and appends the events that it completes.
    ///
    /// # Errors
    /// When an event is too large. The events before it have been appended; the rest of the stream is lost, and every
    /// later call fails as well.
    pub fn feed(&mut self, mut chunk: Bytes, events: &mut Vec<Event>) -> Result<(), TooLarge> {
        if self.broken {
            return Err(TooLarge { max: self.max });
        }
        while let Some(end) = self.scan(&chunk) {
            let tail = chunk.split_to(end);
            events.push(self.complete(tail)?);
        }
        self.check(chunk.len())?;
        self.held.extend_from_slice(&chunk);
        Ok(())
    }

    /// Ends the stream and gives what is left, if anything: bytes without a blank line after them, or an event that
    /// waited for the LF after its CR. The splitter is ready for a new stream.
    pub fn finish(&mut self) -> Option<Event> {
        let complete = match self.line {
            Line::Cr(kind) => self.ends_event(kind),
            _ => false,
        };
        let raw = self.held.split().freeze();
        *self = Self::new(self.max);
        (!raw.is_empty()).then_some(Event { raw, complete })
    }

    /// Where in the chunk the current event ends, exclusive. `None` if it goes on past the chunk.
    fn scan(&mut self, chunk: &[u8]) -> Option<usize> {
        let mut at = 0;
        while let Some(&byte) = chunk.get(at) {
            if let Line::Cr(kind) = self.line {
                self.line = Line::Blank;
                let end = if byte == b'\n' { at + 1 } else { at };
                if self.ends_event(kind) {
                    return Some(end);
                }
                at = end;
                continue;
            }
            match byte {
                b'\r' => self.line = Line::Cr(self.line.kind()),
                b'\n' => {
                    let kind = self.line.kind();
                    self.line = Line::Blank;
                    if self.ends_event(kind) {
                        return Some(at + 1);
                    }
                }
                _ => {
                    if self.line == Line::Blank {
                        self.line = if byte == b':' { Line::Comment } else { Line::Field };
                    }
                    // The rest of the line says nothing about where the event ends.
                    at += chunk[at..].iter().take_while(|b| !matches!(b, b'\r' | b'\n')).count();
                    continue;
                }
            }
            at += 1;
        }
        None
    }

    /// Whether a line of this kind, now ended, ends the event. Remembers fields.
    fn ends_event(&mut self, kind: Kind) -> bool {
        let ends = match kind {
            Kind::Blank => true,
            Kind::Comment => !self.fields,
            Kind::Field => false,
        };
        self.fields = !ends && (self.fields || kind == Kind::Field);
        ends
    }

    /// An event of what was held and its last bytes.
    fn complete(&mut self, tail: Bytes) -> Result<Event, TooLarge> {
        self.check(tail.len())?;
        if self.held.is_empty() {
            return Ok(Event { raw: tail, complete: true });
        }
        self.held.extend_from_slice(&tail);
        Ok(Event { raw: self.held.split().freeze(), complete: true })
    }

    /// Refuses more bytes than the event may have, before they are kept.
    fn check(&mut self, more: usize) -> Result<(), TooLarge> {
        if self.held.len().saturating_add(more) <= self.max {
            return Ok(());
        }
        self.broken = true;
        self.held = BytesMut::new();
        Err(TooLarge { max: self.max })
    }
}

impl Line {
    fn kind(self) -> Kind {
        match self {
            Self::Blank => Kind::Blank,
            Self::Comment => Kind::Comment,
            Self::Field => Kind::Field,
            Self::Cr(kind) => kind,
        }
    }
}
