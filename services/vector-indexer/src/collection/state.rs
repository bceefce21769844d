//! What searches see: the growing part, and the segments with their deleted rows.
//!
//! One lock, held for writing for a few dozen points at a time or to swap in what was made outside of it, and for
//! reading while the growing part is scanned. Segments are searched without it: their deleted rows are shared, and
//! copied by a writer who meets a reader.

use std::sync::Arc;

use roaring::RoaringBitmap;

use crate::{
    segment::{
        Part, Point, Segment, ids,
        manifest::Entry,
        stored::{Record, Stored},
    },
    space::Rows,
};

/// A segment and its deleted rows.
#[derive(Clone)]
pub struct Place {
    pub segment: Arc<Segment>,
    pub deleted: Arc<RoaringBitmap>,
}

impl Place {
    /// Whether no row of it is alive.
    pub fn dead(&self) -> bool {
        self.deleted.len() >= u64::from(self.segment.rows())
    }

    /// As the manifest names it.
    pub fn entry(&self) -> Entry {
        self.segment.entry(Arc::clone(&self.deleted))
    }
}

/// The part that grows.
pub struct Growing {
    pub part: Part,
    pub records: Vec<Record>,
    pub record_bytes: u64,
    pub deleted: RoaringBitmap,
}

impl Growing {
    pub fn like(rows: &Rows) -> Self {
        Self { part: Part::like(rows), records: Vec::new(), record_bytes: 0, deleted: RoaringBitmap::new() }
    }

    pub fn bytes(&self) -> u64 {
        self.part.bytes() + self.record_bytes + self.deleted.serialized_size() as u64
    }

    pub fn live(&self, row: u32) -> bool {
        !self.deleted.contains(row)
    }
}

/// All of a collection.
pub struct State {
    pub growing: Growing,
    pub places: Vec<Place>,
}

/// Where a living row is.
#[derive(Clone, Copy)]
pub enum At {
    Growing(u32),
    Place(usize, u32),
}

impl State {
    /// The living row with an id; there is one at most.
    pub fn find(&self, id: &str, hash: u64) -> Option<At> {
        if let Some(row) = self.growing.part.ids.find(id, hash).filter(|row| self.growing.live(*row)) {
            return Some(At::Growing(row));
        }
        self.places.iter().enumerate().find_map(|(at, place)| {
            let row = place.segment.part.ids.find(id, hash)?;
            (!place.deleted.contains(row)).then_some(At::Place(at, row))
        })
    }

    /// Deletes a row, and says whether it had a text.
    pub fn delete(&mut self, at: At) -> bool {
        match at {
            At::Growing(row) => {
                self.growing.deleted.insert(row);
                self.growing.part.texts.contains(row)
            }
            At::Place(at, row) => self.places.get_mut(at).is_some_and(|place| {
                Arc::make_mut(&mut place.deleted).insert(row);
                place.segment.part.texts.contains(row)
            }),
        }
    }

    /// Deletes what has this id, and says whether it had a text.
    pub fn delete_id(&mut self, id: &str) -> bool {
        self.find(id, ids::hash(id)).is_some_and(|at| self.delete(at))
    }

    /// A point takes the place of what had its id. Says whether that had a text; `None` when no more can be taken.
    pub fn put(&mut self, point: &Point<'_>, uid: u64) -> Option<bool> {
        let before = self.find(point.id, point.hash);
        let row = self.growing.part.push(point, uid)?;
        debug_assert_eq!(row as usize, self.growing.records.len());
        self.growing.record_bytes += point.record.bytes();
        self.growing.records.push(point.record.clone());
        Some(before.is_some_and(|at| self.delete(at)))
    }

    /// Deletes everything.
    pub fn clear(&mut self, like: &Rows) {
        self.growing = Growing::like(like);
        for place in &mut self.places {
            place.deleted = Arc::new((0..place.segment.rows()).collect());
        }
    }

    /// Makes the growing part a segment, if there is anything in it.
    pub fn seal(&mut self, number: u64, like: &Rows) -> bool {
        if self.growing.part.rows.is_empty() {
            return false;
        }
        let Growing { part, records, deleted, .. } =
            std::mem::replace(&mut self.growing, Growing::like(like));
        let stored = Arc::new(Stored::Memory(records));
        let segment = Arc::new(Segment { number, part: Arc::new(part), stored, graph: None });
        self.places.push(Place { segment, deleted: Arc::new(deleted) });
        true
    }

    /// Puts a segment in the place of itself.
    pub fn replace(&mut self, number: u64, change: impl FnOnce(&Segment) -> Segment) {
        if let Some(place) = self.places.iter_mut().find(|place| place.segment.number == number) {
            place.segment = Arc::new(change(&place.segment));
        }
    }

    /// Points that are alive.
    pub fn points(&self) -> u64 {
        let live = |rows: u32, deleted: &RoaringBitmap| u64::from(rows).saturating_sub(deleted.len());
        let places = self.places.iter().map(|place| live(place.segment.rows(), &place.deleted));
        live(self.growing.part.rows.len(), &self.growing.deleted) + places.sum::<u64>()
    }
}
