//! How special tokens stand around one text, and around two. It is learned from the tokenizer itself, by what it makes of
//! two letters, so that every post-processor is right and cutting a text needs none of them.

use tokenizers::Encoding;

/// What a model reads.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tokens {
    /// Numbers of tokens.
    pub ids: Vec<u32>,
    /// Which text each belongs to, as the model wants it told.
    pub types: Vec<u8>,
    /// Where the text's own tokens begin: before it are special ones.
    pub content: usize,
}

impl Tokens {
    fn push(&mut self, piece: &Piece, own: &[u32]) {
        match piece {
            Piece::Special(id, kind) => {
                self.ids.push(*id);
                self.types.push(*kind);
            }
            Piece::Text(_, kind) => {
                self.ids.extend_from_slice(own);
                self.types.resize(self.ids.len(), *kind);
            }
        }
    }
}

/// A part of what a model reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Piece {
    /// A special token, and the type that it has.
    Special(u32, u8),
    /// The first or second text, and the type that its tokens have.
    Text(usize, u8),
}

/// How special tokens stand around texts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    one: Vec<Piece>,
    two: Vec<Piece>,
}

impl Template {
    /// The template of a tokenizer.
    ///
    /// # Errors
    /// Where the tokenizer does not read two letters, or puts nothing of them into what it makes.
    pub fn of(tokenizer: &tokenizers::Tokenizer) -> Result<Self, String> {
        let one = tokenizer.encode("a", true).map_err(|e| e.to_string())?;
        let two = tokenizer.encode(("a", "a"), true).map_err(|e| e.to_string())?;
        Ok(Self { one: pieces(&one, 1)?, two: pieces(&two, 2)? })
    }

    /// How many special tokens stand around one text.
    pub fn around_one(&self) -> usize {
        self.one.len() - 1
    }

    /// How many special tokens stand around two texts.
    pub fn around_two(&self) -> usize {
        self.two.len() - 2
    }

    /// One text's tokens with the special ones.
    pub fn one(&self, ids: &[u32]) -> Tokens {
        let content = self.one.iter().position(|piece| matches!(piece, Piece::Text(..))).unwrap_or(0);
        let mut tokens = Tokens { content, ..Tokens::default() };
        for piece in &self.one {
            tokens.push(piece, ids);
        }
        tokens
    }

    /// Two texts' tokens with the special ones.
    pub fn two(&self, first: &[u32], second: &[u32]) -> Tokens {
        let content = self.two.iter().position(|piece| matches!(piece, Piece::Text(..))).unwrap_or(0);
        let mut tokens = Tokens { content, ..Tokens::default() };
        for piece in &self.two {
            let own = if matches!(piece, Piece::Text(1, _)) { second } else { first };
            tokens.push(piece, own);
        }
        tokens
    }
}

/// What stands in an encoding of `texts` letters, each text's tokens as one piece.
fn pieces(encoding: &Encoding, texts: usize) -> Result<Vec<Piece>, String> {
    let mut pieces: Vec<Piece> = Vec::new();
    let ids = encoding.get_ids().iter().zip(encoding.get_type_ids()).zip(encoding.get_special_tokens_mask());
    for (((&id, &kind), &special), text) in ids.zip(encoding.get_sequence_ids()) {
        let kind = u8::try_from(kind).map_err(|_| "a type of token is above 255".to_owned())?;
        let piece = match text.filter(|_| special == 0) {
            Some(text) => Piece::Text(text, kind),
            None => Piece::Special(id, kind),
        };
        // A letter may be several tokens.
        if matches!(piece, Piece::Special(..)) || pieces.last() != Some(&piece) {
            pieces.push(piece);
        }
    }
    let found = pieces.iter().filter(|piece| matches!(piece, Piece::Text(..))).count();
    if found == texts { Ok(pieces) } else { Err(format!("it makes {found} texts of {texts} letters")) }
}

/// How many tokens of two texts are kept so that together they are at most `room`: the longer is cut first, as
/// `longest_first` of the tokenizers library has it.
pub fn longest_first(first: usize, second: usize, room: usize) -> (usize, usize) {
    if first + second <= room {
        return (first, second);
    }
    let swapped = first > second;
    let shorter = first.min(second);
    let (a, b) = if shorter > room / 2 { (room / 2, room - room / 2) } else { (shorter, room - shorter) };
    if swapped { (b, a) } else { (a, b) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn cutting_the_longer_first_fills_the_room(a in 0usize..2_000, b in 0usize..2_000, room in 0usize..1_000) {
            let (first, second) = longest_first(a, b, room);
            prop_assert!(first <= a && second <= b);
            prop_assert_eq!(first + second, room.min(a + b));
            // What was cut is the longer one: nothing is taken from a text while the other keeps more, but for one token.
            if first < a { prop_assert!(second <= first + 1); }
            if second < b { prop_assert!(first <= second + 1); }
        }
    }

    #[test]
    fn special_tokens_stand_where_the_template_has_them() {
        let template = Template {
            one: vec![Piece::Special(1, 0), Piece::Text(0, 0), Piece::Special(2, 0)],
            two: vec![
                Piece::Special(1, 0),
                Piece::Text(0, 0),
                Piece::Special(2, 0),
                Piece::Text(1, 1),
                Piece::Special(2, 1),
            ],
        };
        assert_eq!((template.around_one(), template.around_two()), (2, 3));
        let one = template.one(&[7, 8]);
        assert_eq!((one.ids, one.types, one.content), (vec![1, 7, 8, 2], vec![0; 4], 1));
        let two = template.two(&[7], &[8, 9]);
        assert_eq!((two.ids, two.types), (vec![1, 7, 2, 8, 9, 2], vec![0, 0, 0, 1, 1, 1]));
        assert_eq!(template.one(&[]).ids, vec![1, 2]);
    }
}
