//! What a document is once it is read: metadata and a sequence of blocks, the same for every format.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A document that was read, whatever its format was.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Document {
    /// The format's short name, such as `pdf` or `docx` (see `formats::Kind::name`).
    pub format: String,
    /// What the file says of itself: `title`, `author`, `created`, ... in snake_case.
    pub metadata: BTreeMap<String, String>,
    /// Pages (slides, sheets) of the whole file, also of those beyond the limit; none for formats without pages.
    pub page_count: Option<u32>,
    /// The content in reading order.
    pub blocks: Vec<Placed>,
    /// What a reader should know: parts left out, text that could not be decoded.
    pub warnings: Vec<String>,
    /// Whether a limit cut the content short; a warning says which.
    pub truncated: bool,
}

/// A block and where it stood.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Placed {
    /// The content.
    pub block: Block,
    /// The page (slide, sheet) it starts on, from 1.
    pub page: Option<u32>,
}

/// One piece of content. Text is plain: no markup, no trailing white space.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "type")]
pub enum Block {
    /// A heading.
    Heading {
        /// Its depth, 1 (the title) to 6.
        level: u8,
        /// Its text, one line.
        text: String,
    },
    /// A paragraph; `\n` stands for a hard line break.
    Paragraph {
        /// Its text.
        text: String,
    },
    /// A list, flattened.
    List {
        /// Its items in order.
        items: Vec<ListItem>,
    },
    /// A table.
    Table {
        /// Whether the first row is a header.
        header: bool,
        /// Its rows; they may differ in length.
        rows: Vec<Vec<String>>,
    },
    /// Preformatted text.
    Code {
        /// The language, where the source names it.
        language: Option<String>,
        /// The text as it stands.
        text: String,
    },
}

/// One item of a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ListItem {
    /// How deep it is nested, from 0.
    pub depth: u8,
    /// Whether it is numbered.
    pub ordered: bool,
    /// Its text, without bullet or number.
    pub text: String,
}

impl Document {
    /// An empty document of the format called `format`.
    pub fn new(format: &str) -> Self {
        Self { format: format.to_owned(), ..Self::default() }
    }

    /// Appends a block that stands on `page`.
    pub fn push(&mut self, block: Block, page: Option<u32>) {
        self.blocks.push(Placed { block, page });
    }

    /// Marks the content as cut short and says why.
    pub fn cut(&mut self, why: impl Into<String>) {
        self.truncated = true;
        self.warnings.push(why.into());
    }

    /// How many tables were found.
    pub fn tables(&self) -> usize {
        self.blocks.iter().filter(|placed| matches!(placed.block, Block::Table { .. })).count()
    }
}
