//! Task types: payloads in, results out.

pub mod generate_text;
