//! The texts that a job works on: inline, as chunks, or named by their place in the object store.

use serde::Deserialize;
use serde_json::{Value, json};
use tasklane_runtime::contract::code;
use tasklane_runtime::contract::streams::DOCUMENTS;
use tasklane_runtime::{Ctx, TaskError};

use super::error::{NO_TEXT, bad_payload};

/// Documents of a job, at most.
pub const MOST_DOCUMENTS: usize = 100;
/// Chunks of a document, at most.
const MOST_CHUNKS: usize = 20_000;
/// Bytes of all texts of a job, at most.
pub const MOST_BYTES: usize = 8 << 20;
/// Characters of a title, at most.
const MOST_TITLE: usize = 300;

/// A document as a payload has it: a text alone, or one of `text`, `source` and `chunks`.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum Given {
    /// Its text.
    Text(String),
    /// More than that.
    Document(Document),
}

/// A document with a name.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Document {
    /// What people call it.
    pub title: Option<String>,
    /// Its text.
    pub text: Option<String>,
    /// `obj://documents/<name>`
    pub source: Option<String>,
    /// Its text in pieces.
    pub chunks: Option<Vec<Chunk>>,
}

/// A piece of a document: a text alone, or as `document_chunk` returns it.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum Chunk {
    /// Its text.
    Text(String),
    /// With its place, by which what neighbours share is told.
    Placed {
        /// Its text.
        text: String,
        /// Its first byte in the document.
        start: Option<usize>,
        /// One past its last byte.
        end: Option<usize>,
    },
}

/// A document that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Read {
    /// What people call it; empty where nobody says.
    pub title: String,
    /// Its text, not blank.
    pub text: String,
}

/// The schema's properties of a document.
pub fn fields() -> Value {
    let chunk = json!({
        "type": ["string", "object"], "required": ["text"],
        "properties": {"text": {"type": "string"}, "start": {"type": ["integer", "null"], "minimum": 0},
            "end": {"type": ["integer", "null"], "minimum": 0}}
    });
    json!({
        "text": {"type": "string", "description": "the text itself, plain or Markdown"},
        "source": {"type": "string", "pattern": "^obj://documents/.+$",
            "description": "a text in the object store: obj://documents/<name>"},
        "chunks": {"type": "array", "minItems": 1, "maxItems": MOST_CHUNKS, "items": chunk,
            "description": "the text in pieces: texts, or the chunks that document_chunk returns"},
        "title": {"type": "string", "maxLength": MOST_TITLE}
    })
}

/// The schema of a list of documents.
pub fn list_schema(most: usize) -> Value {
    json!({"type": "array", "minItems": 1, "maxItems": most, "items": {
        "type": ["string", "object"], "additionalProperties": false, "properties": fields()}})
}

/// The documents of a payload that may have a single one at its top, or a list.
///
/// # Errors
/// TL1002 where there is none, or both.
pub fn gather(single: Document, list: Option<Vec<Given>>) -> Result<Vec<Document>, TaskError> {
    let has_single = single.text.is_some() || single.source.is_some() || single.chunks.is_some();
    let of = |given| match given {
        Given::Text(text) => Document { text: Some(text), ..Document::default() },
        Given::Document(document) => document,
    };
    match (has_single, list) {
        (true, None) => Ok(vec![single]),
        (false, Some(list)) => Ok(list.into_iter().map(of).collect()),
        _ => Err(bad_payload("payload: give one of `text`, `source`, `chunks` and `documents`")),
    }
}

