//! Searching: what is in the growing part under its lock, the segments without any, then the best of all.

use std::{cell::RefCell, cmp::Ordering, collections::HashMap, io};

use super::{
    Error,
    question::{Found, Hit, MOST_HITS, Search, Vectors, Way, With},
    shared::Shared,
    state::{Growing, Place},
    words::{Words, resolve},
};
use crate::{
    filter::{self, Predicate},
    graph::Scratch,
    segment::stored::Record,
    space::Question,
    text,
};

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::new(Scratch::new());
}

/// A point of the growing part, taken out under its lock.
pub struct Young {
    id: String,
    record: Option<Record>,
    vector: Option<Vec<f32>>,
}

/// Where a hit's point is.
pub enum Origin {
    Young(Young),
    Old(usize, u32),
}

/// A point that may be a hit.
pub struct Candidate {
    /// Smaller is better.
    pub distance: f32,
    pub uid: u64,
    pub origin: Origin,
}

impl Shared {
    /// See [`super::Collection::search`].
    pub fn search(&self, search: &Search) -> Result<Found, Error> {
        let k = search.k.min(MOST_HITS);
        let wanted = search.candidates();
        let filter = search.filter.as_ref().filter(|filter| !filter.is_everything());
        if let Some(vector) = &search.vector {
            self.like.check(vector)?;
        }
        if search.vector.is_none() && search.text.is_none() {
            return Err(Error::NoQuestion);
        }
        let words = search.text.as_ref().map(|text| self.words(text, wanted, filter)).transpose()?;
        let question = search.vector.as_ref().map(|vector| self.like.question(vector));
        let (view, near, best) = self.view(question.as_ref(), words.as_ref(), wanted, filter, search.with);
        let mut way = Way { vectors: Vectors::Not, text: words.is_some() };
        let mut near = near;
        if let Some(question) = &question {
            way.vectors = Vectors::Scan;
            let ef = search.ef.map(|ef| ef.clamp(1, MOST_HITS));
            let mut largest = 0;
            for (at, place) in view.places.iter().enumerate() {
                let (hits, how) = place.nearest(question, wanted, ef, filter);
                if place.segment.rows() > largest {
                    (largest, way.vectors) = (place.segment.rows(), how);
                }
                near.extend(hits.into_iter().map(|(distance, row)| place.candidate(distance, at, row)));
            }
            near.sort_unstable_by(by_distance);
            near.truncate(wanted);
        }
        let scored = match (question.is_some(), words.is_some()) {
            (true, true) => fused(near, best, k),
            (true, false) => near.into_iter().map(|c| (self.config.metric.score(c.distance), c)).collect(),
            _ => best.into_iter().map(|c| (-c.distance, c)).collect::<Vec<_>>(),
        };
        let good = |score: f32| search.admits(score, self.config.metric);
        let scored = scored.into_iter().filter(|(score, _)| good(*score)).take(k);
        let hits = scored.map(|(score, candidate)| view.hit(score, candidate.origin, search.with));
        let hits = hits.collect::<io::Result<_>>()?;
        let text_sequence = words.map_or(0, |words| words.sequence);
        Ok(Found { sequence: view.sequence, text_sequence, hits, way })
    }

    /// What is searched without a lock, and what was found in the growing part: by vector, and by the words.
    fn view(
        &self,
        question: Option<&Question>,
        words: Option<&Words>,
        wanted: usize,
        filter: Option<&Predicate>,
        with: With,
    ) -> (View, Vec<Candidate>, Vec<Candidate>) {
        let state = self.read();
        let growing = &state.growing;
        let near = question.map_or_else(Vec::new, |question| {
            let selected = filter.map(|filter| growing.part.filters.select(filter));
            let hits = growing.part.rows.scan(question, selected.as_ref(), &growing.deleted, wanted);
            hits.into_iter().map(|(distance, row)| growing.candidate(distance, row, with)).collect()
        });
        let best = words.map_or_else(Vec::new, |words| resolve(&words.hits, &state, with));
        let view = View { places: state.places.clone(), sequence: *self.applied.borrow() };
        (view, near, best)
    }
}

