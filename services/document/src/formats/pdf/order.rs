//! Reading order: cuts a page into columns, as the recursive XY-cut does (Nagy and Seth, 1984), with two changes.
//!
//! A gutter need not run the whole height: rows that cross it - a title, a wide figure - part the page into bands,
//! and only the bands between them are cut. And a gutter between the columns of a table is left alone: text on
//! both sides must look like prose, or stand on different lines.

use super::geometry::{Rect, median};
use super::lines::{Fragment, rows};

/// How deep columns may lie in columns.
const MAX_DEPTH: u32 = 6;
/// Lines each side of a gutter needs.
const MIN_LINES: usize = 3;
/// The narrowest gutter, as a share of the type's size; ragged and hanging line ends eat into the 10 points that
/// LaTeX leaves.
const MIN_GUTTER: f32 = 0.5;
/// Lines that may cross a gutter, as a share of those that stand beside it on its emptier side.
const MAX_CROSSING: f32 = 0.34;

/// The fragments of each column, columns in reading order.
pub(super) fn columns(fragments: Vec<Fragment>) -> Vec<Vec<Vec<Fragment>>> {
    let mut found = Vec::new();
    cut(rows(fragments), 0, &mut found);
    found
}

fn cut(region: Vec<Vec<Fragment>>, depth: u32, found: &mut Vec<Vec<Vec<Fragment>>>) {
    let gutter = if depth < MAX_DEPTH { gutter(&region) } else { None };
    let Some(gutter) = gutter else {
        if !region.is_empty() {
            found.push(region);
        }
        return;
    };
    let mut whole: Vec<Vec<Fragment>> = Vec::new();
    let mut band: Vec<Vec<Fragment>> = Vec::new();
    for row in region {
        if crosses(&row, gutter) {
            close_band(&mut band, gutter, depth, &mut whole, found);
            whole.push(row);
        } else {
            band.push(row);
        }
    }
    close_band(&mut band, gutter, depth, &mut whole, found);
    if !whole.is_empty() {
        found.push(whole);
    }
}

/// Cuts a band at the gutter if both sides are columns; else its rows go on with those around it.
fn close_band(
    band: &mut Vec<Vec<Fragment>>,
    gutter: f32,
    depth: u32,
    whole: &mut Vec<Vec<Fragment>>,
    found: &mut Vec<Vec<Vec<Fragment>>>,
) {
    let rows_of_band = std::mem::take(band);
    if !are_columns(&rows_of_band, gutter) {
        whole.extend(rows_of_band);
        return;
    }
    if !whole.is_empty() {
        found.push(std::mem::take(whole));
    }
    let is_left = |fragment: &Fragment| fragment.place.x1 <= gutter + 1.0;
    let (left, right) = rows_of_band.into_iter().flatten().partition(is_left);
    cut(rows(left), depth + 1, found);
    cut(rows(right), depth + 1, found);
}

fn crosses(row: &[Fragment], gutter: f32) -> bool {
    row.iter().any(|fragment| fragment.place.x0 < gutter - 1.0 && fragment.place.x1 > gutter + 1.0)
}

/// The middle of the widest strip that few rows cross, if there is one.
fn gutter(region: &[Vec<Fragment>]) -> Option<f32> {
    if region.len() < MIN_LINES {
        return None;
    }
    let area = Rect::around(region.iter().flatten().map(|fragment| fragment.place))?;
    let size = median(region.iter().flatten().map(|fragment| fragment.size).collect());
    // A page is some 600 points wide; a hostile one may claim anything.
    if !(area.width() > 0.0 && area.width() < 20_000.0 && size > 0.0) {
        return None;
    }
    let crossing = coverage(region, area);
    let (left, right) = (peaks(crossing.iter()), peaks(crossing.iter().rev()));
    let margin = (area.width() * 0.1) as usize;
    let inner = margin..crossing.len().saturating_sub(margin);
    let mut best: Option<(f32, f32)> = None;
    let mut start = inner.start;
    for at in inner.clone() {
        let level = crossing[at];
        // A strip is a stretch of equal crossing: the edge of a crossing line must not widen it.
        let ends = at + 1 == inner.end || crossing[at + 1] != level;
        if ends {
            let width = (at + 1 - start) as f32;
            let beside = left[at].min(right[crossing.len() - 1 - at]) as f32;
            let score = width.min(4.0 * size) * (1.0 - level as f32 / beside.max(1.0));
            let empty = level as f32 <= MAX_CROSSING * beside;
            if empty && width >= (MIN_GUTTER * size).max(3.0) && best.is_none_or(|(top, _)| score > top) {
                best = Some((score, area.x0 + (start + at + 1) as f32 / 2.0));
            }
            start = at + 1;
        }
    }
    best.map(|(_, middle)| middle)
}

