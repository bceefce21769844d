//! The textual side of a search. The index of texts knows versions; which of them are alive, and match, is known here.
//!
//! The index is behind what was applied by a commit, so that it finds versions that are gone. A few more than wanted
//! are asked for and the dead ones left out; only when too few are left, or with a filter, the index asks for every
//! text that it considers.

use roaring::RoaringBitmap;

use super::{
    Error,
    question::With,
    search::Candidate,
    shared::Shared,
    state::{Place, State},
};
use crate::filter::Predicate;

/// How many more are asked for, so that a few dead ones need no second search.
const MORE: usize = 16;

/// What the index of texts found.
pub struct Words {
    /// Score and version, best first.
    pub hits: Vec<(f32, u64)>,
    /// Up to where the index was.
    pub sequence: u64,
}

/// Versions that may be found.
struct Allowed {
    young: Vec<u64>,
    places: Vec<(Place, RoaringBitmap)>,
}

impl Allowed {
    fn has(&self, uid: u64) -> bool {
        let old = |(place, rows): &(Place, RoaringBitmap)| {
            place.segment.part.row_of(uid).is_some_and(|row| rows.contains(row))
        };
        self.young.binary_search(&uid).is_ok() || self.places.iter().any(old)
    }
}

impl Shared {
    pub(super) fn words(
        &self,
        text: &str,
        wanted: usize,
        filter: Option<&Predicate>,
    ) -> Result<Words, Error> {
        let texts = self.texts();
        let sequence = texts.sequence();
        if filter.is_none() {
            let mut hits = texts.search(text, wanted + MORE, None)?;
            let full = hits.len() >= wanted + MORE;
            let state = self.read();
            hits.retain(|(_, uid)| alive(&state, *uid));
            drop(state);
            if !full || hits.len() >= wanted {
                hits.truncate(wanted);
                return Ok(Words { hits, sequence });
            }
        }
        let allowed = self.allowed(filter);
        let hits = texts.search(text, wanted, Some(&|uid| allowed.has(uid)))?;
        Ok(Words { hits, sequence })
    }

    fn allowed(&self, filter: Option<&Predicate>) -> Allowed {
        let state = self.read();
        let growing = &state.growing;
        let rows = growing.part.select(filter, &growing.deleted) & &growing.part.texts;
        let young = rows.iter().filter_map(|row| growing.part.uids.get(row as usize).copied()).collect();
        let places = state.places.clone();
        drop(state);
        let select = |place: Place| {
            let rows = place.segment.part.select(filter, &place.deleted);
            (place, rows)
        };
        Allowed { young, places: places.into_iter().map(select).collect() }
    }
}

fn alive(state: &State, uid: u64) -> bool {
    let growing = &state.growing;
    growing.part.row_of(uid).is_some_and(|row| growing.live(row))
        || state.places.iter().any(|place| old(place, uid).is_some())
}

fn old(place: &Place, uid: u64) -> Option<u32> {
    place.segment.part.row_of(uid).filter(|row| !place.deleted.contains(*row))
}

/// The points of versions that are still alive.
pub fn resolve(hits: &[(f32, u64)], state: &State, with: With) -> Vec<Candidate> {
    let growing = &state.growing;
    let one = |(score, uid): &(f32, u64)| {
        if let Some(row) = growing.part.row_of(*uid).filter(|row| growing.live(*row)) {
            return Some(growing.candidate(-score, row, with));
        }
        let mut places = state.places.iter().enumerate();
        places.find_map(|(at, place)| Some(place.candidate(-score, at, old(place, *uid)?)))
    };
    hits.iter().filter_map(one).collect()
}
