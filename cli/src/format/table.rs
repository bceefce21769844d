//! Tables of plain columns: a heading, aligned cells, nothing drawn around them.

use super::Paint;

/// A table. The last column may be as long as it likes.
pub struct Table {
    right: Vec<bool>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these columns; a name that starts with `>` is aligned to the right.
    pub fn new(columns: &[&str]) -> Self {
        let right = columns.iter().map(|name| name.starts_with('>')).collect();
        let heading = columns.iter().map(|name| name.trim_start_matches('>').to_owned()).collect();
        Self { right, rows: vec![heading] }
    }

    /// Adds a row; control characters in it are shown, not sent to the terminal.
    pub fn row<S: AsRef<str>>(&mut self, cells: impl IntoIterator<Item = S>) {
        self.rows.push(cells.into_iter().map(|cell| super::one_line(cell.as_ref())).collect());
    }

    /// Whether there are rows beside the heading.
    pub fn is_empty(&self) -> bool {
        self.rows.len() == 1
    }

    /// The table's lines, each with its line end.
    pub fn render(&self, paint: Paint) -> String {
        let width = |at: usize| {
            self.rows.iter().filter_map(|row| row.get(at)).map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.right.len()).map(width).collect();
        let mut out = String::new();
        for (at, row) in self.rows.iter().enumerate() {
            let cells = row.iter().zip(&widths).zip(&self.right).map(|((cell, width), right)| {
                if *right { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
            });
            let line = cells.collect::<Vec<_>>().join("  ");
            let line = line.trim_end();
            out.push_str(&if at == 0 { paint.bold(line) } else { line.to_owned() });
            out.push('\n');
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_under_each_other() {
        let mut table = Table::new(&["POOL", ">QUEUED", "WHY"]);
        assert!(table.is_empty());
        table.row(["document", "7", "first"]);
        table.row(["größer", "1234567", "a\nb"]);
        let expected = "POOL       QUEUED  WHY\ndocument        7  first\ngrößer    1234567  a\\nb\n";
        assert_eq!(table.render(Paint { on: false }), expected);
    }
}
