//! From PDFium's characters to words with a place, a size and a weight.
//!
//! Two calls a character (its code and its box) and a few more a word: every call crosses into the library, and
//! they are what reading a page costs beyond PDFium itself.

use pdfium_render::prelude::{PdfFontWeight, PdfPageText, PdfPageTextChar, PdfRect, PdfiumError};

use super::geometry::Rect;

/// Characters that stand together.
#[derive(Debug, Clone)]
pub(super) struct Word {
    /// The text.
    pub text: String,
    /// Where it stands, in its own reading direction.
    pub place: Rect,
    /// Font size as drawn, in points.
    pub size: f32,
    /// Whether its font is bold.
    pub bold: bool,
    /// Whether its font has one width for all characters.
    pub mono: bool,
    /// Which way it reads.
    pub direction: Direction,
}

/// Which way a line runs over the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Direction {
    /// To the right.
    Right,
    /// Upwards.
    Up,
    /// To the left, upside down.
    Left,
    /// Downwards.
    Down,
}

/// A gap between two characters that parts words, as a share of the font size. Poppler's text device uses 0.1.
const WORD_GAP: f32 = 0.12;
/// How far a character may reach back over the one before it and still belong to its word.
const OVERLAP: f32 = 0.5;
/// How much a character must stand beside the one before it: a raised or lowered figure belongs to its word.
const SAME_LINE: f32 = 0.25;

/// The words of a page, in the order the page draws them.
///
/// What lies outside of `visible` (in the page's own coordinates, y turned to grow downwards) is left out, as a
/// reader of the page would not see it either.
pub(super) fn read(text: &PdfPageText, visible: Rect) -> Result<Vec<Word>, PdfiumError> {
    let chars = text.chars();
    let mut reader = Reader { visible, words: Vec::new(), open: None, high: None, font: Font::default() };
    for index in 0..chars.len() {
        reader.take(&chars.get(index)?);
    }
    reader.finish();
    Ok(reader.words)
}

/// Words by direction, the one that most of the page has first.
pub(super) fn by_direction(words: Vec<Word>) -> Vec<Vec<Word>> {
    let mut groups: Vec<Vec<Word>> = Vec::new();
    for word in words {
        match groups
            .iter_mut()
            .find(|group| group.first().is_some_and(|first| first.direction == word.direction))
        {
            Some(group) => group.push(word),
            None => groups.push(vec![word]),
        }
    }
    groups.sort_by_key(|group| std::cmp::Reverse(group.len()));
    groups
}

struct Reader {
    visible: Rect,
    words: Vec<Word>,
    open: Option<Open>,
    /// The first half of a surrogate pair.
    high: Option<u32>,
    font: Font,
}

/// A word that is being read.
struct Open {
    word: Word,
    /// Box of its latest character.
    last: Rect,
    last_char: char,
}

/// The font of the latest word: asked for again only when the size or the pen's place hints at a change.
#[derive(Default, Clone)]
struct Font {
    name: String,
    bold: bool,
    mono: bool,
}

impl Reader {
    fn take(&mut self, found: &PdfPageTextChar) {
        let Some(letter) = self.decode(found.unicode_value()) else { return };
        if letter.is_whitespace() || letter == '\u{200b}' {
            self.finish();
            return;
        }
        if letter.is_control() {
            return;
        }
        let Ok(bounds) = found.loose_bounds() else { return };
        let page_box = downwards(&bounds);
        if !page_box.touches(self.visible) {
            return;
        }
        if let Some(open) = &mut self.open {
            let place = turn(page_box, open.word.direction);
            if open.continues(letter, place) {
                open.push(letter, place);
                return;
            }
        }
        self.finish();
        self.begin(found, letter, page_box);
    }

    fn begin(&mut self, found: &PdfPageTextChar, letter: char, page_box: Rect) {
        let direction = direction_of(found);
        let place = turn(page_box, direction);
        let name = found.font_name();
        if name != self.font.name {
            let lower = name.to_ascii_lowercase();
            let heavy = matches!(
                found.font_weight(),
                Some(
                    PdfFontWeight::Weight600
                        | PdfFontWeight::Weight700Bold
                        | PdfFontWeight::Weight800
                        | PdfFontWeight::Weight900
                )
            );
            let named =
                ["bold", "black", "heavy", "semibold", "cmbx", "-bd"].iter().any(|part| lower.contains(part));
            let mono =
                ["mono", "courier", "consol", "cmtt", "typewriter"].iter().any(|part| lower.contains(part));
            self.font = Font { name, bold: heavy || named, mono };
        }
        let word = Word {
            text: String::new(),
            place,
            size: place.height(),
            bold: self.font.bold,
            mono: self.font.mono,
            direction,
        };
        let mut open = Open { word, last: place, last_char: letter };
        open.push(letter, place);
        self.open = Some(open);
    }

