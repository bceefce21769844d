//! Text from tokens, as they come: never half a character, and nothing that may turn out to be a stop string.

use super::stop::Stops;

/// What turns tokens into text. Special tokens come to nothing.
pub type Decode = dyn Fn(&[u32]) -> String + Send + Sync;

/// So many tokens may wait for their character to be whole. One has at most four bytes, and a token at least one;
/// past that they are no text, and are shown as what they are.
const PATIENCE: usize = 8;
/// Past this many, what they are is shown to the end: decoding ever more of them together would take ever longer.
const ENOUGH: usize = 64;
/// Replacement characters that an incomplete character may be decoded as: one, or one for each of its bytes.
const TORN: usize = 3;

/// The text of one sequence.
#[derive(Debug)]
pub struct Speaker {
    tokens: Vec<u32>,
    /// Tokens from here on are decoded together, so that the first of the new ones has its left neighbour: what stands
    /// at the beginning of a text loses its space in some vocabularies.
    context: usize,
    /// Tokens up to here are shown.
    shown: usize,
    /// What is shown of those behind.
    ahead: String,
    stops: Stops,
}

impl Speaker {
    /// A text that ends at any of these strings.
    pub fn new(stops: Vec<String>) -> Self {
        Self { tokens: Vec::new(), context: 0, shown: 0, ahead: String::new(), stops: Stops::new(stops) }
    }

    /// The text that a token makes ready to be shown, and whether a stop string ended it.
    pub fn add(&mut self, token: u32, decode: &Decode) -> (String, bool) {
        self.tokens.push(token);
        let new = self.new_text(decode);
        let waiting = self.tokens.len() - self.shown;
        if new.is_empty() {
            return (String::new(), false);
        }
        if new.ends_with(char::REPLACEMENT_CHARACTER) && waiting < ENOUGH {
            return if waiting < PATIENCE { (String::new(), false) } else { self.go_ahead(&new) };
        }
        let piece = self.behind_what_is_ahead(&new);
        self.context = self.shown;
        self.shown = self.tokens.len();
        self.ahead.clear();
        self.stops.add(&piece)
    }

    /// Shows what will not change any more, whatever follows: the last characters may still become another one.
    fn go_ahead(&mut self, new: &str) -> (String, bool) {
        let torn = new.chars().rev().take(TORN).take_while(|c| *c == char::REPLACEMENT_CHARACTER).count();
        let ready = &new[..new.len() - torn * char::REPLACEMENT_CHARACTER.len_utf8()];
        let piece = self.behind_what_is_ahead(ready);
        self.ahead = ready.to_owned();
        self.stops.add(&piece)
    }

    fn behind_what_is_ahead(&self, new: &str) -> String {
        new[shared(&self.ahead, new)..].to_owned()
    }

    /// What is left when no token follows, and whether a stop string is in it.
    pub fn finish(&mut self, decode: &Decode) -> (String, bool) {
        let new = self.new_text(decode);
        let new = self.behind_what_is_ahead(&new);
        self.shown = self.tokens.len();
        self.ahead.clear();
        let (mut text, ended) = self.stops.add(&new);
        if !ended {
            text += &self.stops.rest();
        }
        (text, ended)
    }

    fn new_text(&self, decode: &Decode) -> String {
        let (context, shown) = (self.context.min(self.shown), self.shown.min(self.tokens.len()));
        let before = decode(&self.tokens[context..shown]);
        let mut all = decode(&self.tokens[context..]);
        // What was shown may have ended in an incomplete character: then the shared beginning is what counts.
        all.split_off(shared(&before, &all))
    }
}

/// How many bytes two texts begin with in common, in whole characters.
fn shared(a: &str, b: &str) -> usize {
    let same = a.bytes().zip(b.bytes()).take_while(|(a, b)| a == b).count();
    (0..=same).rev().find(|n| b.is_char_boundary(*n)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Every token is a byte.
    fn bytes(tokens: &[u32]) -> String {
        let bytes: Vec<u8> = tokens.iter().map(|t| *t as u8).collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn speak(tokens: impl IntoIterator<Item = u32>, stops: &[&str]) -> (Vec<String>, bool) {
        let mut speaker = Speaker::new(stops.iter().map(|s| (*s).to_owned()).collect());
        let mut pieces = Vec::new();
        for token in tokens {
            let (piece, ended) = speaker.add(token, &bytes);
            pieces.push(piece);
            if ended {
                return (pieces, true);
            }
        }
        let (rest, ended) = speaker.finish(&bytes);
        pieces.push(rest);
        (pieces, ended)
    }

    #[test]
    fn half_a_character_is_never_shown() {
        let (pieces, _) = speak("aß東🙂b".bytes().map(u32::from), &[]);
        assert_eq!(pieces, ["a", "", "ß", "", "", "東", "", "", "", "🙂", "b", ""]);
    }

    #[test]
    fn bytes_that_are_no_text_are_shown_after_a_while_and_at_the_end() {
        let (pieces, _) = speak([0xffu32; 20], &[]);
        assert_eq!(pieces.concat(), bytes(&[0xff; 20]));
        assert!(pieces[PATIENCE - 1].ends_with('\u{fffd}'));
        let (pieces, _) = speak([0x61, 0xf0, 0x9f], &[]);
        assert_eq!(pieces.concat(), "a\u{fffd}");
    }

    #[test]
    fn a_stop_string_ends_it_in_the_middle_and_in_what_is_left() {
        let (pieces, ended) = speak("one\n\ntwo".bytes().map(u32::from), &["\n\n"]);
        assert!(ended && pieces.concat() == "one");
        let (pieces, ended) = speak([0x61, 0xf0], &["\u{fffd}"]);
        assert!(ended && pieces.concat() == "a");
    }

    #[test]
    fn replacement_characters_of_the_text_itself_are_shown_as_they_are() {
        for text in [
            "\u{fffd}\u{fffd}\u{fffd}ü",
            "a\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}",
            "\u{fffd}\u{fffd}東\u{fffd}🙂",
        ] {
            let (pieces, _) = speak(text.bytes().map(u32::from), &[]);
            assert_eq!(pieces.concat(), text);
        }
    }

    proptest! {
        #[test]
        fn replacement_characters_among_others_are_too(text in "[\u{fffd}aß🙂]{0,18}") {
            let (pieces, _) = speak(text.bytes().map(u32::from), &[]);
            prop_assert_eq!(pieces.concat(), text);
        }

        #[test]
        fn pieces_are_the_whole(text in "\\PC{0,30}") {
            let (pieces, _) = speak(text.bytes().map(u32::from), &[]);
            prop_assert_eq!(pieces.concat(), text);
        }
    }
}
