//! The document service: reads documents of many formats into text, Markdown, chunks and an analysis.
//!
//! Parsing never happens in the service itself but in killable child processes (`sandbox`).

pub mod error;
pub mod formats;
pub mod limits;
pub mod model;
pub mod render;
