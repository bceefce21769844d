//! Turns a stream of tags and text, as HTML and Markdown have it, into blocks: what is inline gathers in a buffer,
//! and whatever begins or ends a block empties it as heading, item, cell or paragraph.

use super::sink::Sink;

/// Columns a table may have, and rows one cell may span: HTML allows 1,000 and 65,534 (HTML Standard, 4.9.11).
const MAX_SPAN: usize = 1000;

/// A block builder over a sink.
#[derive(Debug)]
pub struct Flow<'s, 'l> {
    sink: &'s mut Sink<'l>,
    text: String,
    heading: Option<usize>,
    lists: Vec<bool>,
    /// The depth of the item whose text is being gathered.
    item: Option<usize>,
    table: Option<Grid>,
    /// Preformatted text under way, with its language.
    code: Option<Option<String>>,
}

impl<'s, 'l> Flow<'s, 'l> {
    /// A builder that fills `sink`.
    pub fn new(sink: &'s mut Sink<'l>) -> Self {
        Self {
            sink,
            text: String::new(),
            heading: None,
            lists: Vec::new(),
            item: None,
            table: None,
            code: None,
        }
    }

    /// The document so far.
    pub fn sink(&mut self) -> &mut Sink<'l> {
        self.sink
    }

    /// Text as it stands in the source; white space collapses unless preformatted.
    pub fn text(&mut self, text: &str) {
        if self.code.is_some() {
            self.text.push_str(text);
            return;
        }
        for (index, word) in text.split(|c: char| c.is_ascii_whitespace()).enumerate() {
            if index > 0 && !self.text.is_empty() && !self.text.ends_with([' ', '\n']) {
                self.text.push(' ');
            }
            self.text.push_str(word);
        }
    }

    /// A hard line break.
    pub fn line_break(&mut self) {
        self.text.push('\n');
    }

    /// The border of a block: inside of a cell or an item only a line break, else the end of a paragraph.
    pub fn border(&mut self) {
        if self.code.is_some() {
            return;
        }
        let held = self.item.is_some() || self.heading.is_some() || self.in_cell();
        if !held {
            self.flush();
        } else if !self.text.trim_end().is_empty() && !self.text.ends_with('\n') {
            self.text.push('\n');
        }
    }

    /// Empties the buffer as whatever it belongs to.
    pub fn flush(&mut self) {
        if self.in_cell() {
            return;
        }
        let text = std::mem::take(&mut self.text);
        match (self.heading, self.item) {
            (Some(level), _) => self.sink.heading(level, &text),
            (None, Some(depth)) => self.sink.item(depth, self.lists.last().copied().unwrap_or(false), &text),
            (None, None) => self.sink.paragraph(&text),
        }
    }

    /// A heading begins.
    pub fn open_heading(&mut self, level: usize) {
        if self.in_cell() {
            return self.border();
        }
        self.flush();
        self.heading = Some(level);
    }

    /// A heading ends.
    pub fn close_heading(&mut self) {
        if self.heading.is_none() {
            return self.border();
        }
        self.flush();
        self.heading = None;
    }

    /// A list begins.
    pub fn open_list(&mut self, ordered: bool) {
        if self.in_cell() {
            return self.border();
        }
        self.flush();
        self.item = None;
        if self.lists.is_empty() {
            self.sink.close_list();
        }
        self.lists.push(ordered);
    }

    /// A list ends.
    pub fn close_list(&mut self) {
        if self.in_cell() {
            return self.border();
        }
        self.flush();
        self.lists.pop();
        self.item = None;
        if self.lists.is_empty() {
            self.sink.close_list();
        }
    }

    /// An item begins, `extra` levels deeper than its list.
    pub fn open_item(&mut self, extra: usize) {
        if self.in_cell() {
            return self.border();
        }
        self.flush();
        self.item = Some(self.lists.len().saturating_sub(1) + extra);
    }

    /// An item ends.
    pub fn close_item(&mut self) {
        if self.in_cell() {
            return self.border();
        }
        self.flush();
        self.item = None;
    }

    /// Preformatted text begins.
    pub fn open_code(&mut self, language: Option<String>) {
        if !self.in_cell() {
            self.flush();
            self.code = Some(language);
        }
    }

    /// Preformatted text ends.
    pub fn close_code(&mut self) {
        if let Some(language) = self.code.take() {
            let text = std::mem::take(&mut self.text);
            self.sink.code(language.as_deref(), &text);
        }
    }

    /// A table begins. Tables do not nest: the inner ones are text of the outer cell.
    pub fn open_table(&mut self) {
        if self.table.is_none() {
            self.flush();
            self.table = Some(Grid::default());
        }
    }

    /// A table ends.
    pub fn close_table(&mut self) {
        self.close_cell();
        if let Some(grid) = self.table.take() {
            let header = grid.header();
            self.sink.table(header, grid.rows);
        }
    }

    /// A row begins; `head` where it stands in a table head.
    pub fn open_row(&mut self, head: bool) {
        self.close_cell();
        if let Some(table) = &mut self.table {
            table.row(head);
        }
    }

    /// A cell begins.
    pub fn open_cell(&mut self, head: bool, columns: usize, rows: usize) {
        self.close_cell();
        if self.table.is_some() {
            // Stray text between cells is a paragraph before the table.
            let stray = std::mem::take(&mut self.text);
            self.sink.paragraph(&stray);
        }
        if let Some(table) = &mut self.table {
            table.cell = Some((head, columns.clamp(1, MAX_SPAN), rows.clamp(1, MAX_SPAN)));
        }
    }

    /// A cell ends.
    pub fn close_cell(&mut self) {
        if let Some(table) = &mut self.table
            && let Some(cell) = table.cell.take()
        {
            let text = std::mem::take(&mut self.text);
            table.put(cell, text);
        }
    }

    fn in_cell(&self) -> bool {
        self.table.as_ref().is_some_and(|table| table.cell.is_some())
    }
}

