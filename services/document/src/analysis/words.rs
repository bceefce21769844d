//! Words and sentences by Unicode's rules (UAX #29), with the abbreviations that those rules take for an end.

use unicode_segmentation::UnicodeSegmentation;

/// Words before a full stop that end no sentence, lower case, without the stop.
const ABBREVIATIONS: [&str; 44] = [
    "dr", "mr", "mrs", "ms", "prof", "st", "sr", "jr", "vs", "etc", "e.g", "i.e", "cf", "al", "fig", "no",
    "vol", "pp", "inc", "ltd", "co", "corp", "dept", "approx", "bzw", "ca", "z.b", "d.h", "u.a", "nr", "abs",
    "bd", "hrsg", "str", "vgl", "usw", "ggf", "sog", "evtl", "mme", "mlle", "sra", "av", "art",
];

/// The words of `text`: what holds at least one letter or digit. Ideographs are a word each.
pub fn words(text: &str) -> impl Iterator<Item = &str> {
    text.unicode_words()
}

/// The sentences of `text`, trimmed, none empty.
pub fn sentences(text: &str) -> Vec<&str> {
    let mut sentences = Vec::new();
    let (mut start, mut end) = (0, 0);
    for piece in text.split_sentence_bounds() {
        end += piece.len();
        if !ends_in_abbreviation(piece) {
            push(&mut sentences, &text[start..end]);
            start = end;
        }
    }
    push(&mut sentences, &text[start..]);
    sentences
}

fn push<'a>(sentences: &mut Vec<&'a str>, piece: &'a str) {
    let piece = piece.trim();
    if piece.chars().any(char::is_alphanumeric) {
        sentences.push(piece);
    }
}

/// Whether the piece ends in a known abbreviation, a single letter (`J. Smith`) or an ordinal (`3. Mai`).
fn ends_in_abbreviation(piece: &str) -> bool {
    if piece.ends_with(['\n', '\r', '\u{2029}']) {
        return false;
    }
    let Some(body) = piece.trim_end().strip_suffix('.') else { return false };
    let last = body.rsplit(|c: char| c.is_whitespace() || c == '(').next().unwrap_or_default();
    let mut chars = last.chars();
    let single = matches!((chars.next(), chars.next()), (Some(c), None) if c.is_uppercase());
    let ordinal = !last.is_empty() && last.len() <= 2 && last.bytes().all(|byte| byte.is_ascii_digit());
    single || ordinal || ABBREVIATIONS.contains(&last.to_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn abbreviations_end_no_sentence() {
        let text = "Dr. Smith met J. Doe on the 3. Mai. They talked, e.g. about work! Did they? Yes.";
        let found = sentences(text);
        assert_eq!(found.len(), 4, "{found:?}");
        assert_eq!(found[0], "Dr. Smith met J. Doe on the 3. Mai.");
    }

    #[test]
    fn words_of_scripts_without_spaces_are_counted() {
        assert_eq!(words("Hello, wide world 42!").count(), 4);
        assert_eq!(words("你好世界").count(), 4);
    }

    proptest! {
        #[test]
        fn sentences_lose_no_letter(text in "\\PC{0,200}") {
            let letters = |text: &str| text.chars().filter(|c| c.is_alphanumeric()).collect::<String>();
            prop_assert_eq!(letters(&sentences(&text).concat()), letters(&text));
        }
    }
}
