//! Texts of known lengths: words that are one token each in the model's own vocabulary, the same in every run.

use std::path::Path;

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use serde_json::Value;

use crate::error::LoadError;

/// Tokens of the shortest and of the longest text, special ones included.
pub const TOKENS: (usize, usize) = (8, 256);
/// Special tokens around a text of the BERT family.
const AROUND: usize = 2;
/// The commonest entries of a vocabulary are letters and syllables, the last ones rare.
const WORDS: std::ops::Range<u64> = 2_000..20_000;

/// Texts, each with its tokens.
pub struct Texts {
    words: Vec<String>,
    random: StdRng,
}

impl Texts {
    /// Texts of the words of a model's tokenizer.
    ///
    /// # Errors
    /// Where its folder has none of the kind that is known.
    pub fn of(model: &Path) -> Result<Self, LoadError> {
        let text = std::fs::read_to_string(model.join("tokenizer.json"));
        let text = text.map_err(LoadError::io("read the tokenizer"))?;
        let tokenizer: Value = serde_json::from_str(&text).map_err(|e| LoadError::Stack(e.to_string()))?;
        let vocabulary = tokenizer["model"]["vocab"].as_object().into_iter().flatten();
        let plain = |word: &str| word.len() > 2 && word.bytes().all(|b| b.is_ascii_lowercase());
        let common = |id: &Value| id.as_u64().is_some_and(|id| WORDS.contains(&id));
        let mut words: Vec<String> =
            vocabulary.filter(|(word, id)| plain(word) && common(id)).map(|(word, _)| word.clone()).collect();
        words.sort_unstable();
        if words.len() < 1_000 {
            return Err(LoadError::Stack(format!("{} has {} words", model.display(), words.len())));
        }
        Ok(Self { words, random: StdRng::seed_from_u64(1) })
    }

    /// A text of so many tokens.
    pub fn of_length(&mut self, tokens: usize) -> String {
        self.words(tokens.max(AROUND + 1) - AROUND)
    }

    /// So many words.
    pub fn words(&mut self, count: usize) -> String {
        let words = (0..count).map(|_| {
            let n = self.random.random_range(0..self.words.len());
            self.words[n].as_str()
        });
        words.collect::<Vec<_>>().join(" ")
    }

    /// So many texts of mixed lengths, and their tokens together.
    pub fn mixed(&mut self, count: usize) -> (Vec<String>, usize) {
        let lengths: Vec<usize> = (0..count).map(|_| self.random.random_range(TOKENS.0..=TOKENS.1)).collect();
        (lengths.iter().map(|&tokens| self.of_length(tokens)).collect(), lengths.iter().sum())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_as_long_as_they_are_said_to_be_and_the_same_every_time() {
        let folder = tempfile::tempdir().unwrap();
        let word = |n: u64| format!("w{}{}{}", char_of(n / 676), char_of(n / 26), char_of(n));
        fn char_of(n: u64) -> char {
            char::from(b'a' + (n % 26) as u8)
        }
        let vocabulary: serde_json::Map<String, Value> =
            (0..3_000).map(|n| (word(n), Value::from(n + 2_000))).collect();
        let text = serde_json::json!({"model": {"vocab": vocabulary}}).to_string();
        std::fs::write(folder.path().join("tokenizer.json"), text).unwrap();
        let (texts, tokens) = Texts::of(folder.path()).unwrap().mixed(50);
        let words: usize = texts.iter().map(|text| text.split(' ').count()).sum();
        assert_eq!(words + 50 * AROUND, tokens);
        assert_eq!(Texts::of(folder.path()).unwrap().mixed(50).0, texts);
        assert_eq!(Texts::of(folder.path()).unwrap().of_length(8).split(' ').count(), 6);
    }
}
