//! Headings by font statistics, lists by their markers, and paragraphs by what is left.

use super::Piece;
use super::lines::Line;
use crate::model::{Block, Document, ListItem};

/// A heading is this much larger than the body's type.
const LARGER: f32 = 1.15;
/// Letters a heading has at most.
const LONGEST_HEADING: usize = 200;
/// Steps of headings told apart by size; those after share the last.
const SIZE_LEVELS: usize = 4;

/// Font statistics of a whole document.
struct Fonts {
    /// Size of most of the text.
    body: f32,
    /// Sizes of headings, the largest first.
    larger: Vec<f32>,
    /// Whether bold lines stand out: in a document that is mostly bold they do not.
    bold_tells: bool,
}

/// Turns the pieces of all pages into blocks.
pub(super) fn assemble(pages: Vec<(u32, Vec<Piece>)>, document: &mut Document) {
    let fonts = Fonts::of(&pages);
    for (number, pieces) in pages {
        for piece in pieces {
            match piece {
                Piece::Table(rows) => {
                    document.push(Block::Table { header: has_header(&rows), rows }, Some(number))
                }
                Piece::Lines(lines) => Builder { fonts: &fonts, page: number, document }.lines(&lines),
            }
        }
    }
}

/// A first row of filled cells without figures heads a table.
fn has_header(rows: &[Vec<String>]) -> bool {
    rows.len() > 1
        && rows.first().is_some_and(|row| {
            row.iter().all(|cell| {
                !cell.is_empty()
                    && !cell.trim_start_matches(['$', '-', '+']).starts_with(|c: char| c.is_ascii_digit())
            })
        })
}

impl Fonts {
    fn of(pages: &[(u32, Vec<Piece>)]) -> Self {
        let mut letters: std::collections::BTreeMap<u32, usize> = std::collections::BTreeMap::new();
        let (mut bold, mut all) = (0, 0);
        for line in all_lines(pages) {
            *letters.entry(key(line.size)).or_default() += line.text.len();
            all += line.text.len();
            bold += if line.bold { line.text.len() } else { 0 };
        }
        let body =
            letters.iter().max_by_key(|(_, count)| **count).map_or(0.0, |(size, _)| *size as f32 / 2.0);
        let mut larger: Vec<f32> = Vec::new();
        for size in letters.keys().rev().map(|size| *size as f32 / 2.0).filter(|size| *size >= body * LARGER)
        {
            if larger.last().is_none_or(|last| size < last * 0.95) {
                larger.push(size);
            }
        }
        Self { body, larger, bold_tells: bold * 2 < all }
    }

    /// The level of the heading that `line` is by its font, if any.
    fn level(&self, line: &Line) -> Option<u8> {
        let letters = line.text.chars().filter(|letter| letter.is_alphabetic()).count();
        if letters < 2 || line.text.len() > LONGEST_HEADING || line.mono {
            return None;
        }
        let steps = self.larger.len().min(SIZE_LEVELS);
        if line.size >= self.body * LARGER {
            let step = self.larger.iter().position(|size| line.size >= size * 0.95).unwrap_or(steps);
            return u8::try_from(step.min(SIZE_LEVELS - 1) + 1).ok();
        }
        let stands_out = self.bold_tells && line.bold && line.size >= self.body * 0.95;
        let ends_open = !line.text.ends_with(['.', ',', ';', ':']);
        let short = line.place.width() < 0.8 * (line.column.1 - line.column.0) || line.text.len() < 60;
        (stands_out && ends_open && short).then(|| u8::try_from(steps + 1).unwrap_or(5))
    }
}

/// Sizes in half points.
fn key(size: f32) -> u32 {
    (size * 2.0).round().clamp(0.0, 20_000.0) as u32
}

fn all_lines(pages: &[(u32, Vec<Piece>)]) -> impl Iterator<Item = &Line> {
    pages.iter().flat_map(|(_, pieces)| pieces).flat_map(|piece| match piece {
        Piece::Lines(lines) => lines.as_slice(),
        Piece::Table(_) => &[],
    })
}

/// Builds the blocks of one column.
struct Builder<'a> {
    fonts: &'a Fonts,
    page: u32,
    document: &'a mut Document,
}

/// The block that lines are being added to.
enum Open {
    Nothing,
    Heading(u8, String),
    Paragraph(String),
    List(Vec<(f32, ListItem)>),
}

impl Builder<'_> {
    fn lines(&mut self, lines: &[Line]) {
        let mut open = Open::Nothing;
        let mut before: Option<&Line> = None;
        for line in lines {
            let level = self.fonts.level(line);
            let marker = if level.is_some() { None } else { list_marker(&line.text) };
            open = match (open, level, marker) {
                (Open::Heading(was, text), Some(level), _) if was == level && close(before, line, 0.9) => {
                    Open::Heading(level, append(text, &line.text))
                }
                (open, Some(level), _) => {
                    self.close(open);
                    Open::Heading(level, line.text.clone())
                }
                (open, None, Some(marker)) => self.item(open, line, &marker),
                (Open::List(items), None, None) if continues_item(&items, before, line) => {
                    Open::List(extend_item(items, &line.text))
                }
                (Open::Paragraph(text), None, None) if continues_paragraph(before, line) => {
                    Open::Paragraph(append(text, &line.text))
                }
                (open, None, None) => {
                    self.close(open);
                    Open::Paragraph(line.text.clone())
                }
            };
            before = Some(line);
        }
        self.close(open);
    }

    fn item(&mut self, open: Open, line: &Line, marker: &Marker) -> Open {
        let mut items = match open {
            Open::List(items) => items,
            other => {
                self.close(other);
                Vec::new()
            }
        };
        let item = ListItem {
            depth: 0,
            ordered: marker.ordered,
            text: line.text[marker.length..].trim().to_owned(),
        };
        items.push((line.place.x0, item));
        Open::List(items)
    }

    fn close(&mut self, open: Open) {
        let block = match open {
            Open::Nothing => return,
            Open::Heading(level, text) => Block::Heading { level, text },
            Open::Paragraph(text) => Block::Paragraph { text },
            Open::List(items) => Block::List { items: with_depths(items, self.fonts.body) },
        };
        self.document.push(block, Some(self.page));
    }
}

