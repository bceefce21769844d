//! The document service: reads documents of many formats into text, Markdown, chunks and an analysis.
//!
//! Parsing never happens in the service itself but in killable child processes (`sandbox`).

pub mod analysis;
pub mod chunk;
pub mod config;
pub mod contract;
pub mod error;
pub mod formats;
pub mod job;
pub mod limits;
pub mod model;
pub mod plan;
pub mod render;
pub mod sandbox;
pub mod service;
pub mod sources;
pub mod worker;
