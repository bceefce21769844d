//! Collections that are kept by a qdrant, for what is beyond one machine's memory: the same tasks, another place.
//!
//! The catalogue says that a collection is there, and nothing of it is here: no files, no log, no sequence. What a write of
//! ours becomes there (`points`, `terms`, `words`) and what a filter means (`filter`) is decided without I/O; `client` is
//! the way to it, and `collections`, `write` and `read` are what is asked.

mod client;
mod collections;
mod filter;
mod points;
mod read;
mod terms;
mod words;
mod write;

pub use client::{Calls, Engine};

use uuid::Uuid;

/// What our ids and terms are hashed in. It is never changed: points are found by it.
const NAMESPACE: Uuid = Uuid::from_u128(0x6c1f_2b54_8a0e_4d67_9f3b_51c7_0e9a_d482);

/// The vector that is searched by meaning.
const DENSE: &str = "vector";
/// The one that is searched by words.
const SPARSE: &str = "text";

// Fields of a payload.
const ID: &str = "id";
const TEXT: &str = "text";
const METADATA: &str = "metadata";
const TERMS: &str = "terms";
const NUMBERS: &str = "numbers";
const WIDE: &str = "wide";
const HIGH: &str = "high";
const LOW: &str = "low";

#[cfg(test)]
mod tests;
