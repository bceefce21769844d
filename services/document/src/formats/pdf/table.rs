//! Tables told by white space: consecutive rows whose cells stand in the same columns.

use super::Piece;
use super::geometry::Rect;
use super::lines::{Fragment, line};
use super::structure::list_marker;

/// A column of a table being built: the stretch its cells cover.
type Stretch = (f32, f32);

/// Splits the rows of a column into lines of text and tables.
pub(super) fn split(rows: Vec<Vec<Fragment>>) -> Vec<Piece> {
    let Some(area) = Rect::around(rows.iter().flatten().map(|fragment| fragment.place)) else {
        return Vec::new();
    };
    let column = (area.x0, area.x1);
    let mut pieces = Vec::new();
    let mut lines = Vec::new();
    let mut at = 0;
    while at < rows.len() {
        match grow(&rows[at..]) {
            Some((length, cells)) => {
                if !lines.is_empty() {
                    pieces.push(Piece::Lines(std::mem::take(&mut lines)));
                }
                pieces.push(Piece::Table(cells));
                at += length;
            }
            None => {
                lines.extend(line(&rows[at], column));
                at += 1;
            }
        }
    }
    if !lines.is_empty() {
        pieces.push(Piece::Lines(lines));
    }
    pieces
}

/// The table that starts with the first of `rows`: how many rows it takes, and its cells.
fn grow(rows: &[Vec<Fragment>]) -> Option<(usize, Vec<Vec<String>>)> {
    let first = rows.first()?;
    if !may_start(first) {
        return None;
    }
    let mut columns: Vec<Stretch> = stretches(first);
    let mut length = 1;
    let mut full = 1;
    for (index, row) in rows.iter().enumerate().skip(1) {
        let size = row.iter().map(|fragment| fragment.size).fold(1.0, f32::max);
        let far = bottom(&rows[index - 1]) + 2.5 * size < top(row);
        let Some(joined) = join(&columns, row, size) else { break };
        if far {
            break;
        }
        columns = joined;
        if row.len() >= 2 {
            length = index + 1;
            full += 1;
        } else if index - length >= 2 {
            break;
        }
    }
    let enough = if columns.len() == 2 { 3 } else { 2 };
    if full < enough || columns.len() < 2 {
        return None;
    }
    let rows = &rows[..length];
    (is_tabular(rows, columns.len())).then(|| (length, cells(rows, &columns)))
}

fn may_start(row: &[Fragment]) -> bool {
    row.len() >= 2
        && row.first().is_none_or(|fragment| list_marker(&format!("{} x", fragment.text())).is_none())
}

fn stretches(row: &[Fragment]) -> Vec<Stretch> {
    row.iter().map(|fragment| (fragment.place.x0, fragment.place.x1)).collect()
}

fn top(row: &[Fragment]) -> f32 {
    row.iter().map(|fragment| fragment.place.y0).fold(f32::MAX, f32::min)
}

fn bottom(row: &[Fragment]) -> f32 {
    row.iter().map(|fragment| fragment.place.y1).fold(f32::MIN, f32::max)
}

/// The columns with the cells of `row` in them, or `None` if the row does not fit: a cell that bridges two columns
/// welds them, which a table bears only while two columns are left.
fn join(columns: &[Stretch], row: &[Fragment], size: f32) -> Option<Vec<Stretch>> {
    let mut all: Vec<Stretch> = columns.to_vec();
    all.extend(stretches(row));
    all.sort_by(|one, other| one.0.total_cmp(&other.0));
    let mut joined: Vec<Stretch> = Vec::new();
    for (x0, x1) in all {
        match joined.last_mut() {
            Some(last) if x0 <= last.1 + 0.3 * size => last.1 = last.1.max(x1),
            _ => joined.push((x0, x1)),
        }
    }
    let kept = joined.len() >= 2 && joined.len() + 1 >= columns.len();
    // Two cells of a row in one column: these are no columns.
    let apart = row.windows(2).all(|pair| column_of(&joined, &pair[0]) != column_of(&joined, &pair[1]));
    (kept && apart).then_some(joined)
}

fn column_of(columns: &[Stretch], cell: &Fragment) -> Option<usize> {
    let middle = (cell.place.x0 + cell.place.x1) / 2.0;
    columns.iter().position(|(x0, x1)| (*x0..=*x1).contains(&middle))
}

/// Cells are short; text in columns is not. Most rows of a table fill more than one column.
fn is_tabular(rows: &[Vec<Fragment>], columns: usize) -> bool {
    let cells = rows.iter().flatten().count();
    let words: usize = rows.iter().flatten().map(|fragment| fragment.words.len()).sum();
    let full = rows.iter().filter(|row| row.len() >= 2).count();
    let long = if columns == 2 { 5 } else { 7 };
    words <= long * cells && full * 10 >= rows.len() * 6
}

/// The table's cells. A row that is alone in its column and close to the one above goes on with that row's cell.
fn cells(rows: &[Vec<Fragment>], columns: &[Stretch]) -> Vec<Vec<String>> {
    let mut table: Vec<Vec<String>> = Vec::new();
    for (index, row) in rows.iter().enumerate() {
        let size = row.iter().map(|fragment| fragment.size).fold(1.0, f32::max);
        let close = index > 0 && top(row) < bottom(&rows[index - 1]) + 0.5 * size;
        let alone = row.len() == 1 && row.first().and_then(|cell| column_of(columns, cell)) != Some(0);
        if !(close && alone) || table.is_empty() {
            table.push(vec![String::new(); columns.len()]);
        }
        let Some(target) = table.last_mut() else { continue };
        for cell in row {
            let Some(text) = column_of(columns, cell).and_then(|column| target.get_mut(column)) else {
                continue;
            };
            if !text.is_empty() {
                text.push(' ');
            }
            text.push_str(&cell.text());
        }
    }
    table
}
