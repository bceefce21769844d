//! Citations held against what was given: a source that was not there is no source, and a quotation has to stand in it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Bytes of a mark with all its labels, at most.
const LONGEST_MARK: usize = 200;

/// What a model cites.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Citation {
    /// The source's label, such as `S1`.
    pub source: String,
    /// The words that it takes from there; may be empty.
    #[serde(default)]
    pub quote: String,
}

/// A citation that does not hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Refused {
    /// In which answer: `S2` was cited for it.
    pub of: String,
    /// The source as it was cited.
    pub source: String,
    /// The words as they were cited.
    pub quote: String,
    /// Why it does not hold.
    pub why: &'static str,
}

/// The sources that a model was shown.
#[derive(Debug, Default)]
pub struct Shown(BTreeMap<String, String>);

const UNKNOWN: &str = "no such source was given";
const ELSEWHERE: &str = "the quotation does not stand in the source";

/// `S1` for the first source.
pub fn label(source: usize) -> String {
    format!("S{}", source + 1)
}

impl Shown {
    /// A source was shown, or a part of one.
    pub fn add(&mut self, source: usize, text: &str) {
        let shown = self.0.entry(label(source)).or_default();
        shown.push(' ');
        shown.push_str(&plain(text));
    }

    /// Whether a source of this label was shown.
    pub fn has(&self, label: &str) -> bool {
        self.0.contains_key(label)
    }

    /// Why a citation does not hold; `None` where it does.
    pub fn refuses(&self, citation: &Citation) -> Option<&'static str> {
        let Some(text) = self.0.get(citation.source.trim()) else { return Some(UNKNOWN) };
        // A model that leaves something out marks it so; every piece has to stand there.
        let quote = citation.quote.replace("[...]", "…").replace("...", "…");
        let found = quote.split('…').map(plain).all(|piece| text.contains(piece.trim()));
        (!found).then_some(ELSEWHERE)
    }

    /// The citations that hold, and those that do not; `of` names the answer.
    pub fn sorted(&self, of: &str, citations: Vec<Citation>) -> (Vec<Citation>, Vec<Refused>) {
        let (mut good, mut refused) = (Vec::<Citation>::new(), Vec::new());
        for mut citation in citations {
            citation.source = citation.source.trim().to_owned();
            match self.refuses(&citation) {
                Some(why) => refused.push(Refused {
                    of: of.to_owned(),
                    source: citation.source,
                    quote: citation.quote,
                    why,
                }),
                None if good.contains(&citation) => {}
                None => good.push(citation),
            }
        }
        (good, refused)
    }

    /// A text without the marks `[S9]` of sources that were not shown, and those marks.
    pub fn without_strange_marks(&self, text: &str) -> (String, Vec<String>) {
        let (mut out, mut strange) = (String::with_capacity(text.len()), Vec::new());
        let mut rest = text;
        while let Some(open) = rest.find('[') {
            let Some(close) = rest[open..].find(']').map(|at| open + at) else { break };
            let inner = if close - open > LONGEST_MARK { "" } else { &rest[open + 1..close] };
            let labels: Vec<&str> = inner.split([',', ';']).map(str::trim).collect();
            let marks = labels.iter().all(|label| is_label(label));
            let known: Vec<&str> = labels.iter().copied().filter(|label| self.has(label)).collect();
            if !marks {
                // It may hold a mark itself, as in a link's text.
                out.push_str(&rest[..=open]);
                rest = &rest[open + 1..];
                continue;
            }
            strange.extend(labels.iter().filter(|l| !known.contains(l)).map(|l| (*l).to_owned()));
            let before = &rest[..open];
            if known.is_empty() {
                out.push_str(before.trim_end());
            } else {
                out.push_str(before);
                out.push_str(&format!("[{}]", known.join(", ")));
            }
            rest = &rest[close + 1..];
            // What stood around a mark that is gone shall not become one.
            if known.is_empty() && rest.starts_with(|c: char| c.is_alphanumeric()) {
                out.push(' ');
            }
        }
        out.push_str(rest);
        (out, strange)
    }
}

