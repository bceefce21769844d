//! Task types: payloads in, results out.

pub mod classify_text;
pub mod embed_text;
pub mod generate_text;
pub mod ml_inference;
pub mod model_info;
pub mod of_encoder;
pub mod of_model;
pub mod rerank;
pub mod texts;