    fn finish(&mut self) {
        if let Some(open) = self.open.take() {
            self.words.push(open.word);
        }
    }

    /// PDFium gives UTF-16 units; a hyphen at the end of a line comes as U+0002 or U+FFFE.
    fn decode(&mut self, unit: u32) -> Option<char> {
        match unit {
            0 => None,
            0x2 | 0xFFFE | 0xAD => Some('-'),
            0xD800..=0xDBFF => {
                self.high = Some(unit);
                None
            }
            0xDC00..=0xDFFF => {
                let high = self.high.take()?;
                char::from_u32(0x1_0000 + ((high - 0xD800) << 10) + (unit - 0xDC00))
            }
            _ => char::from_u32(unit),
        }
    }
}

impl Open {
    fn continues(&self, letter: char, place: Rect) -> bool {
        // PDFium spells out a ligature, or a replacement text, as letters that all stand on the one glyph.
        if place == self.last || is_mark(letter) {
            return true;
        }
        if self.last.beside(place) < SAME_LINE {
            return false;
        }
        let size = self.word.size.min(place.height()).max(0.1);
        let gap = if is_rtl(letter) && is_rtl(self.last_char) {
            self.last.x0 - place.x1
        } else {
            place.x0 - self.last.x1
        };
        (-OVERLAP * size..WORD_GAP * size).contains(&gap)
    }

    fn push(&mut self, letter: char, place: Rect) {
        match ligature(letter) {
            Some(letters) => self.word.text.push_str(letters),
            None => self.word.text.push(letter),
        }
        self.word.place = self.word.place.union(place);
        self.last = place;
        self.last_char = letter;
    }
}

/// Latin ligatures as the letters they stand for (Unicode, Alphabetic Presentation Forms), so that words are found.
fn ligature(letter: char) -> Option<&'static str> {
    match letter {
        '\u{fb00}' => Some("ff"),
        '\u{fb01}' => Some("fi"),
        '\u{fb02}' => Some("fl"),
        '\u{fb03}' => Some("ffi"),
        '\u{fb04}' => Some("ffl"),
        '\u{fb05}' | '\u{fb06}' => Some("st"),
        _ => None,
    }
}

/// Hebrew, Arabic and their presentation forms.
pub(super) fn is_rtl(letter: char) -> bool {
    matches!(u32::from(letter), 0x0590..=0x08FF | 0xFB1D..=0xFDFF | 0xFE70..=0xFEFF)
}

fn is_mark(letter: char) -> bool {
    matches!(u32::from(letter), 0x0300..=0x036F | 0x064B..=0x065F | 0x0591..=0x05C7)
}

/// A box of PDFium's, y turned to grow downwards.
pub(super) fn downwards(bounds: &PdfRect) -> Rect {
    Rect {
        x0: bounds.left().value,
        x1: bounds.right().value,
        y0: -bounds.top().value,
        y1: -bounds.bottom().value,
    }
}

fn direction_of(found: &PdfPageTextChar) -> Direction {
    let Ok(matrix) = found.matrix() else { return Direction::Right };
    let (right, up) = (matrix.a(), matrix.b());
    if right.abs() >= up.abs() {
        if right >= 0.0 { Direction::Right } else { Direction::Left }
    } else if up > 0.0 {
        Direction::Up
    } else {
        Direction::Down
    }
}

/// The box as it looks when the page is turned so that `direction` runs to the right.
fn turn(place: Rect, direction: Direction) -> Rect {
    let Rect { x0, x1, y0, y1 } = place;
    match direction {
        Direction::Right => place,
        Direction::Up => Rect { x0: -y1, x1: -y0, y0: x0, y1: x1 },
        Direction::Left => Rect { x0: -x1, x1: -x0, y0: -y1, y1: -y0 },
        Direction::Down => Rect { x0: y0, x1: y1, y0: -x1, y1: -x0 },
    }
}
