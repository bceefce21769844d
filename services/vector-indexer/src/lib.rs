//! The vector indexer: collections of vectors with their text and metadata, kept by a log and searched in memory.

pub mod collection;
pub mod filter;
pub mod graph;
pub mod ops;
pub mod segment;
pub mod space;
pub mod text;
