//! The language of a document, by the trigrams of its prose (whatlang).

use serde::{Deserialize, Serialize};
use whatlang::Lang;

use super::Passage;

/// Bytes of prose that are looked at: more changes nothing.
const SAMPLE: usize = 64 << 10;

/// Letters below which a guess is worth nothing.
const MIN_LETTERS: usize = 20;

/// A language and how sure it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Language {
    /// Its ISO 639-1 code, such as `de`; its ISO 639-3 code where it has no other.
    pub code: String,
    /// Its English name.
    pub name: String,
    /// How sure the detection is, 0 to 1; 1 where the request named the language.
    pub confidence: f64,
    /// How it is known.
    pub source: Source,
}

/// How a language is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// The request named it.
    Request,
    /// The text shows it.
    Text,
    /// The file says so, and the text is too short or too unclear to tell.
    Metadata,
}

/// ISO 639-1 codes of the languages that whatlang knows by their ISO 639-3 codes.
const CODES: [(&str, &str); 68] = [
    ("epo", "eo"),
    ("eng", "en"),
    ("rus", "ru"),
    ("cmn", "zh"),
    ("spa", "es"),
    ("por", "pt"),
    ("ita", "it"),
    ("ben", "bn"),
    ("fra", "fr"),
    ("deu", "de"),
    ("ukr", "uk"),
    ("kat", "ka"),
    ("ara", "ar"),
    ("hin", "hi"),
    ("jpn", "ja"),
    ("heb", "he"),
    ("yid", "yi"),
    ("pol", "pl"),
    ("amh", "am"),
    ("jav", "jv"),
    ("kor", "ko"),
    ("nob", "nb"),
    ("dan", "da"),
    ("swe", "sv"),
    ("fin", "fi"),
    ("tur", "tr"),
    ("nld", "nl"),
    ("hun", "hu"),
    ("ces", "cs"),
    ("ell", "el"),
    ("bul", "bg"),
    ("bel", "be"),
    ("mar", "mr"),
    ("kan", "kn"),
    ("ron", "ro"),
    ("slv", "sl"),
    ("hrv", "hr"),
    ("srp", "sr"),
    ("mkd", "mk"),
    ("lit", "lt"),
    ("lav", "lv"),
    ("est", "et"),
    ("tam", "ta"),
    ("vie", "vi"),
    ("urd", "ur"),
    ("tha", "th"),
    ("guj", "gu"),
    ("uzb", "uz"),
    ("pan", "pa"),
    ("aze", "az"),
    ("ind", "id"),
    ("tel", "te"),
    ("pes", "fa"),
    ("mal", "ml"),
    ("ori", "or"),
    ("mya", "my"),
    ("nep", "ne"),
    ("sin", "si"),
    ("khm", "km"),
    ("tuk", "tk"),
    ("aka", "ak"),
    ("zul", "zu"),
    ("sna", "sn"),
    ("afr", "af"),
    ("lat", "la"),
    ("slk", "sk"),
    ("cat", "ca"),
    ("tgl", "tl"),
];

/// The language that `hint` names, else that the prose shows, else that the file names.
pub fn detect(prose: &[Passage<'_>], hint: Option<&str>, metadata: Option<&String>) -> Option<Language> {
    if let Some(lang) = hint.and_then(find) {
        return Some(describe(lang, 1.0, Source::Request));
    }
    let sample = sample(prose);
    let declared = metadata.and_then(|tag| find(tag.split(['-', '_']).next()?));
    if sample.chars().filter(|c| c.is_alphabetic()).count() >= MIN_LETTERS
        && let Some(info) = whatlang::detect(&sample)
        && (info.is_reliable() || declared.is_none())
    {
        return Some(describe(info.lang(), round(info.confidence()), Source::Text));
    }
    declared.map(|lang| describe(lang, 0.5, Source::Metadata))
}

/// Whether `code` is that of a language which can be named.
pub fn is_known(code: &str) -> bool {
    find(code).is_some()
}

fn find(code: &str) -> Option<Lang> {
    let code = code.trim().to_lowercase();
    let long = CODES.iter().find(|(_, short)| *short == code).map_or(code.as_str(), |(long, _)| long);
    Lang::from_code(long)
}

fn describe(lang: Lang, confidence: f64, source: Source) -> Language {
    let long = lang.code();
    let code = CODES.iter().find(|(known, _)| *known == long).map_or(long, |(_, short)| short);
    Language { code: code.to_owned(), name: lang.eng_name().to_owned(), confidence, source }
}

fn round(confidence: f64) -> f64 {
    (confidence * 1000.0).round() / 1000.0
}

/// Paragraphs from the whole document, spread evenly, without headings where there is enough else.
fn sample(prose: &[Passage<'_>]) -> String {
    let total: usize = prose.iter().map(|passage| passage.text.len()).sum();
    let step = (total / SAMPLE).max(1);
    let mut sample = String::new();
    for passage in prose.iter().step_by(step.min(prose.len().max(1))) {
        let text = &passage.text[..passage.text.floor_char_boundary(SAMPLE - sample.len().min(SAMPLE))];
        sample.push_str(text);
        sample.push('\n');
        if sample.len() >= SAMPLE {
            break;
        }
    }
    sample
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_language_known_by_two_letters_exists() {
        for (long, short) in CODES {
            assert_eq!(find(short), Lang::from_code(long), "{short}");
            assert!(Lang::from_code(long).is_some(), "{long}");
        }
    }

    #[test]
    fn prose_wins_over_metadata_and_the_request_over_both() {
        let text = "Der schnelle braune Fuchs springt über den faulen Hund und läuft dann in den dunklen Wald hinein.";
        let prose = [Passage { text, heading: false }];
        let english = "en-US".to_owned();
        let found = detect(&prose, None, Some(&english)).map(|found| (found.code, found.source));
        assert_eq!(found, Some(("de".to_owned(), Source::Text)));
        let found = detect(&prose, Some("fra"), Some(&english)).map(|found| (found.code, found.source));
        assert_eq!(found, Some(("fr".to_owned(), Source::Request)));
        let short = [Passage { text: "OK", heading: false }];
        assert_eq!(detect(&short, None, Some(&english)).map(|found| found.code), Some("en".to_owned()));
        assert_eq!(detect(&short, None, None), None);
    }
}