/// A table under way, with the cells that reach down into rows to come.
#[derive(Debug, Default)]
struct Grid {
    rows: Vec<Vec<String>>,
    /// For each column, how many of the following rows it is taken by a cell from above.
    taken: Vec<usize>,
    column: usize,
    cell: Option<(bool, usize, usize)>,
    /// Whether the first row is in a head, or has header cells only.
    head: bool,
    first_all_heads: bool,
}

impl Grid {
    fn row(&mut self, head: bool) {
        if self.rows.is_empty() {
            self.head = head;
            self.first_all_heads = true;
        }
        self.rows.push(Vec::new());
        self.column = 0;
    }

    /// Puts a cell into the first free column. Its text stands in its first column; what it spans stays empty.
    fn put(&mut self, (head, columns, rows): (bool, usize, usize), text: String) {
        if self.rows.is_empty() {
            self.row(false);
        }
        self.skip_taken();
        if self.rows.len() == 1 {
            self.first_all_heads &= head;
        }
        let Some(row) = self.rows.last_mut() else { return };
        if self.column >= MAX_SPAN {
            return;
        }
        row.resize(self.column, String::new());
        row.push(text);
        row.resize((self.column + columns).min(MAX_SPAN), String::new());
        self.column = row.len();
        if self.taken.len() < self.column {
            self.taken.resize(self.column, 0);
        }
        if rows > 1 {
            let start = self.column.saturating_sub(columns);
            self.taken.iter_mut().take(self.column).skip(start).for_each(|taken| *taken = rows);
        }
    }

    fn skip_taken(&mut self) {
        if self.column == 0 {
            self.taken.iter_mut().for_each(|taken| *taken = taken.saturating_sub(1));
        }
        while self.taken.get(self.column).is_some_and(|taken| *taken > 0) {
            self.column += 1;
        }
    }

    fn header(&self) -> bool {
        self.head || self.first_all_heads
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::Limits;
    use crate::model::{Block, Document};

    fn build(drive: impl FnOnce(&mut Flow<'_, '_>)) -> Document {
        let limits = Limits::default();
        let mut sink = Sink::new("html", &limits);
        let mut flow = Flow::new(&mut sink);
        drive(&mut flow);
        flow.flush();
        sink.finish()
    }

    #[test]
    fn spanned_cells_keep_the_columns_aligned() {
        let document = build(|flow| {
            flow.open_table();
            flow.open_row(true);
            for (text, columns, rows) in [("a", 1, 2), ("b", 2, 1)] {
                flow.open_cell(true, columns, rows);
                flow.text(text);
            }
            flow.open_row(false);
            for text in ["c", "d"] {
                flow.open_cell(false, 1, 1);
                flow.text(text);
            }
            flow.open_row(false);
            flow.open_cell(false, 1, 1);
            flow.text("e");
            flow.close_table();
        });
        let Block::Table { header, rows } = &document.blocks[0].block else { panic!("no table") };
        assert!(header);
        assert_eq!(rows, &[vec!["a", "b"], vec!["", "c", "d"], vec!["e"]]);
    }

    #[test]
    fn nested_items_follow_their_parents() {
        let document = build(|flow| {
            flow.open_list(true);
            flow.open_item(0);
            flow.text("one");
            flow.open_list(false);
            flow.open_item(0);
            flow.text("inner");
            flow.close_item();
            flow.close_list();
            flow.close_item();
            flow.open_item(0);
            flow.text("two");
            flow.border();
            flow.text("goes on");
            flow.close_item();
            flow.close_list();
        });
        let Block::List { items } = &document.blocks[0].block else { panic!("no list") };
        let items: Vec<_> = items.iter().map(|item| (item.depth, item.ordered, item.text.as_str())).collect();
        assert_eq!(items, [(0, true, "one"), (1, false, "inner"), (0, true, "two\ngoes on")]);
    }
}
