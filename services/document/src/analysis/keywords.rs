//! Keywords by the features of YAKE: R. Campos et al., "YAKE! Keyword extraction from single documents using
//! multiple local features", Information Sciences 509 (2020). Needs no corpus and no model.
//!
//! Of the paper are the five features of a term and the score of a phrase. Ours: phrases never hold a stop word,
//! the score is turned round so that more is better, and duplicates are dropped by their words.

use std::collections::{HashMap, HashSet};

use serde::{Deserialize, Serialize};
use unicode_segmentation::UnicodeSegmentation;

use super::Passage;
use super::entities::is_month;
use super::stopwords::is_stopword;
use super::words::sentences;

/// Words of a phrase.
const MAX_WORDS: usize = 3;

/// Different terms and phrases that are kept track of; a longer document's rare later ones are left out.
const MAX_TERMS: usize = 200_000;

/// A word or phrase that tells what a document is about.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Keyword {
    /// The phrase, written as it most often is.
    pub text: String,
    /// How telling it is, 0 to 1; comparable within one document.
    pub score: f64,
    /// How often it stands in the prose.
    pub count: u32,
}

#[derive(Debug, Default)]
struct Term {
    count: u32,
    capitalised: u32,
    acronym: u32,
    sentences: Vec<u32>,
    left: HashMap<u32, u32>,
    right: HashMap<u32, u32>,
    stop: bool,
}

#[derive(Debug, Default)]
struct Phrase {
    count: u32,
    forms: HashMap<String, u32>,
}

#[derive(Debug, Default)]
struct Statistics {
    ids: HashMap<String, u32>,
    terms: Vec<Term>,
    phrases: HashMap<Vec<u32>, Phrase>,
    sentences: u32,
}

