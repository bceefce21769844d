//! Rows with all that is searched of them, as they lie in memory: the growing part of a collection, or a segment.

use std::{borrow::Cow, io};

use roaring::RoaringBitmap;
use serde_json::{Map, Value};

use super::{
    Segment,
    ids::{self, Ids},
    stored::Record,
};
use crate::{
    filter::{Index, Predicate},
    space::Rows,
};

/// Rows in the order of their versions.
pub struct Part {
    /// The vectors.
    pub rows: Rows,
    /// Whose rows they are.
    pub ids: Ids,
    /// Which versions they are, ascending.
    pub uids: Vec<u64>,
    /// What filters select.
    pub filters: Index,
    /// Rows that have a text.
    pub texts: RoaringBitmap,
}

/// A point that is ready to become a row.
pub struct Point<'a> {
    /// Its id.
    pub id: &'a str,
    /// The id's hash.
    pub hash: u64,
    /// Checked against the rows.
    pub vector: Cow<'a, [f32]>,
    /// For filters.
    pub metadata: Map<String, Value>,
    /// What is shown of it.
    pub record: Record,
}

impl Part {
    /// Nothing, of the kind of these rows.
    #[must_use]
    pub fn like(rows: &Rows) -> Self {
        let rows = Rows::new(rows.dimension(), rows.metric(), rows.precision());
        Self {
            rows,
            ids: Ids::default(),
            uids: Vec::new(),
            filters: Index::new(),
            texts: RoaringBitmap::new(),
        }
    }

    /// Adds the next row. `None`, and nothing is added, when the part can take no more.
    pub fn push(&mut self, point: &Point<'_>, uid: u64) -> Option<u32> {
        if !self.ids.push(point.id, point.hash) {
            return None;
        }
        let row = self.rows.push(&point.vector);
        self.note(row, uid, &point.metadata, point.record.text().is_some());
        Some(row)
    }

    /// Adds a row of a segment as it is.
    ///
    /// # Errors
    /// When its record cannot be read, or the part can take no more.
    pub fn push_from(&mut self, from: &Segment, row: u32) -> io::Result<()> {
        let full = || io::Error::new(io::ErrorKind::InvalidInput, "the rows do not fit");
        let record = from.stored.get(row)?;
        let id = from.part.ids.get(row);
        let uid = *from.part.uids.get(row as usize).ok_or_else(full)?;
        if !self.ids.push(id, ids::hash(id)) {
            return Err(full());
        }
        let new = self.rows.append_from(&from.part.rows, row).map_err(io::Error::other)?;
        self.note(new, uid, &record.metadata(), record.text().is_some());
        Ok(())
    }

    fn note(&mut self, row: u32, uid: u64, metadata: &Map<String, Value>, text: bool) {
        self.filters.push(row, metadata);
        self.uids.push(uid);
        if text {
            self.texts.insert(row);
        }
    }

    /// The row of a version.
    #[must_use]
    pub fn row_of(&self, uid: u64) -> Option<u32> {
        if self.uids.first().is_none_or(|first| *first > uid)
            || self.uids.last().is_none_or(|last| *last < uid)
        {
            return None;
        }
        self.uids.binary_search(&uid).ok().map(|row| row as u32)
    }

    /// Rows that are alive, and match the filter if there is one.
    #[must_use]
    pub fn select(&self, filter: Option<&Predicate>, deleted: &RoaringBitmap) -> RoaringBitmap {
        let mut selected = match filter {
            Some(filter) => self.filters.select(filter),
            None => (0..self.rows.len()).collect(),
        };
        selected -= deleted;
        selected
    }

    /// Memory it takes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.rows.bytes()
            + self.ids.bytes()
            + self.uids.capacity() as u64 * 8
            + self.filters.bytes()
            + self.texts.serialized_size() as u64
    }
}
