//! Filters over the metadata of points: what a filter says (`parse`), what it means (`Predicate::matches`), which
//! rows it selects without looking at them one by one (`Index`), and how a filtered search is best done (`plan`).
//!
//! The language is JSON. `{"lang": "en"}` is equality, several keys mean *and*:
//!
//! | | |
//! |---|---|
//! | `{"year": {"$gte": 2020, "$lt": 2024}}` | the bounds of one object hold for one and the same value |
//! | `$eq` `$ne` `$in` `$nin` | a text, a number, true, false or null; `$ne` and `$nin` hold where nothing is equal, also where the field is missing |
//! | `$gt` `$gte` `$lt` `$lte` | numbers among numbers, texts among texts (by their bytes) |
//! | `{"lang": {"$exists": true}}` | the field is there, whatever it holds; null is a value and not a missing field |
//! | `{"$and": [..]}` `{"$or": [..]}` `{"$not": {..}}` | of filters |
//!
//! A dotted name goes into nested objects, and a key that has the dots in it is the same field. A list stands for each
//! of its members, so that a filter holds if it does for any of them.

mod index;
mod number;
mod ordered;
mod parse;
mod plan;
mod predicate;
mod walk;

pub use index::Index;
pub use parse::Wrong;
pub use plan::{Costs, Way, beam, way, way_by};
pub use predicate::Predicate;

// For `qdrant`, which asks the same of another engine.
pub(crate) use number::Key;
pub(crate) use parse::MOST_NAME;
pub(crate) use predicate::{Atom, Node, Range, Test};
pub(crate) use walk::each;

#[cfg(test)]
pub(crate) mod tests;
