//! Applying batches of the log, one after another.
//!
//! Points are made ready outside of the lock and put in by a few dozen, so that a search never waits for long. What
//! cannot be applied is left out and counted: the log cannot be asked back, and every replica must do the same.

use std::{
    borrow::Cow,
    sync::Arc,
    time::{Duration, Instant},
};

use roaring::RoaringBitmap;
use serde_json::{Map, Value};

use super::{
    Error,
    hub::{TextOp, lock},
    shared::{Order, Shared},
    state::{At, State},
};
use crate::{
    filter::Predicate,
    ops::{Batch, Kind, Upsert, uid},
    segment::{Part, Point, ids, stored::Record},
};

/// How many points are put in under one lock.
const PIECE: usize = 64;
/// How many segments may wait for their files before writers do.
const UNSAVED: usize = 3;
/// How often who waits looks whether the collection was closed or cannot go on.
const LOOK: Duration = Duration::from_secs(5);

/// What became of a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// It was applied before.
    pub repeated: bool,
    /// Points that were put in.
    pub upserted: usize,
    /// Operations that could not be applied: a vector of another dimension, a filter that is none.
    pub refused: usize,
}

/// A batch on its way.
struct Batching<'a> {
    shared: &'a Shared,
    sequence: u64,
    /// Whether its texts are to be indexed: they are not when the index is further already.
    index: bool,
    texts: Vec<TextOp>,
    ready: Vec<(Point<'a>, u64)>,
    done: Applied,
}

impl Shared {
    /// Applies the batch of a sequence, if no such or later one was applied.
    pub fn apply(&self, sequence: u64, batch: &Batch) -> Result<Applied, Error> {
        // Before the order is taken: who makes room may need it.
        self.room()?;
        let mut order = lock(&self.order);
        if sequence <= order.sequence {
            return Ok(Applied { repeated: true, ..Applied::default() });
        }
        let index = sequence > self.texts().sequence();
        let mut batching = Batching {
            shared: self,
            sequence,
            index,
            texts: Vec::new(),
            ready: Vec::with_capacity(PIECE),
            done: Applied::default(),
        };
        for (place, op) in batch.ops.iter().enumerate() {
            batching.op(place, op.kind.as_ref());
        }
        batching.put();
        let Batching { texts, done, .. } = batching;
        order.sequence = sequence;
        self.hub.change(|board| {
            board.put_texts(texts, sequence);
            // A sequence that has nothing for us is no reason to put off what waits for quiet.
            if !batch.ops.is_empty() {
                board.last_write = Instant::now();
            }
        });
        self.applied.send_replace(sequence);
        self.full(&order);
        Ok(done)
    }

    /// Waits until what was written before is not too much to hold.
    fn room(&self) -> Result<(), Error> {
        let most = self.config.waiting_texts;
        loop {
            let board = self.hub.wait(LOOK, |board| {
                board.stop || board.unsaved < UNSAVED && board.text_bytes <= most || board.trouble.is_some()
            });
            if board.stop {
                return Err(Error::Closed);
            }
            if board.unsaved < UNSAVED && board.text_bytes <= most {
                return Ok(());
            }
            if let Some(trouble) = &board.trouble {
                return Err(Error::Stuck(trouble.clone()));
            }
        }
    }

    fn full(&self, order: &Order) {
        let state = self.read();
        let rows = state.growing.part.rows.len();
        let full = rows >= self.config.growing_rows || state.growing.bytes() >= self.config.growing_bytes;
        drop(state);
        if full {
            self.seal(order);
        }
    }
}

impl<'a> Batching<'a> {
    fn op(&mut self, place: usize, kind: Option<&'a Kind>) {
        match kind {
            Some(Kind::Upsert(upsert)) => {
                if let Some(point) = self.ready(upsert) {
                    self.ready.push((point, uid(self.sequence, place)));
                    if self.ready.len() >= PIECE {
                        self.put();
                    }
                } else {
                    self.done.refused += 1;
                }
            }
            Some(Kind::Delete(delete)) => self.delete(&delete.ids),
            Some(Kind::DeleteWhere(delete)) => self.delete_where(&delete.filter),
            Some(Kind::Clear(_)) => self.clear(),
            None => self.done.refused += 1,
        }
    }

    fn ready(&self, upsert: &'a Upsert) -> Option<Point<'a>> {
        self.shared.like.check(&upsert.vector).ok()?;
        let metadata = match upsert.metadata.as_str() {
            "" => Map::new(),
            json => serde_json::from_str::<Map<String, Value>>(json).ok()?,
        };
        let record = Record::new(&metadata, upsert.text.as_deref());
        let hash = ids::hash(&upsert.id);
        Some(Point { id: &upsert.id, hash, vector: Cow::Borrowed(&upsert.vector), metadata, record })
    }

    /// Puts in what is ready.
    fn put(&mut self) {
        if self.ready.is_empty() {
            return;
        }
        let mut state = self.shared.write();
        for (point, uid) in self.ready.drain(..) {
            let Some(had_text) = state.put(&point, uid) else {
                self.done.refused += 1;
                continue;
            };
            self.done.upserted += 1;
            if !self.index {
                continue;
            }
            if point.record.text().is_some() {
                self.texts.push(TextOp::Put { id: point.id.into(), uid, record: point.record });
            } else if had_text {
                self.texts.push(TextOp::Remove(point.id.into()));
            }
        }
    }

    fn delete(&mut self, ids: &[String]) {
        self.put();
        for piece in ids.chunks(PIECE * 8) {
            let mut state = self.shared.write();
            for id in piece {
                if state.delete_id(id) && self.index {
                    self.texts.push(TextOp::Remove(id.as_str().into()));
                }
            }
        }
    }

    fn delete_where(&mut self, filter: &str) {
        self.put();
        let parsed =
            serde_json::from_str::<Value>(filter).ok().and_then(|filter| Predicate::parse(&filter).ok());
        let Some(filter) = parsed else {
            self.done.refused += 1;
            return;
        };
        // Nobody else writes meanwhile: what is selected under one lock can be deleted under the next.
        let state = self.shared.read();
        let places = state.places.clone();
        let growing = state.growing.part.select(Some(&filter), &state.growing.deleted);
        drop(state);
        self.delete_growing(&growing);
        for place in &places {
            let selected = place.segment.part.select(Some(&filter), &place.deleted);
            if self.index {
                let with_text = &selected & &place.segment.part.texts;
                let id = |row| TextOp::Remove(place.segment.part.ids.get(row).into());
                self.texts.extend(with_text.iter().map(id));
            }
            let mut state = self.shared.write();
            // A merge may have taken the segment's place since: then the rows are found by their ids.
            let same = state.places.iter_mut().find(|now| now.segment.number == place.segment.number);
            if let Some(same) = same {
                *Arc::make_mut(&mut same.deleted) |= &selected;
            } else {
                selected.iter().for_each(|row| delete_version(&mut state, &place.segment.part, row));
            }
        }
    }

    fn delete_growing(&mut self, rows: &RoaringBitmap) {
        let mut state = self.shared.write();
        for row in rows {
            if state.delete(At::Growing(row)) && self.index {
                self.texts.push(TextOp::Remove(state.growing.part.ids.get(row).into()));
            }
        }
    }

    fn clear(&mut self) {
        self.put();
        self.shared.write().clear(&self.shared.like);
        if self.index {
            self.texts.clear();
            self.texts.push(TextOp::Clear);
        }
    }
}

/// Deletes a row of a segment that is gone where it is now.
fn delete_version(state: &mut State, part: &Part, row: u32) {
    state.delete_id(part.ids.get(row));
}
