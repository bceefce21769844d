//! Tasklane's decisions: names, needs, routing, pull credits, retries, rebalancing and expiry.
//!
//! Everything here is a pure function of its arguments. There is no I/O in this crate, no clock and no
//! randomness: a caller passes the time (`now_ms`), a random number and the configuration in. All times are
//! milliseconds and say so in their name.

pub mod credit;
pub mod decide;
pub mod eligibility;
pub mod enrich;
pub mod expiry;
pub mod lane;
pub mod missing;
pub mod name;
pub mod pool;
pub mod priority;
pub mod rebalance;
pub mod requirements;
pub mod retry;
pub mod score;

pub use enrich::{Measured, Needs, Rule};
pub use pool::Pool;
pub use priority::Priority;
pub use requirements::{Requirements, Violation};
