//! Errors as OpenAI's clients expect them: our own, and reading those of an upstream.

mod answer;
mod upstream;

pub use answer::{Answer, ApiError, CODE_HEADER};
pub use upstream::UpstreamError;

#[cfg(test)]
mod tests;
