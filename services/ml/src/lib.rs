//! Models on libtorch, batched.

pub mod batch;
pub mod config;
pub mod error;
pub mod generate;
pub mod inquiries;
pub mod memory;
pub mod models;
pub mod registry;
pub mod service;
pub mod store;
pub mod switches;
pub mod tasks;
pub mod tensor;
pub mod text;
pub mod torch;

pub use tasklane_models::manifest;
