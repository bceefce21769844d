//! Server-sent events: a stream is cut into events whose bytes stay as they came, and what an event says about usage
//! is read on the way past.

mod event;
mod sniff;
mod split;

pub use event::Event;
pub use sniff::{Sniffed, Usage, sniff, sniff_value};
pub use split::{Splitter, TooLarge};

#[cfg(test)]
mod tests;
