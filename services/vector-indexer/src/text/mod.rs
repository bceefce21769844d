//! Full text search beside the vectors: BM25 by tantivy, and the fusion of two rankings.
//!
//! Texts are words in any language and script (`words`): lower case, without accents, with no list of stop words and
//! no stemming, which would have to know the language. Chinese, Japanese, Korean, Thai and their like are found by
//! pairs of characters.

mod error;
mod fuse;
mod guard;
mod index;
mod search;
mod words;

pub use error::TextError;
pub use fuse::{RANK_CONSTANT, fuse};
pub use index::Texts;
pub(crate) use search::distinct;
pub(crate) use words::{Of, Words};

#[cfg(test)]
mod tests;
