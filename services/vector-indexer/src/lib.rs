//! The vector indexer: collections of vectors with their text and metadata, kept by a log and searched in memory.

pub mod catalogue;
pub mod collection;
pub mod config;
pub mod error;
pub mod filter;
pub mod graph;
pub mod inquiries;
pub mod log;
pub mod meters;
pub mod ops;
pub mod qdrant;
pub mod segment;
pub mod service;
pub mod shelf;
pub mod snapshots;
pub mod space;
pub mod tasks;
pub mod text;
