//! NATS, and nothing but NATS: the only room that names async-nats. It moves the contract's messages and decides
//! nothing about tasks.

mod batch;
pub mod connection;
pub mod delivery;
pub mod endpoint;
pub mod error;
pub mod follow;
pub mod headers;
pub mod inspect;
pub mod keys;
pub mod kv;
mod line;
pub mod objects;
pub mod provision;
pub mod publish;
pub mod pull;
pub mod schedule;

pub use connection::{Bus, BusConfig};
pub use delivery::Delivery;
pub use error::BusError;
pub use headers::Headers;
pub use publish::{Outgoing, Stored};
