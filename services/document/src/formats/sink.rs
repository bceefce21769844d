//! Where the formats put what they read: builds the document, tidies its text, and keeps the limits.
//!
//! A parser pushes block after block and asks `is_full` now and then, so that it may stop early. Whatever comes
//! after the limit is left out, with one warning.

use crate::limits::Limits;
use crate::model::{Block, Document, ListItem};

/// A document under construction.
#[derive(Debug)]
pub struct Sink<'a> {
    document: Document,
    limits: &'a Limits,
    items: Vec<ListItem>,
    page: Option<u32>,
    text_bytes: u64,
    cells: u64,
    full: bool,
}

impl<'a> Sink<'a> {
    /// An empty document of `format`.
    pub fn new(format: &str, limits: &'a Limits) -> Self {
        Self {
            document: Document::new(format),
            limits,
            items: Vec::new(),
            page: None,
            text_bytes: 0,
            cells: 0,
            full: false,
        }
    }

    /// The bounds this document is read within.
    pub fn limits(&self) -> &'a Limits {
        self.limits
    }

    /// Whether a limit is reached, so that everything more would be dropped.
    pub fn is_full(&self) -> bool {
        self.full
    }

    /// Sets the page that the following blocks stand on. Answers whether it is within the limit of pages.
    pub fn page(&mut self, page: u32) -> bool {
        self.close_list();
        self.page = Some(page);
        if page > self.limits.max_pages {
            let max = self.limits.max_pages;
            self.cut(&format!("only the first {max} pages were read (limit max_pages)"));
        }
        !self.full
    }

    /// The page that blocks stand on now.
    pub fn current_page(&self) -> Option<u32> {
        self.page
    }

    /// Sets how many pages the file has.
    pub fn page_count(&mut self, pages: u32) {
        self.document.page_count = Some(pages);
    }

    /// Keeps what the file says of itself, unless it is empty or was said before. At most 4,096 bytes each.
    pub fn meta(&mut self, key: &str, value: &str) {
        let value = one_line(value);
        if !value.is_empty() && self.document.metadata.len() < 256 {
            let end = value.floor_char_boundary(4096);
            self.document.metadata.entry(key.to_owned()).or_insert_with(|| value[..end].to_owned());
        }
    }

    /// Tells the reader something, once.
    pub fn warn(&mut self, warning: &str) {
        if self.document.warnings.len() < 64 && !self.document.warnings.iter().any(|known| known == warning) {
            self.document.warnings.push(warning.to_owned());
        }
    }

    /// Marks the document as cut short: nothing more is taken.
    pub fn cut(&mut self, why: &str) {
        if !self.full {
            self.full = true;
            self.document.cut(why);
        }
    }

    /// A heading; `level` is brought into 1 to 6. An empty one is dropped.
    pub fn heading(&mut self, level: usize, text: &str) {
        let text = one_line(text);
        self.close_list();
        if let Some(text) = self.admit(text) {
            let level = u8::try_from(level.clamp(1, 6)).unwrap_or(6);
            self.push(Block::Heading { level, text });
        }
    }

    /// A paragraph; line breaks in `text` are kept, other runs of white space become one space.
    pub fn paragraph(&mut self, text: &str) {
        let text = tidy(text);
        if text.is_empty() {
            return;
        }
        self.close_list();
        if let Some(text) = self.admit(text) {
            self.push(Block::Paragraph { text });
        }
    }

    /// An item; items pushed in a row form one list.
    pub fn item(&mut self, depth: usize, ordered: bool, text: &str) {
        if let Some(text) = self.admit(tidy(text)) {
            let depth = u8::try_from(depth.min(32)).unwrap_or(32);
            self.items.push(ListItem { depth, ordered, text });
        }
    }

    /// Ends the list under way, so that a following item starts another.
    pub fn close_list(&mut self) {
        if !self.items.is_empty() {
            let mut items = std::mem::take(&mut self.items);
            // A list that starts indented starts at its margin.
            let margin = items.iter().map(|item| item.depth).min().unwrap_or(0);
            items.iter_mut().for_each(|item| item.depth -= margin);
            self.push(Block::List { items });
        }
    }

    /// A table; columns and rows that are empty throughout at its end are left out, and so is an empty table.
    pub fn table(&mut self, header: bool, rows: Vec<Vec<String>>) {
        self.close_list();
        let mut kept: Vec<Vec<String>> = Vec::with_capacity(rows.len().min(1024));
        for row in rows {
            let mut row: Vec<String> = row.iter().map(|cell| tidy(cell)).collect();
            row.truncate(row.iter().rposition(|cell| !cell.is_empty()).map_or(0, |last| last + 1));
            self.cells += row.len() as u64;
            if self.cells > self.limits.max_cells {
                let max = self.limits.max_cells;
                self.cut(&format!("only the first {max} table cells were read (limit max_cells)"));
            }
            self.text_bytes += row.iter().map(|cell| cell.len() as u64 + 1).sum::<u64>();
            self.check_text();
            if self.full {
                break;
            }
            kept.push(row);
        }
        kept.truncate(kept.iter().rposition(|row| !row.is_empty()).map_or(0, |last| last + 1));
        if !kept.is_empty() {
            self.push(Block::Table { header: header && kept.len() > 1, rows: kept });
        }
    }

    /// Preformatted text, kept as it stands.
    pub fn code(&mut self, language: Option<&str>, text: &str) {
        let text = text.trim_end().trim_start_matches(['\n', '\r']);
        if text.is_empty() {
            return;
        }
        self.close_list();
        if let Some(text) = self.admit(text.to_owned()) {
            let language = language.map(one_line).filter(|language| !language.is_empty());
            self.push(Block::Code { language, text });
        }
    }

    /// Takes over the blocks and warnings of a part that was read on its own, such as the body of a mail.
    pub fn append(&mut self, part: Document) {
        self.close_list();
        for placed in part.blocks {
            if self.full {
                return;
            }
            match placed.block {
                Block::Heading { level, text } => self.heading(level.into(), &text),
                Block::Paragraph { text } => self.paragraph(&text),
                Block::List { items } => {
                    items.iter().for_each(|item| self.item(item.depth.into(), item.ordered, &item.text));
                    self.close_list();
                }
                Block::Table { header, rows } => self.table(header, rows),
                Block::Code { language, text } => self.code(language.as_deref(), &text),
            }
        }
        part.warnings.iter().for_each(|warning| self.warn(warning));
        self.document.truncated |= part.truncated;
    }

    /// The document as far as it was read.
    pub fn finish(mut self) -> Document {
        self.close_list();
        if self.document.blocks.is_empty() && !self.full {
            self.warn("the document has no text");
        }
        self.document
    }

    fn push(&mut self, block: Block) {
        self.document.push(block, self.page);
    }

    /// The text as far as it fits into the limit; none where nothing is left.
    fn admit(&mut self, mut text: String) -> Option<String> {
        if self.full || text.is_empty() {
            return None;
        }
        let room =
            usize::try_from(self.limits.max_text_bytes.saturating_sub(self.text_bytes)).unwrap_or(usize::MAX);
        self.text_bytes += text.len() as u64;
        self.check_text();
        text.truncate(text.floor_char_boundary(room));
        text.truncate(text.trim_end().len());
        (!text.is_empty()).then_some(text)
    }

    fn check_text(&mut self) {
        if self.text_bytes > self.limits.max_text_bytes {
            let max = self.limits.max_text_bytes;
            self.cut(&format!("only the first {max} bytes of text were read (limit max_text_bytes)"));
        }
    }
}