/// For every place, the highest level so far.
fn peaks<'a>(levels: impl Iterator<Item = &'a i32>) -> Vec<i32> {
    levels
        .scan(0, |peak, level| {
            *peak = level.max(peak).to_owned();
            Some(*peak)
        })
        .collect()
}

/// For every point of the width, how many fragments cover it.
fn coverage(region: &[Vec<Fragment>], area: Rect) -> Vec<i32> {
    let bins = area.width().ceil() as usize + 1;
    let mut steps = vec![0i32; bins + 1];
    for fragment in region.iter().flatten() {
        let from = (fragment.place.x0 - area.x0).max(0.0) as usize;
        let to = ((fragment.place.x1 - area.x0).ceil() as usize).min(bins);
        steps[from.min(bins)] += 1;
        steps[to] -= 1;
    }
    let mut level = 0;
    steps.truncate(bins);
    for step in &mut steps {
        level += *step;
        *step = level;
    }
    steps
}

fn are_columns(band: &[Vec<Fragment>], gutter: f32) -> bool {
    let is_left = |fragment: &&Fragment| fragment.place.x1 <= gutter + 1.0;
    let left: Vec<&Fragment> = band.iter().flatten().filter(is_left).collect();
    let right: Vec<&Fragment> = band.iter().flatten().filter(|fragment| !is_left(fragment)).collect();
    if left.len() < MIN_LINES || right.len() < MIN_LINES {
        return false;
    }
    let both =
        band.iter().filter(|row| row.iter().any(|f| is_left(&f)) && row.iter().any(|f| !is_left(&f))).count();
    let aligned = both as f32 >= 0.5 * left.len().min(right.len()) as f32;
    (is_prose(&left) && is_prose(&right)) || !aligned
}

/// Whether fragments are lines of running text rather than cells: several words each, and most fill the width.
fn is_prose(side: &[&Fragment]) -> bool {
    let Some(area) = Rect::around(side.iter().map(|fragment| fragment.place)) else { return false };
    let words: usize = side.iter().map(|fragment| fragment.words.len()).sum();
    let full = side.iter().filter(|fragment| fragment.place.width() >= 0.6 * area.width()).count();
    words >= 3 * side.len() && full * 2 >= side.len()
}

#[cfg(test)]
mod tests {
    use super::super::glyphs::{Direction, Word};
    use super::*;

    /// A line of `count` words between `x0` and `x1`.
    fn fragment(x0: f32, x1: f32, y0: f32, count: usize) -> Fragment {
        let place = Rect { x0, x1, y0, y1: y0 + 9.0 };
        let word = |_| Word {
            text: format!("{x0}"),
            place,
            size: 9.0,
            bold: false,
            mono: false,
            direction: Direction::Right,
        };
        Fragment { words: (0..count).map(word).collect(), place, size: 9.0 }
    }

    /// The left edge and the number of rows of each column.
    fn shape(fragments: Vec<Fragment>) -> Vec<(f32, usize)> {
        let edge = |column: &Vec<Vec<Fragment>>| {
            column.first().and_then(|row| row.first()).map_or(0.0, |f| f.place.x0)
        };
        columns(fragments).iter().map(|column| (edge(column), column.len())).collect()
    }

    #[test]
    fn two_columns_under_a_title_with_hanging_line_ends_are_read_one_after_the_other() {
        let mut page = vec![fragment(150.0, 460.0, 40.0, 5)];
        for line in 0..40u8 {
            let y = 80.0 + 12.0 * f32::from(line);
            let hang = f32::from(line % 4);
            // Paragraphs end early, and not side by side.
            page.push(fragment(72.0, if line % 7 == 6 { 150.0 } else { 300.0 + hang }, y, 8));
            page.push(fragment(310.6, if line % 5 == 4 { 400.0 } else { 536.0 + hang }, y + 2.0, 8));
        }
        assert_eq!(shape(page), [(150.0, 1), (72.0, 40), (310.6, 40)]);
    }

    #[test]
    fn the_columns_of_a_table_are_left_alone() {
        let rows = (0..10u8).map(|line| 80.0 + 14.0 * f32::from(line));
        let table = rows.flat_map(|y| {
            [fragment(72.0, 120.0, y, 1), fragment(200.0, 260.0, y, 1), fragment(400.0, 430.0, y, 1)]
        });
        assert_eq!(shape(table.collect()), [(72.0, 10)]);
    }

    #[test]
    fn one_column_stays_one() {
        let page = (0..30u8)
            .map(|line| fragment(72.0, 540.0 - f32::from(line % 9), 80.0 + 12.0 * f32::from(line), 12));
        assert_eq!(shape(page.collect()), [(72.0, 30)]);
    }
}
