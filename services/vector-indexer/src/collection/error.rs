//! Why a collection cannot do what is asked.

use std::io;

use crate::{segment::file::Unread, space, text::TextError};

/// Damage on disk is no error of a collection: it starts at an earlier sequence.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The machine refuses.
    #[error("the collection's folder: {0}")]
    Io(#[from] io::Error),
    /// The machine refuses to read.
    #[error(transparent)]
    Unread(#[from] Unread),
    /// The index of texts does not work.
    #[error(transparent)]
    Text(#[from] TextError),
    /// The question's vector is none of this collection.
    #[error(transparent)]
    Vector(#[from] space::Wrong),
    /// A search without a question.
    #[error("a search wants a vector, a text, or both")]
    NoQuestion,
    /// What was written cannot be brought to disk, so no more is taken.
    #[error("nothing can be written to the collection's folder: {0}")]
    Stuck(String),
    /// The collection was closed meanwhile.
    #[error("the collection is closed")]
    Closed,
}
