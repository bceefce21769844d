//! A Word table under way, brought into a rectangle: merged cells keep their columns.

use super::super::sink::Sink;

/// Word's own bound of columns.
const MAX_COLUMNS: usize = 63;

/// A table under way.
#[derive(Debug, Default)]
pub struct Table {
    rows: Vec<Vec<String>>,
    /// The text of the cell under way.
    pub cell: String,
    /// The columns it spans.
    pub span: usize,
    /// Whether it continues the cell above.
    pub merged: bool,
    /// Whether the first row is marked as a header, or the table's style gives it one.
    pub header: bool,
}

impl Table {
    /// A row begins.
    pub fn row(&mut self) {
        self.rows.push(Vec::new());
    }

    /// Columns are left free before the first cell.
    pub fn skip(&mut self, columns: usize) {
        if let Some(row) = self.rows.last_mut() {
            row.resize(row.len() + columns.min(MAX_COLUMNS), String::new());
        }
    }

    /// Whether the row under way is the first.
    pub fn in_first_row(&self) -> bool {
        self.rows.len() == 1
    }

    /// A cell begins.
    pub fn open_cell(&mut self) {
        self.cell.clear();
        (self.span, self.merged) = (1, false);
    }

    /// A cell ends.
    pub fn close_cell(&mut self) {
        let text = std::mem::take(&mut self.cell);
        if let Some(row) = self.rows.last_mut() {
            row.push(if self.merged { String::new() } else { text });
            row.resize(row.len() + self.span.clamp(1, MAX_COLUMNS) - 1, String::new());
        }
    }

    /// A paragraph of the cell under way.
    pub fn paragraph(&mut self, text: &str) {
        if !self.cell.is_empty() {
            self.cell.push('\n');
        }
        self.cell.push_str(text);
    }

    /// Puts the table into the document. A table of one column is a box around text, not a table.
    pub fn finish(self, sink: &mut Sink<'_>) {
        if self.rows.iter().all(|row| row.len() <= 1) {
            for text in self.rows.iter().flatten().flat_map(|cell| cell.split('\n')) {
                sink.paragraph(text);
            }
            return;
        }
        let header =
            self.header && self.rows.first().is_some_and(|row| row.iter().any(|cell| !cell.is_empty()));
        sink.table(header, self.rows);
    }

    /// The table as text of the cell it is nested in: a line for each row.
    pub fn into_text(self) -> String {
        let rows = self.rows.into_iter().map(|row| {
            let cells: Vec<String> = row.into_iter().filter(|cell| !cell.is_empty()).collect();
            cells.join(" ")
        });
        rows.collect::<Vec<_>>().join("\n")
    }
}
