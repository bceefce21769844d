//! What a word is, in texts and in questions, whatever the language.
//!
//! - A run of letters and digits is a word: in lower case, without accents (ä is a, ß is ss, Ａ is a), so that "MÜLLER",
//!   "Müller" and "Muller" are the same. Nothing is stemmed and nothing is left out for being frequent.
//! - Scripts without spaces between words (Chinese, Japanese, Korean, Thai, Lao, Khmer, Burmese) are cut into pairs of
//!   neighbouring characters, which find words without a dictionary. A text has its single characters as well, so that
//!   a question of one character finds it; a question has them only where there is no pair.
//! - An emoji or another pictograph is a word.
//! - The rest (spaces, punctuation, signs) is in between.

use tantivy::tokenizer::{Token, TokenStream, Tokenizer};
use unicode_normalization::char::{compose, decompose_compatible, is_combining_mark};

/// A word is cut to so many bytes, in texts and in questions, and so is found if it begins alike.
const LONGEST: usize = 64;

/// Whose words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Of {
    Text,
    Question,
}

/// The words of a text, one after the other. The buffers are used again for the next text.
#[derive(Debug, Clone, Default)]
pub struct Words {
    letters: String,
    ends: Vec<u32>,
}

impl Words {
    /// Cuts a text; [`Words::iter`] has its words then. Bounded by the text's length, of which only the first 4 GiB
    /// count.
    pub fn cut(&mut self, text: &str, of: Of) {
        self.letters.clear();
        self.ends.clear();
        let mut cutter = Cutter { words: self, start: 0, of, before: None, alone: false };
        let mut letters = text.chars().peekable();
        while let Some(mut letter) = letters.next() {
            // Of these scripts letters may come in parts (か and its mark, the letters of a Korean syllable).
            while is_unspaced(letter)
                && let Some(whole) = letters.peek().and_then(|part| compose(letter, *part))
            {
                letter = whole;
                letters.next();
            }
            cutter.take(letter);
        }
        cutter.end();
        cutter.end_run();
    }

    pub fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.ends.len()).map(|place| self.word(place))
    }

    fn word(&self, place: usize) -> &str {
        let start = place.checked_sub(1).map_or(0, |before| self.ends[before] as usize);
        &self.letters[start..self.ends[place] as usize]
    }
}

struct Cutter<'a> {
    words: &'a mut Words,
    /// Where the word begins that is being put together.
    start: usize,
    of: Of,
    /// The character before, in a script without spaces.
    before: Option<char>,
    /// That character is in no pair yet.
    alone: bool,
}

impl Cutter<'_> {
    fn take(&mut self, letter: char) {
        if letter.is_ascii() {
            self.end_run();
            if letter.is_ascii_alphanumeric() { self.push(letter.to_ascii_lowercase()) } else { self.end() }
        } else if is_accent(letter) {
            // Part of the letter before it, which loses its accents.
        } else if is_unspaced(letter) {
            self.end();
            self.pair(letter);
        } else if letter.is_alphanumeric() {
            self.end_run();
            for lower in letter.to_lowercase() {
                decompose_compatible(lower, |part| self.fold(part));
            }
        } else if is_combining_mark(letter) && !is_joiner(letter) {
            // A sign within a word, as of Hindi. Between pairs it is left out.
            if self.words.letters.len() > self.start {
                self.push(letter);
            }
        } else if !is_joiner(letter) {
            self.end_run();
            self.end();
            if is_pictograph(letter) {
                self.push(letter);
                self.end();
            }
        }
    }

    /// A part of a letter after its accents were taken off.
    fn fold(&mut self, part: char) {
        match part {
            _ if is_accent(part) => {}
            'ß' => self.push_str("ss"),
            'æ' => self.push_str("ae"),
            'œ' => self.push_str("oe"),
            'ø' => self.push('o'),
            'ł' => self.push('l'),
            'đ' | 'ð' => self.push('d'),
            'þ' => self.push_str("th"),
            'ħ' => self.push('h'),
            'ı' => self.push('i'),
            'ς' => self.push('σ'),
            _ if part.is_alphanumeric() => part.to_lowercase().for_each(|part| self.push(part)),
            _ => {}
        }
    }

    fn push_str(&mut self, letters: &str) {
        letters.chars().for_each(|letter| self.push(letter));
    }

    fn push(&mut self, letter: char) {
        if self.words.letters.len() - self.start + letter.len_utf8() <= LONGEST {
            self.words.letters.push(letter);
        }
    }

    /// The word is complete, if there is one.
    fn end(&mut self) {
        let end = self.words.letters.len();
        if end > self.start
            && let Ok(place) = u32::try_from(end)
        {
            self.words.ends.push(place);
            self.start = end;
        }
    }

    fn pair(&mut self, letter: char) {
        if let Some(before) = self.before {
            self.push(before);
            self.push(letter);
            self.end();
            self.alone = false;
        } else {
            self.alone = true;
        }
        if self.of == Of::Text {
            self.push(letter);
            self.end();
        }
        self.before = Some(letter);
    }

    fn end_run(&mut self) {
        if let Some(before) = self.before.take()
            && self.alone
            && self.of == Of::Question
        {
            self.push(before);
            self.end();
        }
    }
}

