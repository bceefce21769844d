//! Decoders beside transformers: tiny random models of every architecture.
//!
//! The models and what transformers says of them come from `tests/reference/decoder.py`.

mod logits;
mod reference;
