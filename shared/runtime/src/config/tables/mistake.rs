//! Mistakes in a file, each with its place.

use std::fmt;
use std::ops::Range;

/// Something wrong in the file. The text never repeats a key, nor a value in which one may stand by accident.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mistake {
    /// The line, counted from 1.
    pub line: usize,
    /// The column in characters, counted from 1.
    pub column: usize,
    /// What is wrong and what to do, for the person who wrote the file.
    pub text: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: {}", self.line, self.column, self.text)
    }
}

/// Collects mistakes and turns byte offsets into lines and columns.
pub struct Notes<'t> {
    source: &'t str,
    /// Where each line begins.
    starts: Vec<usize>,
    found: Vec<Mistake>,
}

impl<'t> Notes<'t> {
    /// None yet, of a file's text.
    pub fn new(source: &'t str) -> Self {
        let after_breaks = source.match_indices('\n').map(|(at, _)| at + 1);
        Self { source, starts: std::iter::once(0).chain(after_breaks).collect(), found: Vec::new() }
    }

    /// Notes a mistake where the span begins.
    pub fn add(&mut self, span: &Range<usize>, text: impl Into<String>) {
        let line = self.starts.partition_point(|start| *start <= span.start);
        let start = self.starts[line - 1];
        let before = self.source.get(start..span.start).unwrap_or_default();
        self.found.push(Mistake { line, column: before.chars().count() + 1, text: text.into() });
    }

    /// Whether there is one.
    pub fn any(&self) -> bool {
        !self.found.is_empty()
    }

    /// All mistakes in the order of the file, each once.
    pub fn into_mistakes(mut self) -> Vec<Mistake> {
        self.found.sort();
        self.found.dedup();
        self.found
    }
}