/// Reads documents; `place` names them in errors.
///
/// # Errors
/// TL1002 for a document that is none or several, TL1005 for too much text, TL1006 for what is no UTF-8, TL2336 for what
/// is blank, and those of [`Ctx::object`].
pub async fn read(ctx: &Ctx, documents: Vec<Document>, place: &str) -> Result<Vec<Read>, TaskError> {
    let (mut all, mut bytes) = (Vec::with_capacity(documents.len()), 0);
    for (n, document) in documents.into_iter().enumerate() {
        let place = format!("{place}[{n}]");
        let (text, name) = match (document.text, document.source, document.chunks) {
            (Some(text), None, None) => (text, String::new()),
            (None, Some(source), None) => {
                (object(ctx, &source, MOST_BYTES - bytes).await?, name_of(&source).to_owned())
            }
            (None, None, Some(chunks)) => (joined(&chunks), String::new()),
            _ => return Err(bad_payload(format!("{place}: give one of `text`, `source` and `chunks`"))),
        };
        bytes += text.len();
        if bytes > MOST_BYTES {
            let text = format!("{place}: all texts together have more than {MOST_BYTES} bytes");
            return Err(TaskError::failed(code::TOO_LARGE, text));
        }
        if text.trim().is_empty() {
            return Err(TaskError::failed(NO_TEXT, format!("{place}: there is no text in it")));
        }
        all.push(Read { title: document.title.unwrap_or(name), text });
    }
    Ok(all)
}

fn name_of(source: &str) -> &str {
    source.strip_prefix("obj://").and_then(|rest| rest.split_once('/')).map_or(source, |(_, name)| name)
}

/// Only the bucket that is made for it: others hold what is not the publisher's to read.
async fn object(ctx: &Ctx, source: &str, most: usize) -> Result<String, TaskError> {
    let name = source.strip_prefix("obj://").and_then(|rest| rest.strip_prefix(DOCUMENTS)?.strip_prefix('/'));
    let Some(name) = name.filter(|name| !name.is_empty()) else {
        return Err(bad_payload(format!("`source` must be obj://{DOCUMENTS}/<name>, not `{source}`")));
    };
    let bytes = ctx.object(DOCUMENTS, name, most).await?;
    String::from_utf8(bytes.into()).map_err(|_| {
        let text = format!(
            "{source} is not UTF-8 text; `document_extract` makes text of it, whose `text` or `markdown` can be given"
        );
        TaskError::failed(code::NOT_UTF8, text)
    })
}

/// The text of chunks. What a chunk repeats of the one before it, as their places tell, is left out.
fn joined(chunks: &[Chunk]) -> String {
    let (mut text, mut reached) = (String::new(), 0_usize);
    for chunk in chunks {
        let (mut piece, at) = match chunk {
            Chunk::Text(text) => (text.as_str(), None),
            Chunk::Placed { text, start, end } => (text.as_str(), start.zip(*end)),
        };
        if let Some((start, end)) = at {
            let again = reached.saturating_sub(start);
            if end.checked_sub(start) == Some(piece.len()) && piece.is_char_boundary(again) && start > 0 {
                piece = &piece[again..];
            }
            reached = reached.max(end);
        }
        if !text.is_empty() && !piece.is_empty() {
            text.push_str("\n\n");
        }
        text.push_str(piece.trim());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_joined_without_what_they_repeat() {
        let of = |value: Value| joined(&serde_json::from_value::<Vec<Chunk>>(value).unwrap());
        assert_eq!(of(json!(["a", " b "])), "a\n\nb");
        let placed = json!([{"index": 0, "text": "One two", "start": 0, "end": 7, "tokens": 2},
            {"index": 1, "text": "two three", "start": 4, "end": 13}, {"text": "four", "start": 14, "end": 18}]);
        assert_eq!(of(placed), "One two\n\nthree\n\nfour");
        // Places that cannot be are not believed.
        let odd = json!([{"text": "abc", "start": 0, "end": 90}, {"text": "def", "start": 1, "end": 90},
            {"text": "ghi", "start": 5, "end": 2}]);
        assert_eq!(of(odd), "abc\n\ndef\n\nghi");
    }

    #[test]
    fn a_payload_has_one_document_or_a_list() {
        let text = || Document { text: Some("x".into()), ..Document::default() };
        assert_eq!(gather(text(), None).unwrap().len(), 1);
        let list = vec![Given::Text("a".into()), Given::Document(text())];
        assert_eq!(gather(Document::default(), Some(list.clone())).unwrap().len(), 2);
        assert!(gather(Document::default(), None).is_err());
        assert!(gather(text(), Some(list)).is_err());
    }
}
