//! Texts as sparse vectors, whose dot product is BM25: words as `text` cuts them, their weights from here, and how rare a
//! word is from qdrant (`Modifier::Idf`), which knows all points. Pure.
//!
//! A word is a dimension by its CRC-32: words of up to four bytes never share one, and of 100,000 longer ones about one pair
//! does, whose words are then as one. BM25 weighs a text by its length against the average of all texts. Nobody knows that
//! average when a point is written, so it is fixed: [`AVERAGE`].

use std::collections::BTreeMap;

use qdrant_client::qdrant::SparseVector;

use crate::text::{Of, Words, distinct};

/// How soon one more occurrence of a word counts no more. As in the embedded index.
const K1: f32 = 1.2;
/// How much a text's length counts. As in the embedded index.
const B: f32 = 0.75;
/// The length that texts are weighed against, in words: about that of a chunk of 200 tokens.
pub const AVERAGE: f32 = 150.0;

/// A point's text; nothing where it has no words.
pub fn of_text(text: &str) -> Option<SparseVector> {
    let mut words = Words::default();
    words.cut(text, Of::Text);
    let (mut counts, mut length) = (BTreeMap::<u32, u32>::new(), 0u32);
    for word in words.iter() {
        *counts.entry(dimension(word)).or_default() += 1;
        length += 1;
    }
    let norm = K1 * (1.0 - B + B * length as f32 / AVERAGE);
    vector(counts.into_iter().map(|(word, count)| {
        let count = count as f32;
        (word, count * (K1 + 1.0) / (count + norm))
    }))
}

/// A question; nothing where it has no words.
pub fn of_question(text: &str) -> Option<SparseVector> {
    let mut words = Words::default();
    let dimensions: BTreeMap<u32, f32> =
        distinct(&mut words, text).into_iter().map(|word| (dimension(word), 1.0)).collect();
    vector(dimensions)
}

fn vector(all: impl IntoIterator<Item = (u32, f32)>) -> Option<SparseVector> {
    let (indices, values): (Vec<u32>, Vec<f32>) = all.into_iter().unzip();
    (!indices.is_empty()).then_some(SparseVector { values, indices })
}

fn dimension(word: &str) -> u32 {
    crc32fast::hash(word.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_those_of_bm25() {
        let vector = of_text("Prisms, prisms and a lens").unwrap();
        let weight = |word: &str| {
            let at = vector.indices.iter().position(|index| *index == dimension(word)).unwrap();
            vector.values[at]
        };
        assert_eq!(vector.indices.len(), 4);
        assert!(vector.indices.is_sorted(), "each dimension once");
        let norm = 1.2 * (0.25 + 0.75 * 5.0 / 150.0);
        assert!((weight("lens") - 2.2 / (1.0 + norm)).abs() < 1e-6);
        assert!((weight("prisms") - 4.4 / (2.0 + norm)).abs() < 1e-6);
    }

    #[test]
    fn a_question_has_each_word_once() {
        let question = of_question("What, what does a LENS cost").unwrap();
        assert_eq!(question.indices.len(), 5);
        assert!(question.values.iter().all(|weight| *weight == 1.0));
        let text = of_text("the lens").unwrap();
        assert_eq!(question.indices.iter().filter(|index| text.indices.contains(index)).count(), 1);
        assert!(of_text(" ... ").is_none() && of_question("").is_none());
    }
}
