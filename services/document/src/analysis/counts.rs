//! How much there is of everything in a document.

use serde::{Deserialize, Serialize};

use super::words::{sentences, words};
use crate::model::{Block, Document};

/// Words an adult reads silently in a minute: the mean over 190 studies (Brysbaert, "How many words do we read per
/// minute?", Journal of Memory and Language 109, 2019).
const WORDS_A_MINUTE: f64 = 238.0;

/// Characters of Chinese read in a minute (Trauzettel-Klosinski and Dietz, "Standardized assessment of reading
/// performance: the new international reading speed texts IReST", 2012).
const IDEOGRAPHS_A_MINUTE: f64 = 255.0;

/// How much there is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Counts {
    /// Characters (Unicode scalar values) of all blocks.
    pub characters: u64,
    /// Characters that are not white space.
    pub characters_without_spaces: u64,
    /// Words of all blocks; ideographs are a word each.
    pub words: u64,
    /// Sentences of paragraphs and list items.
    pub sentences: u64,
    /// Paragraphs.
    pub paragraphs: u64,
    /// Headings.
    pub headings: u64,
    /// Lists.
    pub lists: u64,
    /// Items of all lists.
    pub list_items: u64,
    /// Tables.
    pub tables: u64,
    /// Cells of all tables that hold something.
    pub table_cells: u64,
    /// Preformatted blocks.
    pub code_blocks: u64,
    /// Pages (slides, sheets) of the file; none for formats without pages.
    pub pages: Option<u32>,
    /// How long a reader takes, in seconds: 238 words a minute, 255 characters a minute for Chinese and Japanese.
    pub reading_seconds: u64,
}

/// Counts what `document` holds; `language` is its ISO 639 code.
pub fn count(document: &Document, language: &str) -> Counts {
    let mut counts = Counts { pages: document.page_count, ..Counts::default() };
    for placed in &document.blocks {
        match &placed.block {
            Block::Heading { text, .. } => {
                counts.headings += 1;
                counts.text(text);
            }
            Block::Paragraph { text } => {
                counts.paragraphs += 1;
                counts.sentences += sentences(text).len() as u64;
                counts.text(text);
            }
            Block::List { items } => {
                counts.lists += 1;
                counts.list_items += items.len() as u64;
                for item in items {
                    counts.sentences += sentences(&item.text).len() as u64;
                    counts.text(&item.text);
                }
            }
            Block::Table { rows, .. } => {
                counts.tables += 1;
                for cell in rows.iter().flatten().filter(|cell| !cell.is_empty()) {
                    counts.table_cells += 1;
                    counts.text(cell);
                }
            }
            Block::Code { text, .. } => {
                counts.code_blocks += 1;
                counts.text(text);
            }
        }
    }
    let speed = if matches!(language, "zh" | "ja") { IDEOGRAPHS_A_MINUTE } else { WORDS_A_MINUTE };
    // Counts are far below 2^52, and a time is never negative.
    counts.reading_seconds = (counts.words as f64 * 60.0 / speed).ceil() as u64;
    counts
}

impl Counts {
    fn text(&mut self, text: &str) {
        self.words += words(text).count() as u64;
        for c in text.chars() {
            self.characters += 1;
            self.characters_without_spaces += u64::from(!c.is_whitespace());
        }
    }
}
