//! Parsing in killable child processes: warm ones wait, each reads one document at a time, and whatever a document
//! does to its child - hang, swell, crash - ends in an error for that document alone.
//!
//! `pool` hands out children, `worker` is one of them as the service sees it, `child` is what runs inside, and
//! `frame` is what they say to each other.

pub mod child;
mod frame;
mod pool;
mod worker;

pub use frame::{Report, Usage};
pub use pool::{Sandbox, SandboxConfig};
