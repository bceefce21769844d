//! What a collection is made of, and what memory it takes.

use serde::Serialize;

use super::shared::Shared;

/// A collection, described.
#[derive(Clone, Debug, Serialize)]
pub struct Description {
    /// Points that are there.
    pub points: u64,
    /// What is applied.
    pub sequence: u64,
    /// What survives a crash without the log.
    pub durable: u64,
    /// Up to where texts are found.
    pub texts: u64,
    /// From where on everything is as the log says; above `sequence` only after opening.
    pub settled: u64,
    /// Its segments.
    pub segments: Vec<SegmentDescription>,
    /// Rows of the growing part.
    pub growing: u32,
    /// Its memory.
    pub memory: Memory,
    /// Why it cannot be brought to disk, if so.
    pub trouble: Option<String>,
}

/// A segment, described.
#[derive(Clone, Debug, Serialize)]
pub struct SegmentDescription {
    /// Its folder's name.
    pub number: u64,
    /// All rows.
    pub rows: u32,
    /// Deleted ones among them.
    pub deleted: u64,
    /// Whether it is searched by a graph.
    pub graph: bool,
    /// Whether it is on disk.
    pub saved: bool,
}

/// Bytes. A merge takes as much again as the segments that it merges.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Memory {
    /// Vectors and their codes.
    pub vectors: u64,
    /// Graphs.
    pub graphs: u64,
    /// Ids and versions.
    pub ids: u64,
    /// What filters select by.
    pub filters: u64,
    /// Deleted rows.
    pub deleted: u64,
    /// Metadata and texts that are not on disk yet, and where those are that are.
    pub records: u64,
    /// Texts that wait for their index.
    pub waiting_texts: u64,
}

impl Memory {
    /// All of it.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.vectors
            + self.graphs
            + self.ids
            + self.filters
            + self.deleted
            + self.records
            + self.waiting_texts
    }

    fn add(&mut self, part: &crate::segment::Part) {
        self.vectors += part.rows.bytes();
        self.ids += part.ids.bytes() + part.uids.capacity() as u64 * 8;
        self.filters += part.filters.bytes() + part.texts.serialized_size() as u64;
    }
}

impl Shared {
    /// See [`super::Collection::describe`].
    pub fn describe(&self) -> Description {
        let state = self.read();
        let mut memory = Memory::default();
        memory.add(&state.growing.part);
        memory.records += state.growing.record_bytes;
        memory.deleted += state.growing.deleted.serialized_size() as u64;
        let (points, growing, places) = (state.points(), state.growing.part.rows.len(), state.places.clone());
        let sequence = *self.applied.borrow();
        drop(state);
        let mut segments = Vec::new();
        for place in &places {
            let segment = &place.segment;
            memory.add(&segment.part);
            memory.graphs += segment.graph.as_ref().map_or(0, |graph| graph.bytes());
            memory.deleted += place.deleted.serialized_size() as u64;
            memory.records += segment.stored.bytes();
            segments.push(SegmentDescription {
                number: segment.number,
                rows: segment.rows(),
                deleted: place.deleted.len(),
                graph: segment.graph.is_some(),
                saved: segment.saved(),
            });
        }
        let board = self.hub.lock();
        memory.waiting_texts = board.text_bytes;
        Description {
            points,
            sequence,
            durable: board.durable,
            texts: board.texted,
            settled: self.settled,
            segments,
            growing,
            memory,
            trouble: board.trouble.clone(),
        }
    }
}