/// The `max` most telling phrases of `prose` in `language` (ISO 639-1), the best first. None for Chinese, Japanese
/// and other scripts without spaces, whose words would have to be found by a dictionary.
pub fn extract(prose: &[Passage<'_>], language: &str, max: usize) -> Vec<Keyword> {
    if max == 0 || matches!(language, "zh" | "ja" | "th" | "km" | "my") {
        return Vec::new();
    }
    let mut statistics = Statistics::default();
    for passage in prose {
        for sentence in sentences(passage.text) {
            statistics.sentence(sentence, language);
        }
    }
    let scores = statistics.scores();
    let mut ranked: Vec<(f64, &Vec<u32>, &Phrase)> = statistics
        .phrases
        .iter()
        // A phrase of several words that stands but once is rarely one.
        .filter(|(ids, phrase)| ids.len() == 1 || phrase.count > 1 || statistics.sentences < 20)
        .map(|(ids, phrase)| (phrase_score(ids, phrase.count, &scores), ids, phrase))
        .collect();
    ranked.sort_by(|a, b| a.0.total_cmp(&b.0).then_with(|| a.1.cmp(b.1)));
    select(&ranked, max)
}

impl Statistics {
    fn id(&mut self, lower: String, language: &str) -> Option<u32> {
        if let Some(id) = self.ids.get(&lower) {
            return Some(*id);
        }
        if self.terms.len() >= MAX_TERMS {
            return None;
        }
        let id = u32::try_from(self.terms.len()).ok()?;
        let letters = lower.chars().filter(|c| c.is_alphabetic()).count();
        let stop = letters < 2
            || letters * 2 < lower.chars().count()
            || is_stopword(&lower, language)
            || is_month(&lower);
        self.terms.push(Term { stop, ..Term::default() });
        self.ids.insert(lower, id);
        Some(id)
    }

    fn sentence(&mut self, sentence: &str, language: &str) {
        self.sentences += 1;
        let mut window: Vec<(u32, usize)> = Vec::new();
        let (mut before, mut end) = (None, 0);
        for (start, word) in sentence.unicode_word_indices() {
            // Punctuation between two words parts phrases.
            if sentence[end..start].chars().any(|c| !c.is_whitespace() && c != '-') {
                window.clear();
                before = None;
            }
            let first = end == 0;
            end = start + word.len();
            let Some(id) = self.id(word.to_lowercase(), language) else {
                window.clear();
                before = None;
                continue;
            };
            self.occurrence(id, word, first);
            if let Some(before) = before {
                *self.terms[before as usize].right.entry(id).or_default() += 1;
                *self.terms[id as usize].left.entry(before).or_default() += 1;
            }
            before = Some(id);
            if self.terms[id as usize].stop {
                window.clear();
                continue;
            }
            window.push((id, start));
            let surplus = window.len().saturating_sub(MAX_WORDS);
            window.drain(..surplus);
            self.phrases(&window, &sentence[..end]);
        }
    }

    fn occurrence(&mut self, id: u32, word: &str, first: bool) {
        let number = self.sentences;
        let term = &mut self.terms[id as usize];
        term.count += 1;
        if term.sentences.last() != Some(&number) {
            term.sentences.push(number);
        }
        let mut chars = word.chars();
        let upper = chars.next().is_some_and(char::is_uppercase);
        let acronym = upper && word.chars().count() > 1 && chars.all(|c| !c.is_lowercase());
        term.acronym += u32::from(acronym);
        term.capitalised += u32::from(upper && !acronym && !first);
    }

    /// Counts the phrases that end with the window's last word, which is the last of `sentence`.
    fn phrases(&mut self, window: &[(u32, usize)], sentence: &str) {
        for (index, (_, start)) in window.iter().enumerate() {
            let ids: Vec<u32> = window[index..].iter().map(|(id, _)| *id).collect();
            if self.phrases.len() >= MAX_TERMS && !self.phrases.contains_key(&ids) {
                continue;
            }
            let phrase = self.phrases.entry(ids).or_default();
            phrase.count += 1;
            if phrase.forms.len() < 8 {
                let words: Vec<&str> = sentence[*start..].split_whitespace().collect();
                *phrase.forms.entry(words.join(" ")).or_default() += 1;
            }
        }
    }

    /// The score of each term as in the paper: the lower, the more telling.
    fn scores(&self) -> Vec<f64> {
        let content = || self.terms.iter().filter(|term| !term.stop).map(|term| f64::from(term.count));
        let number = content().count().max(1) as f64;
        let mean = content().sum::<f64>() / number;
        let deviation = (content().map(|count| (count - mean).powi(2)).sum::<f64>() / number).sqrt();
        let max = self.terms.iter().map(|term| term.count).max().unwrap_or(1);
        self.terms.iter().map(|term| self.score(term, mean + deviation, f64::from(max))).collect()
    }

    fn score(&self, term: &Term, usual: f64, max: f64) -> f64 {
        let count = f64::from(term.count);
        let casing = f64::from(term.acronym.max(term.capitalised)) / (1.0 + count.ln());
        let median = f64::from(term.sentences.get(term.sentences.len() / 2).copied().unwrap_or(1));
        let position = (3.0 + median).ln().ln();
        let frequency = count / usual.max(1.0);
        let variety = |side: &HashMap<u32, u32>| {
            let total: u32 = side.values().sum();
            if total == 0 { 0.0 } else { side.len() as f64 / f64::from(total) }
        };
        let relatedness = 1.0 + (variety(&term.left) + variety(&term.right)) * (count / max);
        let spread = term.sentences.len() as f64 / f64::from(self.sentences.max(1));
        relatedness * position / (casing + frequency / relatedness + spread / relatedness)
    }
}

fn phrase_score(ids: &[u32], count: u32, scores: &[f64]) -> f64 {
    let parts = || ids.iter().filter_map(|id| scores.get(*id as usize));
    parts().product::<f64>() / (f64::from(count) * (1.0 + parts().sum::<f64>()))
}

/// The best, without those that say what a better one says: the same words, or words of a phrase that stands
/// nearly as often.
fn select(ranked: &[(f64, &Vec<u32>, &Phrase)], max: usize) -> Vec<Keyword> {
    let mut taken: Vec<(&Vec<u32>, u32)> = Vec::new();
    let mut stems: HashSet<String> = HashSet::new();
    let mut keywords = Vec::new();
    for (score, ids, phrase) in ranked {
        if keywords.len() >= max {
            break;
        }
        let within = |a: &[u32], b: &[u32]| a.len() < b.len() && b.windows(a.len()).any(|part| part == a);
        let repeated = taken.iter().any(|(other, count)| {
            (within(ids, other) && phrase.count * 2 <= count * 3)
                || (within(other, ids) && phrase.count * 3 <= *count)
        });
        let form =
            phrase.forms.iter().max_by(|a, b| a.1.cmp(b.1).then_with(|| b.0.cmp(a.0))).map(|(form, _)| form);
        let Some(text) = form.filter(|_| !repeated) else { continue };
        if stems.insert(stem(text)) {
            taken.push((ids, phrase.count));
            let score = (1000.0 / (1.0 + score)).round() / 1000.0;
            keywords.push(Keyword { text: text.clone(), score, count: phrase.count });
        }
    }
    keywords
}

/// A phrase without the endings that make plurals, good enough to tell repetitions.
fn stem(text: &str) -> String {
    let lower = text.to_lowercase();
    let words: Vec<&str> =
        lower.split(' ').map(|word| word.trim_end_matches("'s").trim_end_matches(['s', 'e', 'n'])).collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn keywords(text: &str, language: &str) -> Vec<String> {
        extract(&[Passage { text, heading: false }], language, 5)
            .into_iter()
            .map(|keyword| keyword.text)
            .collect()
    }

    #[test]
    fn what_a_text_is_about_comes_first() {
        let english = "Solar panels turn sunlight into electricity. A solar panel is made of silicon cells. When \
            sunlight hits the silicon, electrons move. Most solar panels last for thirty years, and the price of \
            solar panels has fallen. An inverter changes the direct current of the panels.";
        let found = keywords(english, "en");
        assert!(found.first().is_some_and(|best| best.to_lowercase().contains("solar")), "{found:?}");
        let german = "Die Wärmepumpe heizt das Haus mit der Wärme der Umgebung. Eine Wärmepumpe braucht Strom. Wer \
            eine Wärmepumpe kauft, bekommt einen Zuschuss, und der Strom für die Wärmepumpe ist günstiger.";
        let found = keywords(german, "de");
        assert_eq!(found.first().map(String::as_str), Some("Wärmepumpe"), "{found:?}");
    }

    proptest! {
        #[test]
        fn keywords_are_bounded_different_and_stand_in_the_text(
            words in prop::collection::vec("(the|and|[A-Za-z]{2,9}|[0-9]{1,3})[,. ]", 0..150), max in 0_usize..20,
        ) {
            let text = words.join(" ");
            let found = extract(&[Passage { text: &text, heading: false }], "en", max);
            prop_assert!(found.len() <= max);
            let plain: String = text.to_lowercase().split_whitespace().collect::<Vec<_>>().join(" ");
            let mut seen = HashSet::new();
            for keyword in found {
                prop_assert!(plain.contains(&keyword.text.to_lowercase()), "{}", keyword.text);
                prop_assert!(keyword.count >= 1 && (0.0..=1.0).contains(&keyword.score));
                prop_assert!(!keyword.text.split(' ').any(|word| is_stopword(&word.to_lowercase(), "en")));
                prop_assert!(seen.insert(keyword.text.to_lowercase()));
            }
        }
    }
}
