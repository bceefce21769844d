//! Cuts a document into chunks for embedding: bounded in tokens, along headings, traceable to their place.
//!
//! Tokens are those of `cl100k_base` (OpenAI's embedding models), whose vocabulary is part of the program. For
//! other models the count is a good approximation; leave some room below their limit.

mod options;
mod sections;

use serde::{Deserialize, Serialize};
use text_splitter::{ChunkConfig, ChunkSizer, TextSplitter};
use tiktoken_rs::{CoreBPE, cl100k_base_singleton};

pub use self::options::{ChunkOptions, TextFormat};
use self::sections::{Section, join, sections};
use crate::model::Document;
use crate::render::{Rendered, to_markdown, to_text};

/// The tokenizer that `Chunk::tokens` counts by.
pub const TOKENIZER: &str = "cl100k_base";

/// One chunk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chunk {
    /// Its place among the document's chunks, from 0.
    pub index: usize,
    /// Its text, exactly the bytes `start..end` of the rendered document.
    pub text: String,
    /// Its tokens by `TOKENIZER`.
    pub tokens: usize,
    /// The headings it stands under, from the outermost.
    pub heading_path: Vec<String>,
    /// Its first byte in the rendered document.
    pub start: usize,
    /// One past its last byte.
    pub end: usize,
    /// The page on which the block it begins in starts, where the format has pages.
    pub page_from: Option<u32>,
    /// The page on which the block it ends in starts.
    pub page_to: Option<u32>,
}

/// Cuts `document`. Options beyond their bounds are brought to the nearest bound; `ChunkOptions::check` tells.
///
/// Every character of the rendered document that is not white space is in a chunk, chunks are in order, and none
/// has more than `max_tokens` tokens. A chunk repeats at most `overlap_tokens` of the one before it, and never
/// reaches over a heading for that.
pub fn chunk(document: &Document, options: &ChunkOptions) -> Vec<Chunk> {
    let options = options.clamped();
    let rendered = match options.format {
        TextFormat::Markdown => to_markdown(document),
        TextFormat::Text => to_text(document),
    };
    let sizer = Sizer { tokenizer: cl100k_base_singleton(), max: options.max_tokens };
    let sections =
        join(sections(document, &rendered), options.min_tokens, options.max_tokens, |start, end| {
            sizer.size(&rendered.text[start..end])
        });
    let mut chunks = Vec::new();
    for section in &sections {
        let whole = (section.start, section.end);
        let fits = sizer.size(&rendered.text[section.start..section.end]) <= options.max_tokens;
        let pieces =
            if fits { vec![whole] } else { split(section, &rendered.text, sizer, options.overlap_tokens) };
        chunks.extend(pieces.into_iter().map(|piece| place(section, piece, sizer, &rendered)));
    }
    for (index, chunk) in chunks.iter_mut().enumerate() {
        chunk.index = index;
    }
    chunks
}

/// Cuts a section that does not fit, as byte ranges of `text`. Its heading stays with what follows it.
fn split(section: &Section, text: &str, sizer: Sizer, overlap: usize) -> Vec<(usize, usize)> {
    let heading = sizer.size(&text[section.start..section.body]);
    // A heading that leaves less than half of a chunk is cut like any text.
    let adheres = section.body > section.start && heading + 2 <= sizer.max / 2;
    let (from, capacity) =
        if adheres { (section.body, sizer.max - heading - 2) } else { (section.start, sizer.max) };
    let sizer = Sizer { max: capacity, ..sizer };
    let config = ChunkConfig::new(capacity).with_sizer(sizer);
    // Refused is only an overlap as large as the chunk, and this is half of it at most.
    let config = config
        .with_overlap(overlap.min(capacity / 2))
        .unwrap_or_else(|_| ChunkConfig::new(capacity).with_sizer(sizer));
    let splitter = TextSplitter::new(config);
    let pieces = splitter.chunk_indices(&text[from..section.end]);
    let mut pieces: Vec<_> = pieces.map(|(at, piece)| (from + at, from + at + piece.len())).collect();
    match pieces.first_mut().filter(|_| adheres) {
        Some(first) if sizer.size(&text[section.start..first.1]) <= capacity + heading + 2 => {
            first.0 = section.start
        }
        _ if adheres => pieces.insert(0, (section.start, section.body)),
        _ => {}
    }
    pieces
}

fn place(section: &Section, (start, end): (usize, usize), sizer: Sizer, rendered: &Rendered) -> Chunk {
    let text = &rendered.text[start..end];
    let page_at = |byte: usize| {
        let after = rendered.spans.partition_point(|span| span.start <= byte);
        rendered.spans.get(after.checked_sub(1)?)?.page
    };
    Chunk {
        index: 0,
        text: text.to_owned(),
        tokens: sizer.tokenizer.count_ordinary(text),
        heading_path: section.path.clone(),
        start,
        end,
        page_from: page_at(start),
        page_to: page_at(end.saturating_sub(1)),
    }
}

/// Counts tokens, and does not bother to count what cannot fit.
#[derive(Clone, Copy)]
struct Sizer {
    tokenizer: &'static CoreBPE,
    max: usize,
}

/// The longest token of `cl100k_base` has 128 bytes (a run of spaces).
const LONGEST_TOKEN: usize = 128;

impl ChunkSizer for Sizer {
    fn size(&self, text: &str) -> usize {
        if text.len() > self.max * LONGEST_TOKEN {
            return text.len() / LONGEST_TOKEN;
        }
        self.tokenizer.count_ordinary(text)
    }
}

#[cfg(test)]
mod tests;
