//! The invariants of Tasklane's decisions, as properties of the public functions.

#![allow(clippy::unwrap_used, reason = "a test that finds nothing where something must be shall fail")]

mod credit;
mod enrich;
mod names;
mod rebalance;
mod retry;
mod routing;
mod submission;
