//! Points by id: some, or all in the order of their ids.

use std::{collections::BinaryHeap, io};

use super::{
    Error,
    question::{Hit, With},
    search::View,
    shared::Shared,
    state::{At, Growing},
};
use crate::{
    collection::search::{Candidate, Origin},
    filter::Predicate,
    segment::ids,
};

impl Shared {
    /// See [`super::Collection::get`].
    pub fn get(&self, ids: &[String], with: With) -> Result<(Vec<Hit>, u64), Error> {
        let state = self.read();
        let find = |id: &String| {
            Some(match state.find(id, ids::hash(id))? {
                At::Growing(row) => state.growing.candidate(0.0, row, with).origin,
                At::Place(at, row) => Origin::Old(at, row),
            })
        };
        let origins: Vec<Origin> = ids.iter().filter_map(find).collect();
        let view = View { places: state.places.clone(), sequence: *self.applied.borrow() };
        drop(state);
        let hits = origins.into_iter().map(|origin| view.hit(0.0, origin, with));
        Ok((hits.collect::<io::Result<_>>()?, view.sequence))
    }

    /// See [`super::Collection::list`].
    pub fn list(
        &self,
        filter: Option<&Predicate>,
        after: Option<&str>,
        limit: usize,
        with: With,
    ) -> Result<(Vec<Hit>, u64), Error> {
        let after = after.unwrap_or_default();
        let filter = filter.filter(|filter| !filter.is_everything());
        let state = self.read();
        let mut first = First { limit, heap: BinaryHeap::new() };
        young(&state.growing, filter, after, with, &mut first);
        let view = View { places: state.places.clone(), sequence: *self.applied.borrow() };
        drop(state);
        for (at, place) in view.places.iter().enumerate() {
            let part = &place.segment.part;
            for row in part.select(filter, &place.deleted) {
                let id = part.ids.get(row);
                if id > after && first.takes(id) {
                    first.add(id, place.candidate(0.0, at, row));
                }
            }
        }
        let hits = first.heap.into_sorted_vec().into_iter().map(|named| view.hit(0.0, named.1.origin, with));
        Ok((hits.collect::<io::Result<_>>()?, view.sequence))
    }
}

fn young(growing: &Growing, filter: Option<&Predicate>, after: &str, with: With, first: &mut First) {
    for row in growing.part.select(filter, &growing.deleted) {
        let id = growing.part.ids.get(row);
        if id > after && first.takes(id) {
            first.add(id, growing.candidate(0.0, row, with));
        }
    }
}

/// A point under its id: ids are different, so that they alone say the order.
struct Named(String, Candidate);

impl PartialEq for Named {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}
impl Eq for Named {}
impl PartialOrd for Named {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Named {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.cmp(&other.0)
    }
}

/// Those with the smallest ids.
struct First {
    limit: usize,
    heap: BinaryHeap<Named>,
}

impl First {
    fn takes(&self, id: &str) -> bool {
        self.heap.len() < self.limit || self.heap.peek().is_some_and(|last| *id < *last.0)
    }

    fn add(&mut self, id: &str, candidate: Candidate) {
        self.heap.push(Named(id.to_owned(), candidate));
        if self.heap.len() > self.limit {
            self.heap.pop();
        }
    }
}