/// What is searched without a lock.
pub struct View {
    pub places: Vec<Place>,
    pub sequence: u64,
}

impl View {
    pub fn hit(&self, score: f32, origin: Origin, with: With) -> io::Result<Hit> {
        let (id, record, vector) = match origin {
            Origin::Young(Young { id, record, vector }) => (id, record, vector),
            Origin::Old(at, row) => {
                let Some(place) = self.places.get(at) else { return Ok(Hit::default()) };
                let segment = &place.segment;
                let record = if with.record() { Some(segment.stored.get(row)?) } else { None };
                let vector = with.vector.then(|| segment.part.rows.get(row));
                (segment.part.ids.get(row).to_owned(), record, vector)
            }
        };
        let text = record.as_ref().filter(|_| with.text).and_then(|record| record.text().map(str::to_owned));
        let metadata = record.filter(|_| with.metadata).map(|record| record.metadata());
        Ok(Hit { id, score, vector, text, metadata })
    }
}

impl Growing {
    pub fn candidate(&self, distance: f32, row: u32, with: With) -> Candidate {
        let record = if with.record() { self.records.get(row as usize).cloned() } else { None };
        let vector = with.vector.then(|| self.part.rows.get(row));
        let origin = Origin::Young(Young { id: self.part.ids.get(row).to_owned(), record, vector });
        Candidate { distance, uid: self.part.uids.get(row as usize).copied().unwrap_or_default(), origin }
    }
}

impl Place {
    pub fn candidate(&self, distance: f32, at: usize, row: u32) -> Candidate {
        let uid = self.segment.part.uids.get(row as usize).copied().unwrap_or_default();
        Candidate { distance, uid, origin: Origin::Old(at, row) }
    }

    /// The nearest rows, by the way that costs least. Without an `ef` the beam is as wide as the segment wants.
    fn nearest(
        &self,
        question: &Question,
        k: usize,
        ef: Option<usize>,
        filter: Option<&Predicate>,
    ) -> (Vec<(f32, u32)>, Vectors) {
        let (part, deleted) = (&self.segment.part, &*self.deleted);
        let selected = filter.map(|filter| part.select(Some(filter), deleted));
        let all = u64::from(self.segment.rows());
        let alive = all.saturating_sub(deleted.len());
        let chosen = selected.as_ref().map_or(alive, roaring::RoaringBitmap::len);
        let ef = ef.unwrap_or_else(|| filter::beam(all, chosen, k));
        let graph =
            self.segment.graph.as_deref().filter(|_| filter::way(all, chosen, k, ef) != filter::Way::Scan);
        let Some(graph) = graph else {
            return (part.rows.scan(question, selected.as_ref(), deleted, k), Vectors::Scan);
        };
        let walk = |allowed: Option<&dyn Fn(u32) -> bool>| {
            SCRATCH.with_borrow_mut(|scratch| graph.search(&part.rows, question, k, ef, allowed, scratch))
        };
        match &selected {
            Some(selected) if chosen < alive => {
                (walk(Some(&|row| selected.contains(row))), Vectors::FilteredGraph)
            }
            _ if deleted.is_empty() => (walk(None), Vectors::Graph),
            _ => (walk(Some(&|row| !deleted.contains(row))), Vectors::Graph),
        }
    }
}

fn by_distance(one: &Candidate, other: &Candidate) -> Ordering {
    one.distance.total_cmp(&other.distance).then(one.uid.cmp(&other.uid))
}

/// Both lists as one, by their ranks.
fn fused(near: Vec<Candidate>, best: Vec<Candidate>, k: usize) -> Vec<(f32, Candidate)> {
    let uids = |list: &[Candidate]| list.iter().map(|candidate| candidate.uid).collect::<Vec<_>>();
    let order = text::fuse(&[&uids(&near), &uids(&best)], k);
    let mut all: HashMap<u64, Candidate> = near.into_iter().chain(best).map(|c| (c.uid, c)).collect();
    order.into_iter().filter_map(|(score, uid)| Some((score, all.remove(&uid)?))).collect()
}
