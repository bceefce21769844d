//! Models on libtorch, batched.

pub mod batch;
pub mod config;
pub mod error;
pub mod manifest;
pub mod models;
pub mod text;
pub mod torch;