/// Depths from how far the markers are indented.
fn with_depths(items: Vec<(f32, ListItem)>, size: f32) -> Vec<ListItem> {
    let mut steps: Vec<f32> = Vec::new();
    let mut deep = Vec::with_capacity(items.len());
    for (x, mut item) in items {
        while steps.last().is_some_and(|step| x < step - 0.5 * size) {
            steps.pop();
        }
        if steps.last().is_none_or(|step| x > step + 0.5 * size) {
            steps.push(x);
        }
        item.depth = u8::try_from(steps.len() - 1).unwrap_or(u8::MAX).min(8);
        deep.push(item);
    }
    deep
}

fn extend_item(mut items: Vec<(f32, ListItem)>, text: &str) -> Vec<(f32, ListItem)> {
    if let Some((_, item)) = items.last_mut() {
        item.text = append(std::mem::take(&mut item.text), text);
    }
    items
}

fn continues_item(items: &[(f32, ListItem)], before: Option<&Line>, line: &Line) -> bool {
    items.last().is_some_and(|(x, _)| line.place.x0 > x + 0.3 * line.size) && close(before, line, 0.8)
}

/// Whether `line` follows on the one before it, with less than `gap` of its size between them.
fn close(before: Option<&Line>, line: &Line, gap: f32) -> bool {
    before.is_some_and(|before| {
        let same = (before.size - line.size).abs() <= 0.1 * line.size;
        let space = line.place.y0 - before.place.y1;
        same && space < gap * line.size && space > -line.size
    })
}

fn continues_paragraph(before: Option<&Line>, line: &Line) -> bool {
    let Some(last) = before else { return false };
    if !close(before, line, 0.8) || last.bold != line.bold && last.text.ends_with(['.', ':']) {
        return false;
    }
    let indented =
        line.place.x0 > last.place.x0 + 0.8 * line.size && line.place.x0 > line.column.0 + 0.8 * line.size;
    let width = line.column.1 - line.column.0;
    let ended = last.text.ends_with(['.', '!', '?', ':', ';']);
    // A line that ends early, with a sentence, ends a paragraph.
    let early = last.place.x1 < last.column.1 - 0.2 * width;
    !(ended && (early || indented))
}

/// Adds a line to a text; a word that was hyphenated over the line's end is made whole.
fn append(mut text: String, line: &str) -> String {
    let mut ending = text.chars().rev();
    let hyphen = ending.next().is_some_and(|last| matches!(last, '-' | '\u{2010}'));
    let letter = ending.next().is_some_and(char::is_alphabetic);
    if hyphen && letter {
        // Before a capital or a figure the hyphen belongs to the word: COVID-19.
        if line.chars().next().is_some_and(char::is_lowercase) {
            text.pop();
        }
    } else {
        text.push(' ');
    }
    text.push_str(line);
    text
}

/// What a list item starts with.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Marker {
    /// Its length in bytes, without the space after it.
    pub length: usize,
    /// Whether it is a number or a letter.
    pub ordered: bool,
}

/// The marker a line starts with, if it is an item of a list.
pub(super) fn list_marker(text: &str) -> Option<Marker> {
    let (first, rest) = text.split_once(' ')?;
    if rest.trim().is_empty() {
        return None;
    }
    const BULLETS: [&str; 17] =
        ["•", "‣", "▪", "◦", "●", "○", "■", "□", "◆", "–", "-", "*", "·", "∙", "➢", "✓", "\u{f0b7}"];
    if BULLETS.contains(&first) {
        return Some(Marker { length: first.len(), ordered: false });
    }
    let inner = first.strip_prefix('(').unwrap_or(first);
    let inner = inner.strip_suffix([')', '.'])?;
    let number = !inner.is_empty() && inner.len() <= 3 && inner.bytes().all(|byte| byte.is_ascii_digit());
    let letter = inner.len() == 1 && inner.bytes().all(|byte| byte.is_ascii_lowercase());
    (number || letter).then_some(Marker { length: first.len(), ordered: true })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markers_are_bullets_numbers_and_letters() {
        for (text, expected) in [
            ("• one", Some((3, false))),
            ("- two", Some((1, false))),
            ("12. three", Some((3, true))),
            ("(a) four", Some((3, true))),
            ("2024. A year", None),
            ("3.14 is pi", None),
            ("Mr. Smith", None),
            ("•", None),
        ] {
            assert_eq!(list_marker(text).map(|marker| (marker.length, marker.ordered)), expected, "{text}");
        }
    }

    #[test]
    fn hyphenated_words_are_made_whole() {
        assert_eq!(append("exam-".into(), "ple"), "example");
        assert_eq!(append("pre-".into(), "War"), "pre-War");
        assert_eq!(append("1-".into(), "a"), "1- a");
    }
}
