//! The service as it runs: a real NATS server, the router, and vector indexers as processes, asked by tasks.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod backwards;
mod kills;
mod qdrant;
mod replicas;
mod rig;
mod security;
mod snapshots;
mod tasks;