/// `text` on one line, words separated by one space, without control characters.
pub fn one_line(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for word in text.split(|c: char| c.is_whitespace() || is_noise(c)).filter(|word| !word.is_empty()) {
        if !out.is_empty() {
            out.push(' ');
        }
        if word.contains(|c| is_invisible(&c)) {
            out.extend(word.chars().filter(|c| !is_invisible(c)));
        } else {
            out.push_str(word);
        }
    }
    out
}

/// `text` with its line breaks kept and all else as in `one_line`; empty lines are dropped.
pub fn tidy(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for line in text.split(['\n', '\r', '\u{2028}', '\u{2029}']) {
        let line = one_line(line);
        if !line.is_empty() {
            if !out.is_empty() {
                out.push('\n');
            }
            out.push_str(&line);
        }
    }
    out
}

/// Characters that carry no text: controls, byte order marks, zero width spaces. Joiners stay, scripts need them.
fn is_noise(c: char) -> bool {
    c.is_control() || matches!(c, '\u{feff}' | '\u{200b}' | '\u{2060}')
}

/// Characters that are invisible within a word and part it from nothing: soft hyphens, invisible operators.
fn is_invisible(c: &char) -> bool {
    matches!(c, '\u{ad}' | '\u{2061}'..='\u{2064}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn text_is_tidied_and_breaks_are_kept() {
        assert_eq!(tidy("  a\t b \r\n\n c\u{0}d\u{200b} "), "a b\nc d");
        assert_eq!(one_line(" a\n b "), "a b");
    }

    #[test]
    fn items_in_a_row_are_one_list_at_its_margin() {
        let limits = Limits::default();
        let mut sink = Sink::new("text", &limits);
        sink.item(1, false, "a");
        sink.item(2, true, "b");
        sink.paragraph("c");
        let document = sink.finish();
        assert_eq!(document.blocks.len(), 2);
        let Block::List { items } = &document.blocks[0].block else { panic!("no list") };
        assert_eq!((items[0].depth, items[1].depth), (0, 1));
    }

    #[test]
    fn cells_beyond_the_limit_are_left_out_with_a_warning() {
        let limits = Limits { max_cells: 3, ..Limits::default() };
        let mut sink = Sink::new("csv", &limits);
        sink.table(
            true,
            vec![vec!["a".into(), "b".into()], vec!["c".into(), String::new()], vec!["d".into()]],
        );
        let document = sink.finish();
        assert!(document.truncated && document.warnings[0].contains("max_cells"));
        let Block::Table { rows, .. } = &document.blocks[0].block else { panic!("no table") };
        assert_eq!(rows.len(), 2);
    }

    proptest! {
        #[test]
        fn text_never_passes_the_limit(parts in prop::collection::vec("\\PC{0,20}", 0..20), max in 0_u64..100) {
            let limits = Limits { max_text_bytes: max, ..Limits::default() };
            let mut sink = Sink::new("text", &limits);
            for (index, part) in parts.iter().enumerate() {
                if index % 3 == 0 { sink.item(index, false, part) } else { sink.paragraph(part) }
            }
            let document = sink.finish();
            let total: usize = document.blocks.iter().map(|placed| match &placed.block {
                Block::Paragraph { text } => text.len(),
                Block::List { items } => items.iter().map(|item| item.text.len()).sum(),
                _ => 0,
            }).sum();
            prop_assert!(total as u64 <= max);
        }
    }
}
