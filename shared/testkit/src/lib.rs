//! Real parts for tests: what a test needs to start, watch and wait for, without sleeping.
//!
//! A [`stack::Stack`] is a NATS server with its own store and the real service binaries as child processes; a
//! [`client::Client`] is a user of it. What cannot go on panics: this crate is for tests alone.

pub mod child;
pub mod client;
pub mod guard;
pub mod http;
pub mod keys;
pub mod local;
pub mod ml;
pub mod nats;
pub mod otlp;
pub mod port;
pub mod qdrant;
pub mod results;
pub mod stack;
pub mod tool;
pub mod upstream;
pub mod wait;

pub use client::Client;
pub use local::LocalWorker;
pub use stack::{Options, Stack};
