//! How tasks share a computation: which of them make the next batch, and the threads that run it.

pub mod lane;
pub mod meters;
pub mod plan;

pub use lane::{Lane, Runner};
pub use meters::Meters;
