//! Cuts a document into chunks for embedding: bounded in tokens, along headings, traceable to their place.
//!
//! Tokens are those of `cl100k_base` (OpenAI's embedding models), whose vocabulary is part of the program. For
//! other models the count is a good approximation; leave some room below their limit.

mod options;
mod sections;
mod sizer;

use serde::{Deserialize, Serialize};
use text_splitter::{ChunkConfig, ChunkSizer, TextSplitter};

pub use self::options::{ChunkOptions, TextFormat};
use self::sections::{Section, join, sections};
use self::sizer::Table;
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
/// has more than `max_tokens` tokens. A chunk repeats at most `overlap_tokens` of the one before it; nothing is
/// repeated over a heading, nor every 64 KiB of a longer section.
pub fn chunk(document: &Document, options: &ChunkOptions) -> Vec<Chunk> {
    let options = options.clamped();
    let rendered = match options.format {
        TextFormat::Markdown => to_markdown(document),
        TextFormat::Text => to_text(document),
    };
    let table = Table::new(&rendered.text);
    let sizer = table.sizer(options.max_tokens);
    let sections =
        join(sections(document, &rendered), options.min_tokens, options.max_tokens, |start, end| {
            sizer.size(&rendered.text[start..end])
        });
    let mut chunks = Vec::new();
    for section in &sections {
        let whole = (section.start, section.end);
        let fits = sizer.size(&rendered.text[section.start..section.end]) <= options.max_tokens;
        let pieces = if fits { vec![whole] } else { split(section, &rendered.text, &table, &options) };
        chunks.extend(pieces.into_iter().map(|piece| place(section, piece, &table, &rendered)));
    }
    for (index, chunk) in chunks.iter_mut().enumerate() {
        chunk.index = index;
    }
    chunks
}

/// Cuts a section that does not fit, as byte ranges of `text`. Its heading stays with what follows it.
fn split(section: &Section, text: &str, table: &Table, options: &ChunkOptions) -> Vec<(usize, usize)> {
    let max = options.max_tokens;
    let heading = table.count(&text[section.start..section.body]);
    // A heading that leaves less than half of a chunk is cut like any text.
    let adheres = section.body > section.start && heading + 2 <= max / 2;
    let (from, capacity) = if adheres { (section.body, max - heading - 2) } else { (section.start, max) };
    let sizer = table.sizer(capacity);
    let config = ChunkConfig::new(capacity).with_sizer(sizer);
    // Refused is only an overlap as large as the chunk, and this is half of it at most.
    let config = config
        .with_overlap(options.overlap_tokens.min(capacity / 2))
        .unwrap_or_else(|_| ChunkConfig::new(capacity).with_sizer(sizer));
    let splitter = TextSplitter::new(config);
    let mut pieces: Vec<(usize, usize)> = Vec::new();
    for (start, end) in portions(text, from, section.end, capacity) {
        let found = splitter.chunk_indices(&text[start..end]);
        pieces.extend(found.map(|(at, piece)| (start + at, start + at + piece.len())));
    }
    match pieces.first_mut().filter(|_| adheres) {
        Some(first) if table.count(&text[section.start..first.1]) <= max => first.0 = section.start,
        _ if adheres => pieces.insert(0, (section.start, section.body)),
        _ => {}
    }
    pieces
}

/// Bytes that the splitter gets at once for each token of a chunk, and at least. It looks at all of the rest for
/// every chunk, so its time would grow with the square of the text.
const PORTION_FACTOR: usize = 64;
const MIN_PORTION: usize = 64 << 10;

/// Cuts a long text in front of the splitter, at the last empty line of each portion, else line, else space.
fn portions(text: &str, from: usize, to: usize, capacity: usize) -> Vec<(usize, usize)> {
    let size = (capacity * PORTION_FACTOR).max(MIN_PORTION);
    let mut portions = Vec::new();
    let mut start = from;
    while to - start > size {
        let end = text.floor_char_boundary(start + size);
        let half = text.floor_char_boundary(start + size / 2);
        let border = ["\n\n", "\n", " "]
            .iter()
            .find_map(|mark| Some(text[half..end].rfind(mark)? + half + mark.len()));
        let end = border.unwrap_or(end);
        portions.push((start, end));
        start = end;
    }
    portions.push((start, to));
    portions
}

fn place(section: &Section, (start, end): (usize, usize), table: &Table, rendered: &Rendered) -> Chunk {
    let text = &rendered.text[start..end];
    let page_at = |byte: usize| {
        let after = rendered.spans.partition_point(|span| span.start <= byte);
        rendered.spans.get(after.checked_sub(1)?)?.page
    };
    Chunk {
        index: 0,
        text: text.to_owned(),
        tokens: table.count(text),
        heading_path: section.path.clone(),
        start,
        end,
        page_from: page_at(start),
        page_to: page_at(end.saturating_sub(1)),
    }
}

#[cfg(test)]
mod tests;
