//! Long texts cut to what a model can read at once: at paragraphs where that will do, else at sentences, else at words.

use unicode_segmentation::UnicodeSegmentation as _;

use crate::tokens;

/// A piece this long is counted in pieces, in bytes: counting takes longer than its length the longer one word is.
const COUNTED_AT_ONCE: usize = 4 * 1024;

/// Tokens of a text of any length, exact but for about one in a thousand.
pub fn tokens(text: &str) -> u64 {
    let (mut sum, mut rest) = (0, text);
    while rest.len() > COUNTED_AT_ONCE {
        let (piece, after) = rest.split_at(rest.floor_char_boundary(COUNTED_AT_ONCE));
        sum += tokens::count(piece);
        rest = after;
    }
    sum + tokens::count(rest)
}

/// Cuts a text into parts of at most `most` tokens each (and one character at least). The parts one after another are the
/// text; none of them is empty or blank, but where the whole text is.
pub fn split<'a>(text: &'a str, most: u64, count: &impl Fn(&str) -> u64) -> Vec<&'a str> {
    let most = most.max(1);
    let mut atoms = Vec::new();
    atoms_of(text, most, count, Border::Paragraph, &mut atoms);
    let (mut parts, mut from, mut at, mut held) = (Vec::new(), 0, 0, 0);
    for (length, tokens) in atoms {
        if held + tokens > most && at > from {
            parts.push(&text[from..at]);
            (from, held) = (at, 0);
        }
        at += length;
        held += tokens;
    }
    if at > from {
        parts.push(&text[from..at]);
    }
    parts
}

/// The longest beginning of a text that has at most `most` tokens, cut at a border like a part; whether it is all.
pub fn beginning<'a>(text: &'a str, most: u64, count: &impl Fn(&str) -> u64) -> (&'a str, bool) {
    // What cannot be part of the answer need not be counted: a token has a bounded number of bytes in practice.
    let near = usize::try_from(most).unwrap_or(usize::MAX).saturating_mul(32).min(text.len());
    let near = &text[..text.floor_char_boundary(near)];
    let first = split(near, most, count).first().copied().unwrap_or_default();
    (first, first.len() == text.len())
}

#[derive(Clone, Copy)]
enum Border {
    Paragraph,
    Sentence,
    Word,
    Character,
}

/// Lengths and tokens of pieces that are not cut any more, in order.
fn atoms_of(
    text: &str,
    most: u64,
    count: &impl Fn(&str) -> u64,
    border: Border,
    atoms: &mut Vec<(usize, u64)>,
) {
    let (pieces, next): (Vec<&str>, Border) = match border {
        Border::Paragraph => (paragraphs(text), Border::Sentence),
        Border::Sentence => (text.split_sentence_bounds().collect(), Border::Word),
        Border::Word => (text.split_word_bounds().collect(), Border::Character),
        Border::Character => (text.graphemes(true).collect(), Border::Character),
    };
    let last = matches!(border, Border::Character);
    for piece in pieces {
        let tokens = count(piece);
        if tokens <= most || last {
            atoms.push((piece.len(), tokens));
        } else {
            atoms_of(piece, most, count, next, atoms);
        }
    }
}

/// Paragraphs, each with the blank lines after it.
fn paragraphs(text: &str) -> Vec<&str> {
    let (mut found, mut from, mut at, mut blank) = (Vec::new(), 0, 0, false);
    for line in text.split_inclusive('\n') {
        let empty = line.trim().is_empty();
        if blank && !empty {
            found.push(&text[from..at]);
            from = at;
        }
        // Blank lines before the first paragraph belong to it.
        blank = empty && !text[from..at].trim().is_empty();
        at += line.len();
    }
    if at > from {
        found.push(&text[from..at]);
    }
    found
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn chars(text: &str) -> u64 {
        text.chars().count() as u64
    }

    #[test]
    fn borders_are_those_a_reader_would_choose() {
        let text = "One. Two.\n\nThree is longer. Four.\n\nFive.";
        assert_eq!(split(text, 100, &chars), [text]);
        assert_eq!(split(text, 26, &chars), ["One. Two.\n\n", "Three is longer. Four.\n\n", "Five."]);
        assert_eq!(split(text, 20, &chars)[1], "Three is longer. ");
        assert_eq!(split("Incomprehensibilities", 8, &chars), ["Incompre", "hensibil", "ities"]);
        assert_eq!(split("", 8, &chars), Vec::<&str>::new());
        assert_eq!(paragraphs("\n\na\nb\n \n\nc\n"), ["\n\na\nb\n \n\n", "c\n"]);
    }

    #[test]
    fn the_beginning_of_a_text() {
        assert_eq!(beginning("One. Two. Three.", 10, &chars), ("One. Two. ", false));
        assert_eq!(beginning("One.", 10, &chars), ("One.", true));
    }

    #[test]
    fn long_words_are_counted_in_time() {
        let begun = std::time::Instant::now();
        assert!(tokens(&"a".repeat(1 << 20)) > 10_000);
        assert!(begun.elapsed().as_secs() < 20, "{:?}", begun.elapsed());
    }

    proptest! {
        #[test]
        fn parts_are_the_text_and_fit(text in "([a-zé世🌍]{1,9}[ .!?]{1,2}|\n{1,3}){0,60}", most in 2u64..50) {
            let parts = split(&text, most, &chars);
            prop_assert_eq!(parts.concat(), text.as_str());
            prop_assert!(parts.iter().all(|part| !part.is_empty()));
            // A grapheme of several characters is not cut; these here have one each, but for line ends.
            prop_assert!(parts.iter().all(|part| chars(part) <= most), "{:?}", parts);
        }

        #[test]
        fn parts_fit_by_the_real_vocabulary_too(text in "([a-zA-Zé世0-9]{1,9}[ .,!?\n]{1,2}){0,80}", most in 8u64..40) {
            for part in split(&text, most, &tokens) {
                // Tokens of pieces and of the whole differ where words are cut.
                prop_assert!(tokens(part) <= most + 1, "{:?}", part);
            }
        }
    }
}
