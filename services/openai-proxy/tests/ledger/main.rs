//! The ledger: its decisions alone, then with a bucket that fails, then replicas that are killed.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod book;
mod lease;
mod memory;
mod simulation;
mod usage;
mod window;
