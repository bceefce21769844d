//! Counts tokens of pieces of one text, exactly where it matters and by a table where a piece is far too long.
//!
//! The splitter tries pieces of every length, up to the whole text, for every chunk. Counting each exactly would
//! take time with the square of the text; a table of tokens by window tells cheaply what cannot fit.

use text_splitter::ChunkSizer;
use tiktoken_rs::{CoreBPE, cl100k_base_singleton};

/// Bytes of a window.
const WINDOW: usize = 256;

/// The tokens of one text, by window.
pub struct Table {
    tokenizer: &'static CoreBPE,
    text: std::ops::Range<usize>,
    /// Tokens before each window.
    before: Vec<usize>,
}

impl Table {
    /// Counts the windows of `text`, each once.
    pub fn new(text: &str) -> Self {
        let tokenizer = cl100k_base_singleton();
        let mut before = vec![0];
        let mut start = 0;
        while start < text.len() {
            let end = text.floor_char_boundary(before.len() * WINDOW);
            let total = before.last().copied().unwrap_or(0) + tokenizer.count_ordinary(&text[start..end]);
            before.push(total);
            start = end;
        }
        let address = text.as_ptr() as usize;
        Self { tokenizer, text: address..address + text.len(), before }
    }

    /// The exact number of tokens.
    pub fn count(&self, piece: &str) -> usize {
        self.tokenizer.count_ordinary(piece)
    }

    /// A sizer for chunks of at most `max` tokens.
    pub fn sizer(&self, max: usize) -> Sizer<'_> {
        Sizer { table: self, max }
    }

    /// The tokens of the windows that lie wholly within `piece`, which is a part of the text.
    fn inner(&self, piece: &str) -> Option<usize> {
        let start = (piece.as_ptr() as usize).checked_sub(self.text.start)?;
        let first = start.div_ceil(WINDOW) + 1;
        let last = (start + piece.len()) / WINDOW;
        if last <= first || start + piece.len() > self.text.len() {
            return None;
        }
        Some(self.before.get(last)? - self.before.get(first)?)
    }
}

/// Sizes pieces of the table's text.
#[derive(Clone, Copy)]
pub struct Sizer<'a> {
    table: &'a Table,
    max: usize,
}

impl ChunkSizer for Sizer<'_> {
    /// Exact up to somewhat more than `max`; beyond that about right. Cutting a text into windows adds about one
    /// token to each, so what is a quarter and more beyond `max` by the table does not fit.
    fn size(&self, piece: &str) -> usize {
        match self.table.inner(piece) {
            Some(tokens) if tokens > self.max + self.max / 4 + 16 => tokens,
            _ => self.table.count(piece),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn sizes_are_exact_where_pieces_fit_and_never_small_where_they_do_not(
            words in prop::collection::vec("([a-z]{1,9}|[0-9]{1,9}|漢字{1,4}|😀{1,3})[ \n]?", 0..900),
            max in 16_usize..400, from in 0_usize..500, length in 0_usize..6000,
        ) {
            let text = words.concat();
            let table = Table::new(&text);
            let from = text.floor_char_boundary(from);
            let piece = &text[from..text.floor_char_boundary(from + length)];
            let (size, exact) = (table.sizer(max).size(piece), table.count(piece));
            prop_assert!(size == exact || (size > max && exact > max), "{} for {}", size, exact);
        }
    }
}