fn is_label(text: &str) -> bool {
    text.strip_prefix('S')
        .is_some_and(|n| !n.is_empty() && n.len() <= 6 && n.bytes().all(|b| b.is_ascii_digit()))
}

/// A text without what copying changes: case, white space, and the shapes of quotation marks and dashes.
fn plain(text: &str) -> String {
    let same = |c: char| match c {
        '\u{2018}' | '\u{2019}' | '\u{201b}' => '\'',
        '\u{201c}' | '\u{201d}' | '\u{201e}' | '\u{ab}' | '\u{bb}' => '"',
        '\u{2010}'..='\u{2015}' => '-',
        '*' | '_' | '`' => ' ',
        other => other,
    };
    let text: String = text.chars().map(same).collect();
    text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown() -> Shown {
        let mut shown = Shown::default();
        shown.add(0, "The *lens* was made\nin Paris \u{2013} in 1887.");
        shown.add(0, "It weighs two tons.");
        shown.add(2, "It is \u{201c}of the first order\u{201d}.");
        shown
    }

    fn citation(source: &str, quote: &str) -> Citation {
        Citation { source: source.into(), quote: quote.into() }
    }

    #[test]
    fn a_citation_needs_its_source_and_its_words() {
        for (source, quote, why) in [
            ("S1", "the lens was made in  Paris - in 1887", None),
            (" S1 ", "The lens [...] two tons", None),
            ("S1", "", None),
            ("S3", "is \"of the first order\"", None),
            ("S3", "of the second order", Some(ELSEWHERE)),
            ("S1", "of the first order", Some(ELSEWHERE)),
            ("S2", "", Some(UNKNOWN)),
            ("Wikipedia", "The lens", Some(UNKNOWN)),
        ] {
            assert_eq!(shown().refuses(&citation(source, quote)), why, "{source} {quote}");
        }
        let all = vec![citation("S1", ""), citation("S9", "x"), citation("S1", "")];
        let (good, refused) = shown().sorted("1", all);
        assert_eq!((good.len(), refused.len()), (1, 1));
        assert_eq!((refused[0].of.as_str(), refused[0].source.as_str()), ("1", "S9"));
    }

    #[test]
    fn marks_of_strangers_are_taken_out_of_a_text() {
        let of = |text: &str| shown().without_strange_marks(text);
        assert_eq!(
            of("Made in Paris [S1]. Sold [S9]."),
            ("Made in Paris [S1]. Sold.".into(), vec!["S9".into()])
        );
        assert_eq!(of("x [S1, S4; S3] y"), ("x [S1, S3] y".into(), vec!["S4".into()]));
        assert_eq!(of("[see](http://x) [1] [S] [S1 ["), ("[see](http://x) [1] [S] [S1 [".into(), vec![]));
        assert_eq!(of("[a [S9] b]").0, "[a b]");
        assert_eq!(of("[S[S9]5]").0, "[S 5]");
    }

    proptest! {
        #[test]
        fn what_is_left_cites_only_what_was_shown(text in "(\\[S[0-9]{1,2}(, S[0-9])?\\]|[a-z \\[\\]]{0,4}){0,20}") {
            let (left, strange) = shown().without_strange_marks(&text);
            prop_assert!(shown().without_strange_marks(&left).1.is_empty(), "{left}");
            prop_assert!(strange.iter().all(|s| s != "S1" && s != "S3"));
        }

        #[test]
        fn every_citation_is_kept_or_refused(cited in prop::collection::vec(("S[1-4]", "(The lens|order|x|)"), 0..9)) {
            let cited: Vec<Citation> = cited.iter().map(|(s, q)| citation(s, q)).collect();
            let (good, refused) = shown().sorted("", cited.clone());
            for c in cited {
                prop_assert!(good.contains(&c) != refused.iter().any(|r| r.source == c.source && r.quote == c.quote));
            }
        }
    }
}
