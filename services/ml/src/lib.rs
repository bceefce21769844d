//! Models on libtorch, batched.

pub mod config;
pub mod error;
pub mod memory;
pub mod generate;
pub mod models;
pub mod tensor;
pub mod torch;

pub use tasklane_models::manifest;
