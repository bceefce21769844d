//! Task types: payloads in, results out.

pub mod embed_text;
pub mod generate_text;
pub mod ml_inference;
pub mod model_info;
