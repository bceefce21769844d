//! How hard prose is to read, by the usual formulas for its language.
//!
//! - Flesch Reading Ease: R. Flesch, "A new readability yardstick", Journal of Applied Psychology 32 (1948).
//! - Flesch-Kincaid grade: J. P. Kincaid et al., Naval Technical Training Command, Research Branch Report 8-75 (1975).
//! - Amstad's Flesch formula for German: T. Amstad, "Wie verständlich sind unsere Zeitungen?" (Zürich, 1978).
//! - LIX, for every language with spaces: C. H. Björnsson, "Läsbarhet" (Stockholm, 1968).

use serde::{Deserialize, Serialize};

use super::Passage;
use super::words::{sentences, words};

/// Words below which a formula says nothing.
const MIN_WORDS: usize = 30;

/// Languages written without spaces between words.
const WITHOUT_SPACES: [&str; 6] = ["zh", "ja", "th", "km", "my", "lo"];

/// How hard the prose is to read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Readability {
    /// Mean words of a sentence.
    pub words_per_sentence: f64,
    /// Mean syllables of a word, for English and German.
    pub syllables_per_word: Option<f64>,
    /// Flesch Reading Ease, English: about 0 (hard) to 100 (easy).
    pub flesch_reading_ease: Option<f64>,
    /// Flesch-Kincaid grade, English: years of school.
    pub flesch_kincaid_grade: Option<f64>,
    /// Amstad's reading ease, German: about 0 (hard) to 100 (easy).
    pub amstad: Option<f64>,
    /// LIX: below 30 very easy, above 60 very hard.
    pub lix: f64,
    /// How hard that is.
    pub level: Level,
}

/// How hard prose is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Like a book for children.
    VeryEasy,
    /// Like fiction.
    Easy,
    /// Like a newspaper.
    Medium,
    /// Like an official text.
    Hard,
    /// Like a scientific paper.
    VeryHard,
}

