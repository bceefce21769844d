//! Decoders: models that write a text on, token by token.

pub mod cache;
pub mod layout;
pub mod net;
pub mod rope;
pub mod shape;
pub mod weights;
