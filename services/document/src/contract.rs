//! What tasks send and get: requests and results of the three task types, and their JSON Schemas.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::analysis::{Analysis, AnalysisOptions};
use crate::chunk::{Chunk, ChunkOptions};
use crate::error::DocError;

/// A request of any of the task types; they differ in their options. Exactly one of `source` and `content_base64`
/// is given.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Request<Options> {
    /// `obj://<bucket>/<name>`, `file:///<path>`, `http://...` or `https://...`; empty for inline content.
    pub source: String,
    /// The document itself, in base64; empty where there is a source.
    pub content_base64: String,
    /// What to do with it.
    pub options: Options,
}

/// Payload of `document_extract`.
pub type ExtractRequest = Request<ExtractOptions>;
/// Payload of `document_chunk`.
pub type ChunkRequest = Request<ChunkOptions>;
/// Payload of `document_analysis`.
pub type AnalysisRequest = Request<AnalysisOptions>;

/// Options of `document_extract`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ExtractOptions {
    /// Which renderings to return.
    pub format: Renderings,
    /// Pages to read; 0 and what is beyond `limits.max_pages` stand for that limit.
    pub max_pages: u32,
}

/// Which renderings of a document to return.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Renderings {
    /// Plain text.
    Text,
    /// Markdown.
    Markdown,
    /// Both.
    #[default]
    Both,
}

/// What every result says of the document.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// The format, told by content.
    pub format: String,
    /// What the file says of itself.
    pub metadata: BTreeMap<String, String>,
    /// Its pages (slides, sheets), also those that were left out; none for formats without pages.
    pub pages: Option<u32>,
    /// How many tables were found.
    pub tables_found: usize,
    /// What a reader should know.
    pub warnings: Vec<String>,
    /// Whether a limit cut the content short.
    pub truncated: bool,
}

/// Result of `document_extract`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExtractOutput {
    /// The document.
    #[serde(flatten)]
    pub summary: Summary,
    /// The plain text, if asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The Markdown, if asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub markdown: Option<String>,
}

/// Result of `document_chunk`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChunkOutput {
    /// The document.
    #[serde(flatten)]
    pub summary: Summary,
    /// The tokenizer that chunks are measured by.
    pub tokenizer: String,
    /// The chunks in order.
    pub chunks: Vec<Chunk>,
}

/// Result of `document_analysis`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AnalysisOutput {
    /// The document.
    #[serde(flatten)]
    pub summary: Summary,
    /// What was found out.
    pub analysis: Analysis,
}

impl<Options> Request<Options> {
    /// Whether there is exactly one document.
    ///
    /// # Errors
    /// `SourceMissing` where there is none, or two.
    pub fn check(&self) -> Result<(), DocError> {
        if self.source.is_empty() == self.content_base64.is_empty() {
            Err(DocError::SourceMissing)
        } else {
            Ok(())
        }
    }
}

/// The JSON Schema of `document_extract`'s payload.
pub fn extract_schema() -> Value {
    let options = json!({
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "format": {
                "enum": ["text", "markdown", "both"], "default": "both",
                "description": "which renderings to return"
            },
            "max_pages": {
                "type": "integer", "minimum": 0, "maximum": u32::MAX, "default": 0,
                "description": "pages to read; 0 for as many as the service allows"
            }
        }
    });
    request_schema("Reads a document into text and Markdown.", options)
}

/// The JSON Schema of `document_chunk`'s payload.
pub fn chunk_schema() -> Value {
    request_schema("Cuts a document into chunks for an index.", ChunkOptions::schema())
}

/// The JSON Schema of `document_analysis`'s payload.
pub fn analysis_schema() -> Value {
    request_schema("Finds a document's language, keywords, entities and outline.", AnalysisOptions::schema())
}

fn request_schema(description: &str, options: Value) -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "description": description,
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "source": {
                "type": "string", "minLength": 1, "maxLength": 4096, "pattern": "^(obj|file|http|https)://",
                "description": "obj://<bucket>/<name>, file:///<path>, http://... or https://..."
            },
            "content_base64": { "type": "string", "minLength": 1, "description": "the document itself, in base64" },
            "options": options
        },
        "oneOf": [{ "required": ["source"] }, { "required": ["content_base64"] }]
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typos_are_refused_and_one_document_is_needed() {
        let request: ExtractRequest = serde_json::from_str(r#"{"source":"obj://a/b"}"#).unwrap();
        assert_eq!(request.check(), Ok(()));
        assert_eq!(request.options.format, Renderings::Both);
        for text in
            [r#"{"sorce":"x"}"#, r#"{"source":"x","options":{"pages":1}}"#, r#"{"options":{"format":"pdf"}}"#]
        {
            assert!(serde_json::from_str::<ExtractRequest>(text).is_err(), "{text}");
        }
        let none: ExtractRequest = serde_json::from_str("{}").unwrap();
        assert_eq!(none.check().unwrap_err().code(), "TL2120");
    }
}