/// Measures the paragraphs and items of `prose` in `language` (ISO 639).
pub fn measure(prose: &[Passage<'_>], language: &str) -> Option<Readability> {
    if WITHOUT_SPACES.contains(&language) {
        return None;
    }
    let (mut word_count, mut sentence_count, mut long, mut syllables) = (0_usize, 0_usize, 0_usize, 0_usize);
    for passage in prose.iter().filter(|passage| !passage.heading) {
        sentence_count += sentences(passage.text).len();
        for word in words(passage.text) {
            word_count += 1;
            long += usize::from(word.chars().count() > 6);
            syllables += count_syllables(word, language);
        }
    }
    if word_count < MIN_WORDS || sentence_count == 0 {
        return None;
    }
    let per_sentence = word_count as f64 / sentence_count as f64;
    let per_word = syllables as f64 / word_count as f64;
    let (english, german) = (language == "en", language == "de");
    let flesch = 206.835 - 1.015 * per_sentence - 84.6 * per_word;
    let grade = 0.39 * per_sentence + 11.8 * per_word - 15.59;
    let amstad = 180.0 - per_sentence - 58.5 * per_word;
    let lix = per_sentence + 100.0 * long as f64 / word_count as f64;
    Some(Readability {
        words_per_sentence: round(per_sentence),
        syllables_per_word: (english || german).then(|| round(per_word)),
        flesch_reading_ease: english.then(|| round(flesch)),
        flesch_kincaid_grade: english.then(|| round(grade)),
        amstad: german.then(|| round(amstad)),
        lix: round(lix),
        level: match language {
            "en" => by_ease(flesch),
            "de" => by_ease(amstad),
            _ => by_lix(lix),
        },
    })
}

fn round(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

/// Flesch's table, with his seven steps brought to five.
fn by_ease(ease: f64) -> Level {
    match ease {
        ease if ease >= 80.0 => Level::VeryEasy,
        ease if ease >= 65.0 => Level::Easy,
        ease if ease >= 50.0 => Level::Medium,
        ease if ease >= 30.0 => Level::Hard,
        _ => Level::VeryHard,
    }
}

/// Björnsson's table.
fn by_lix(lix: f64) -> Level {
    match lix {
        lix if lix < 30.0 => Level::VeryEasy,
        lix if lix < 40.0 => Level::Easy,
        lix if lix < 50.0 => Level::Medium,
        lix if lix < 60.0 => Level::Hard,
        _ => Level::VeryHard,
    }
}

/// The syllables of a word, at least 1: groups of vowels, less what the language leaves silent.
fn count_syllables(word: &str, language: &str) -> usize {
    let word = word.to_lowercase();
    let vowels =
        if language == "de" { "aeiouyäöü" } else { "aeiouyáéíóúàèìòùâêîôûäëïöü" };
    let mut groups = 0_usize;
    let mut before: Option<char> = None;
    for c in word.chars() {
        if vowels.contains(c) {
            let joined = match (before, language) {
                // German vowels join in diphthongs and doubles only: The-a-ter, but Bau-er.
                (Some(first), "de") => {
                    ["ei", "ai", "au", "äu", "eu", "ie", "aa", "ee", "oo", "ey", "ay", "oi"]
                        .iter()
                        .any(|pair| pair.chars().eq([first, c]))
                }
                (Some(_), _) => true,
                (None, _) => false,
            };
            groups += usize::from(!joined);
            // A diphthong is complete: a third vowel starts anew.
            before = if joined && language == "de" { None } else { Some(c) };
        } else {
            before = None;
        }
    }
    if language == "en" {
        groups = groups.saturating_sub(silent_english(&word));
    }
    groups.max(1)
}

/// Vowel groups at the end of an English word that are not spoken: mak(e), lik(ed), but not ta-ble, want-ed.
fn silent_english(word: &str) -> usize {
    let vowel = |c: char| "aeiouy".contains(c);
    let before = |ending: &str| word.strip_suffix(ending).and_then(|stem| stem.chars().last());
    let stem_vowels = word.chars().filter(|c| vowel(*c)).count();
    if stem_vowels < 2 {
        return 0;
    }
    match (before("e"), before("es"), before("ed")) {
        (Some('l'), ..) => usize::from(word.chars().rev().nth(2).is_some_and(vowel)),
        (Some(c), ..) => usize::from(!vowel(c)),
        (_, Some(c), _) => usize::from(!vowel(c) && !"sxzcgh".contains(c)),
        (_, _, Some(c)) => usize::from(!vowel(c) && c != 't' && c != 'd'),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn syllables_of_known_words() {
        let english = [
            ("cat", 1),
            ("table", 2),
            ("make", 1),
            ("wanted", 2),
            ("liked", 1),
            ("readability", 5),
            ("the", 1),
            ("boxes", 2),
            ("school", 1),
            ("family", 3),
            ("whole", 1),
        ];
        for (word, count) in english {
            assert_eq!(count_syllables(word, "en"), count, "{word}");
        }
        let german = [
            ("Haus", 1),
            ("Theater", 3),
            ("Bauer", 2),
            ("Lesbarkeit", 3),
            ("Tür", 1),
            ("Universität", 5),
            ("Ei", 1),
        ];
        for (word, count) in german {
            assert_eq!(count_syllables(word, "de"), count, "{word}");
        }
    }

    fn level(text: &str, language: &str) -> Level {
        measure(&[Passage { text, heading: false }], language).expect("enough words").level
    }

    #[test]
    fn simple_texts_are_easier_than_learned_ones() {
        let simple =
            "The cat sat on the mat. The dog ran to the cat. They had fun in the sun all day. ".repeat(3);
        let learned = "Notwithstanding considerable methodological heterogeneity, contemporary investigations \
            consistently demonstrate statistically significant correlations between socioeconomic characteristics \
            and educational achievement, particularly concerning longitudinal developmental trajectories and \
            institutional configurations of international comparability across administrative jurisdictions.";
        assert_eq!(level(&simple, "en"), Level::VeryEasy);
        assert_eq!(level(learned, "en"), Level::VeryHard);
        assert!(level(&simple, "sv") < level(learned, "sv"));
    }

    #[test]
    fn too_little_prose_says_nothing() {
        assert_eq!(measure(&[Passage { text: "Too short.", heading: false }], "en"), None);
    }

    proptest! {
        #[test]
        fn every_word_has_a_syllable_and_no_more_than_letters(word in "[a-zäöüß]{1,30}") {
            for language in ["en", "de", "fr"] {
                let count = count_syllables(&word, language);
                prop_assert!(count >= 1 && count <= word.chars().count());
            }
        }
    }
}
