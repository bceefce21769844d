//! The log: one subject of the stream `VECTORS` for each collection. Writers put batches into it; a follower, one in each
//! process, applies them to the collections that are open here.

mod follower;
mod renumber;
mod writer;

use tasklane_runtime::contract::subjects;

pub use follower::{Follower, Progress};
pub use writer::write;

/// No collection has this id; what its log has only uses up numbers.
const NOBODYS: &str = "none";

/// The subject of a collection's log.
pub fn subject(id: &str) -> String {
    format!("{}{id}", subjects::VECTORS_PREFIX)
}

/// The collection whose log a subject is.
pub fn id_of(subject: &str) -> Option<&str> {
    subject.strip_prefix(subjects::VECTORS_PREFIX)
}