/// Accents of Latin, Greek and Cyrillic, and the two voicing marks of Japanese.
fn is_accent(letter: char) -> bool {
    matches!(letter, '\u{300}'..='\u{36f}' | '\u{3099}' | '\u{309a}')
}

/// What holds emoji together or says how they look: no part of a word and no end of one.
fn is_joiner(letter: char) -> bool {
    matches!(letter, '\u{ad}' | '\u{200c}' | '\u{200d}' | '\u{fe00}'..='\u{fe0f}' | '\u{1f3fb}'..='\u{1f3ff}')
}

fn is_pictograph(letter: char) -> bool {
    matches!(letter, '\u{2600}'..='\u{27bf}' | '\u{1f000}'..='\u{1faff}')
}

/// Letters of scripts that put no spaces between words, or (Korean) put them where words have grown together.
fn is_unspaced(letter: char) -> bool {
    let block = matches!(letter,
        '\u{e00}'..='\u{eff}' | '\u{1000}'..='\u{109f}' | '\u{1100}'..='\u{11ff}' | '\u{1780}'..='\u{17ff}'
        | '\u{2e80}'..='\u{2fdf}' | '\u{3005}'..='\u{3007}' | '\u{3040}'..='\u{30ff}' | '\u{3100}'..='\u{31bf}'
        | '\u{31f0}'..='\u{31ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{ac00}'..='\u{d7af}'
        | '\u{f900}'..='\u{faff}' | '\u{ff66}'..='\u{ff9f}' | '\u{20000}'..='\u{3ffff}');
    block && letter.is_alphanumeric()
}

/// The words of texts, for tantivy.
#[derive(Debug, Clone, Default)]
pub struct TextWords(Words);

impl Tokenizer for TextWords {
    type TokenStream<'a> = Stream<'a>;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> Stream<'a> {
        self.0.cut(text, Of::Text);
        Stream { words: &self.0, next: 0, token: Token::default() }
    }
}

/// Offsets are not known: nothing here needs them.
#[derive(Debug)]
pub struct Stream<'a> {
    words: &'a Words,
    next: usize,
    token: Token,
}

impl TokenStream for Stream<'_> {
    fn advance(&mut self) -> bool {
        if self.next >= self.words.ends.len() {
            return false;
        }
        self.token.text.clear();
        self.token.text.push_str(self.words.word(self.next));
        self.token.position = self.next;
        self.next += 1;
        true
    }

    fn token(&self) -> &Token {
        &self.token
    }

    fn token_mut(&mut self) -> &mut Token {
        &mut self.token
    }
}
