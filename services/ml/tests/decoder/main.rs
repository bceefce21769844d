//! Decoders beside transformers: tiny random models of every architecture, chats and chances.
//!
//! The models and what transformers says of them come from `tests/reference`.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod batching;
mod chats;
mod handle;
mod logits;
mod memory;
mod picks;
mod reference;
mod rig;
