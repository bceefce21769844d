//! Models on libtorch, batched.

pub mod config;
pub mod error;
pub mod generate;
pub mod manifest;
pub mod models;
pub mod tasks;
pub mod torch;
