//! Analyses a document: language, counts, readability, keywords, entities, outline, tables.
//!
//! Pure, and bounded: prose is looked at up to `MAX_PROSE` bytes, and every list has a bound.

mod counts;
mod entities;
mod keywords;
mod language;
mod outline;
mod readability;
mod stopwords;
mod tables;
mod words;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

pub use self::counts::Counts;
pub use self::entities::{Entity, EntityKind};
pub use self::keywords::Keyword;
pub use self::language::Language;
pub use self::outline::OutlineEntry;
pub use self::readability::Readability;
pub use self::tables::TableSummary;
use crate::error::DocError;
use crate::model::{Block, Document};
use crate::render::to_text;

/// Bytes of prose that keywords, readability and entities are drawn from: about 700,000 words, a very long book.
const MAX_PROSE: usize = 4 << 20;

/// Bounds of the lengths a request may ask for.
const MAX_KEYWORDS: usize = 200;
const MAX_ENTITIES: usize = 1_000;

/// What to find out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AnalysisOptions {
    /// The most keywords, 0 to 200; 20 unless said otherwise.
    pub max_keywords: usize,
    /// The most entities of each kind, 0 to 1,000; 100 unless said otherwise.
    pub max_entities: usize,
    /// The language as its ISO 639 code, such as `de`, where it is known; detected otherwise.
    pub language: Option<String>,
}

impl Default for AnalysisOptions {
    fn default() -> Self {
        Self { max_keywords: 20, max_entities: 100, language: None }
    }
}

impl AnalysisOptions {
    /// Refuses what makes no sense.
    ///
    /// # Errors
    /// `BadOption` naming the option and what would be right.
    pub fn check(&self) -> Result<(), DocError> {
        let bad =
            |option: &str, reason: String| Err(DocError::BadOption { option: option.to_owned(), reason });
        if self.max_keywords > MAX_KEYWORDS {
            return bad("max_keywords", format!("{} is more than {MAX_KEYWORDS}", self.max_keywords));
        }
        if self.max_entities > MAX_ENTITIES {
            return bad("max_entities", format!("{} is more than {MAX_ENTITIES}", self.max_entities));
        }
        match self.language.as_deref() {
            Some(code) if !language::is_known(code) => bad(
                "language",
                format!("`{code}` is not an ISO 639 code of a known language, such as `en` or `deu`"),
            ),
            _ => Ok(()),
        }
    }

    /// The JSON Schema of these options.
    pub fn schema() -> Value {
        let default = Self::default();
        json!({
            "type": "object",
            "additionalProperties": false,
            "properties": {
                "max_keywords": {
                    "type": "integer", "minimum": 0, "maximum": MAX_KEYWORDS, "default": default.max_keywords,
                    "description": "the most keywords"
                },
                "max_entities": {
                    "type": "integer", "minimum": 0, "maximum": MAX_ENTITIES, "default": default.max_entities,
                    "description": "the most entities of each kind"
                },
                "language": {
                    "type": ["string", "null"], "pattern": "^[A-Za-z]{2,3}$", "default": null,
                    "description": "ISO 639 code where the language is known; detected otherwise"
                }
            }
        })
    }
}

/// What was found out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Analysis {
    /// The language of the prose; none where there is too little of it.
    pub language: Option<Language>,
    /// How much there is of everything.
    pub counts: Counts,
    /// How hard the prose is to read; none for too little prose and for scripts without spaces.
    pub readability: Option<Readability>,
    /// The most telling words and phrases, the best first.
    pub keywords: Vec<Keyword>,
    /// Addresses, dates, sums and numbers, in the order of their first mention.
    pub entities: Vec<Entity>,
    /// The headings as a tree.
    pub outline: Vec<OutlineEntry>,
    /// The tables in order.
    pub tables: Vec<TableSummary>,
    /// Whether only the first part of a very long document was looked at for keywords, entities and readability.
    pub truncated: bool,
}

/// Analyses `document`. Options beyond their bounds are brought to the bound; `AnalysisOptions::check` tells.
pub fn analyse(document: &Document, options: &AnalysisOptions) -> Analysis {
    let (prose, cut) = prose(document);
    let language = language::detect(&prose, options.language.as_deref(), document.metadata.get("language"));
    let code = language.as_ref().map_or("", |language| language.code.as_str());
    let counts = counts::count(document, code);
    let rendered = to_text(document);
    let entities = entities::find(&rendered, MAX_PROSE, options.max_entities.min(MAX_ENTITIES));
    Analysis {
        readability: readability::measure(&prose, code),
        keywords: keywords::extract(&prose, code, options.max_keywords.min(MAX_KEYWORDS)),
        truncated: cut || rendered.text.len() > MAX_PROSE || document.truncated,
        outline: outline::outline(document),
        tables: tables::summarise(document),
        language,
        counts,
        entities,
    }
}

/// One passage of prose: the text of a block, and whether it is a heading.
#[derive(Debug, Clone, Copy)]
struct Passage<'a> {
    text: &'a str,
    heading: bool,
}

/// The document's prose - headings, paragraphs, items - up to `MAX_PROSE` bytes, and whether that cut it.
fn prose(document: &Document) -> (Vec<Passage<'_>>, bool) {
    let mut passages: Vec<Passage<'_>> = Vec::new();
    for placed in &document.blocks {
        match &placed.block {
            Block::Heading { text, .. } => passages.push(Passage { text, heading: true }),
            Block::Paragraph { text } => passages.push(Passage { text, heading: false }),
            Block::List { items } => {
                passages.extend(items.iter().map(|item| Passage { text: &item.text, heading: false }));
            }
            Block::Table { .. } | Block::Code { .. } => {}
        }
    }
    let mut total = 0;
    let fitting = passages.iter().take_while(|passage| {
        total += passage.text.len();
        total <= MAX_PROSE
    });
    let fitting = fitting.count();
    let cut = fitting < passages.len();
    if cut {
        let before: usize = passages[..fitting].iter().map(|passage| passage.text.len()).sum();
        if let Some(last) = passages.get_mut(fitting) {
            last.text = &last.text[..last.text.floor_char_boundary(MAX_PROSE - before)];
        }
        passages.truncate(fitting + 1);
    }
    (passages, cut)
}

#[cfg(test)]
mod tests;
