//! Which passages of the sources a question is answered from, where not all of them fit: those that share its rarer
//! words, by BM25 (Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond", 2009).

use std::collections::{BTreeMap, BTreeSet};

use unicode_segmentation::UnicodeSegmentation as _;

/// How soon more of the same word stops counting, and how much a passage's length counts: the usual values.
const K1: f64 = 1.2;
const B: f64 = 0.75;

/// A piece of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passage {
    /// Which source it is of.
    pub source: usize,
    /// Its text.
    pub text: String,
    /// Its tokens.
    pub tokens: u64,
}

/// Passages with their words counted, for several questions.
pub struct Index {
    passages: Vec<Passage>,
    /// How often a passage has a word, and how many words it has.
    words: Vec<(BTreeMap<String, f64>, f64)>,
    /// How many passages have a word.
    having: BTreeMap<String, f64>,
    mean: f64,
}

fn words(text: &str) -> impl Iterator<Item = String> {
    text.unicode_words().map(str::to_lowercase)
}

impl Index {
    /// Counts words.
    pub fn new(passages: Vec<Passage>) -> Self {
        let mut having: BTreeMap<String, f64> = BTreeMap::new();
        let counted: Vec<(BTreeMap<String, f64>, f64)> = passages
            .iter()
            .map(|passage| {
                let mut counts: BTreeMap<String, f64> = BTreeMap::new();
                words(&passage.text).for_each(|word| *counts.entry(word).or_default() += 1.0);
                counts.keys().for_each(|word| *having.entry(word.clone()).or_default() += 1.0);
                let sum = counts.values().sum();
                (counts, sum)
            })
            .collect();
        let mean = counted.iter().map(|(_, sum)| sum).sum::<f64>() / passages.len().max(1) as f64;
        Self { passages, words: counted, having, mean: mean.max(1.0) }
    }

    /// The passages, in the order of the sources.
    pub fn passages(&self) -> &[Passage] {
        &self.passages
    }

    /// The passages for a question, at most `room` tokens of them, in the order of the sources. Those that share no word
    /// with it come last, the first ones of the sources first.
    pub fn choose(&self, question: &str, room: u64) -> Vec<usize> {
        let asked: BTreeSet<String> = words(question).collect();
        let mut ranked: Vec<(f64, usize)> =
            (0..self.passages.len()).map(|at| (self.score(&asked, at), at)).collect();
        ranked.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        let mut held = 0;
        let mut chosen: Vec<usize> = ranked
            .into_iter()
            .filter(|(_, at)| {
                let fits = held + self.passages[*at].tokens <= room;
                if fits {
                    held += self.passages[*at].tokens;
                }
                fits
            })
            .map(|(_, at)| at)
            .collect();
        chosen.sort_unstable();
        chosen
    }

    fn score(&self, asked: &BTreeSet<String>, at: usize) -> f64 {
        let (counts, length) = &self.words[at];
        let all = self.passages.len() as f64;
        let of = |word: &String| {
            let count = counts.get(word)?;
            let having = self.having.get(word).copied().unwrap_or(0.0);
            let rare = ((all - having + 0.5) / (having + 0.5) + 1.0).ln();
            Some(rare * count * (K1 + 1.0) / (count + K1 * (1.0 - B + B * length / self.mean)))
        };
        asked.iter().filter_map(of).sum()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn passages(texts: &[&str]) -> Vec<Passage> {
        let of = |(source, text): (usize, &&str)| Passage { source, text: (*text).to_owned(), tokens: 10 };
        texts.iter().enumerate().map(of).collect()
    }

    #[test]
    fn rare_words_that_are_asked_for_win() {
        let all = passages(&[
            "The society keeps the lighthouse.",
            "The lens was made in Paris. The lens is of the first order.",
            "The budget of the society is 412,000 crowns.",
            "Visitors come in July.",
        ]);
        let index = Index::new(all);
        assert_eq!(index.choose("Where was the LENS made?", 10), [1]);
        assert_eq!(index.choose("What is the budget in crowns?", 15), [2]);
        assert_eq!(index.choose("Qu'est-ce que c'est?", 20), [0, 1], "nothing shared: the first ones");
        assert_eq!(index.choose("lens", 1_000), [0, 1, 2, 3], "all where all fit");
        assert!(Index::new(Vec::new()).choose("lens", 10).is_empty());
    }

    proptest! {
        #[test]
        fn what_is_chosen_fits_and_is_in_order(texts in prop::collection::vec("[a-d ]{0,20}", 0..20), room in 0u64..200, q in "[a-d ]{0,9}") {
            let all = passages(&texts.iter().map(String::as_str).collect::<Vec<_>>());
            let number = all.len() as u64;
            let chosen = Index::new(all).choose(&q, room);
            prop_assert!(chosen.windows(2).all(|two| two[0] < two[1]));
            prop_assert_eq!(chosen.len() as u64, (room / 10).min(number));
        }
    }
}
