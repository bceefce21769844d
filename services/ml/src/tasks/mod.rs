//! Task types: payloads in, results out.

pub mod ml_inference;
pub mod model_info;
