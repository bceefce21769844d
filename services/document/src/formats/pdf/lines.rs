//! From words to fragments of lines, and from the fragments of a column to its lines.
//!
//! A fragment is a run of words with no gap wider than a space could be: a line of one column, or a table's cell.

use super::geometry::Rect;
use super::glyphs::{Word, is_rtl};

/// Words of one line without a wide gap.
#[derive(Debug, Clone)]
pub(super) struct Fragment {
    /// The words, from left to right.
    pub words: Vec<Word>,
    /// The box around them.
    pub place: Rect,
    /// Font size of most of the text.
    pub size: f32,
}

/// A line of a column, ready to be read.
#[derive(Debug, Clone)]
pub(super) struct Line {
    /// The text, words parted by one space.
    pub text: String,
    /// Where it stands.
    pub place: Rect,
    /// Font size of most of the text.
    pub size: f32,
    /// Whether all of it is bold.
    pub bold: bool,
    /// Whether all of it is in a font of one width.
    pub mono: bool,
    /// Left and right edge of the column it stands in.
    pub column: (f32, f32),
}

/// A gap wider than this share of the font size ends a fragment. Spaces of justified lines mostly stay below, and
/// the gutter of LaTeX's two columns (10 points at a size of 10) above.
const FRAGMENT_GAP: f32 = 0.8;
/// How much two words must stand beside each other to be on one line.
const SAME_LINE: f32 = 0.5;

/// The fragments of a page, in no order.
pub(super) fn fragments(words: Vec<Word>) -> Vec<Fragment> {
    let mut found: Vec<Fragment> = Vec::new();
    for word in words {
        match found.last_mut() {
            Some(last) if follows(last, &word) => last.push(word),
            _ => found.push(Fragment { place: word.place, size: word.size, words: vec![word] }),
        }
    }
    merge(found)
}

fn follows(last: &Fragment, word: &Word) -> bool {
    last.words.last().is_some_and(|before| before.place.beside(word.place) >= SAME_LINE)
        && near(last.place, word.place, last.size.max(word.size))
}

/// Whether two boxes of one line are no further apart than words are.
fn near(one: Rect, other: Rect, size: f32) -> bool {
    let gap = (other.x0 - one.x1).max(one.x0 - other.x1);
    gap < FRAGMENT_GAP * size
}

/// Joins what is drawn apart but stands together, such as a word in bold amid a line.
fn merge(mut pieces: Vec<Fragment>) -> Vec<Fragment> {
    pieces.sort_by(|one, other| {
        one.place.y0.total_cmp(&other.place.y0).then(one.place.x0.total_cmp(&other.place.x0))
    });
    let mut merged: Vec<Fragment> = Vec::with_capacity(pieces.len());
    for piece in pieces {
        // Only the latest few can stand beside it: pieces come from top to bottom.
        let reach = merged.len().saturating_sub(24);
        let partner = merged[reach..].iter_mut().rev().find(|other| {
            other.place.beside(piece.place) >= SAME_LINE
                && near(other.place, piece.place, other.size.min(piece.size))
        });
        match partner {
            Some(partner) => piece.words.into_iter().for_each(|word| partner.push(word)),
            None => merged.push(piece),
        }
    }
    for fragment in &mut merged {
        fragment.words.sort_by(|one, other| one.place.x0.total_cmp(&other.place.x0));
        fragment.size = main_size(&fragment.words);
    }
    merged
}

impl Fragment {
    fn push(&mut self, word: Word) {
        self.place = self.place.union(word.place);
        self.words.push(word);
    }

    /// The text, words parted by spaces, in the order they are read.
    pub fn text(&self) -> String {
        join(self.words.iter())
    }
}

/// The size that most letters have.
fn main_size(words: &[Word]) -> f32 {
    let mut sizes: Vec<(f32, usize)> = Vec::new();
    for word in words {
        match sizes.iter_mut().find(|(size, _)| (size - word.size).abs() < 0.3) {
            Some((_, letters)) => *letters += word.text.len(),
            None => sizes.push((word.size, word.text.len())),
        }
    }
    sizes.into_iter().max_by_key(|(_, letters)| *letters).map_or(0.0, |(size, _)| size)
}

/// Words from left to right as a text, turned round where most of it reads from right to left.
fn join<'a>(words: impl DoubleEndedIterator<Item = &'a Word> + Clone) -> String {
    let (mut rtl, mut ltr) = (0, 0);
    for letter in words.clone().flat_map(|word| word.text.chars()) {
        if is_rtl(letter) {
            rtl += 1;
        } else if letter.is_alphabetic() {
            ltr += 1;
        }
    }
    let mut text = String::new();
    let mut add = |word: &Word| {
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(&word.text);
    };
    if rtl > ltr {
        words.rev().for_each(&mut add)
    } else {
        words.for_each(&mut add)
    }
    text
}

/// Groups fragments that stand beside each other, rows from top to bottom, each from left to right.
pub(super) fn rows(mut fragments: Vec<Fragment>) -> Vec<Vec<Fragment>> {
    fragments.sort_by(|one, other| {
        let middle = |place: Rect| place.y0 + place.y1;
        middle(one.place).total_cmp(&middle(other.place))
    });
    let mut rows: Vec<Vec<Fragment>> = Vec::new();
    for fragment in fragments {
        let fits = rows
            .last()
            .and_then(|row| row.first())
            .is_some_and(|anchor| anchor.place.beside(fragment.place) >= 0.6);
        match rows.last_mut() {
            Some(row) if fits => row.push(fragment),
            _ => rows.push(vec![fragment]),
        }
    }
    for row in &mut rows {
        row.sort_by(|one, other| one.place.x0.total_cmp(&other.place.x0));
    }
    rows
}

/// One row of a column as a line.
pub(super) fn line(row: &[Fragment], column: (f32, f32)) -> Option<Line> {
    let place = Rect::around(row.iter().map(|fragment| fragment.place))?;
    let words = row.iter().flat_map(|fragment| fragment.words.iter());
    let heaviest = row.iter().max_by_key(|fragment| fragment.words.len())?;
    let (bold, mono) =
        words.clone().fold((true, true), |(bold, mono), word| (bold && word.bold, mono && word.mono));
    Some(Line { text: join(words), place, size: heaviest.size, bold, mono, column })
}
