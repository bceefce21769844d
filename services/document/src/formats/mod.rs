//! The formats there are: one file each, one row each in the table. To add a format, write `formats/<name>.rs`
//! with an `extract`, add its `Kind`, teach `detect` to tell it by content, and add its row.

pub mod csv;
pub mod detect;
pub mod docx;
pub mod eml;
pub mod feed;
pub mod flow;
pub mod html;
pub mod json;
pub mod markdown;
pub mod notebook;
pub mod ooxml;
pub mod pdf;
pub mod pptx;
pub mod sink;
pub mod text;
pub mod xlsx;

use serde::{Deserialize, Serialize};

use crate::error::DocError;
use crate::limits::Limits;
use crate::model::Document;

/// A format, told by content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Portable Document Format.
    Pdf,
    /// Office Open XML text.
    Docx,
    /// Office Open XML presentation.
    Pptx,
    /// A workbook: Office Open XML, or the older binary format.
    Xlsx,
    /// A web page.
    Html,
    /// Markdown.
    Markdown,
    /// Text without markup.
    Text,
    /// A news feed: RSS, Atom or RDF.
    Feed,
    /// An Internet message (RFC 5322).
    Eml,
    /// Comma, semicolon, tab or bar separated values.
    Csv,
    /// JSON, or one JSON value a line.
    Json,
}

/// Reads one document of a format.
pub type Extract = fn(&[u8], &Limits) -> Result<Document, DocError>;

/// One row of the table of formats.
#[derive(Debug, Clone, Copy)]
pub struct Format {
    /// Which format.
    pub kind: Kind,
    /// Its name in results and messages.
    pub name: &'static str,
    /// Reads it.
    pub extract: Extract,
}

/// Every format that can be read.
pub const FORMATS: &[Format] = &[
    Format { kind: Kind::Pdf, name: "pdf", extract: pdf::extract },
    Format { kind: Kind::Docx, name: "docx", extract: docx::extract },
    Format { kind: Kind::Pptx, name: "pptx", extract: pptx::extract },
    Format { kind: Kind::Xlsx, name: "xlsx", extract: xlsx::extract },
    Format { kind: Kind::Html, name: "html", extract: html::extract },
    Format { kind: Kind::Markdown, name: "markdown", extract: markdown::extract },
    Format { kind: Kind::Text, name: "text", extract: text::extract },
    Format { kind: Kind::Feed, name: "feed", extract: feed::extract },
    Format { kind: Kind::Eml, name: "eml", extract: eml::extract },
    Format { kind: Kind::Csv, name: "csv", extract: csv::extract },
    Format { kind: Kind::Json, name: "json", extract: json::extract },
];

/// Tells the format of `bytes` and reads them within `limits`.
///
/// # Errors
/// `Empty`, `TooLarge`, `Unsupported`, and whatever the format's parser reports.
pub fn extract(bytes: &[u8], limits: &Limits) -> Result<Document, DocError> {
    if bytes.len() as u64 > limits.max_bytes {
        return Err(DocError::TooLarge { what: "the document".into(), limit: limits.max_bytes });
    }
    let kind = detect::detect(bytes)?;
    let Some(format) = FORMATS.iter().find(|format| format.kind == kind) else {
        return Err(unsupported(&format!("{kind:?}").to_lowercase()));
    };
    (format.extract)(bytes, limits)
}

/// The error for content that looks like `detected`.
pub fn unsupported(detected: &str) -> DocError {
    let supported = FORMATS.iter().map(|format| format.name).collect::<Vec<_>>().join(", ");
    DocError::Unsupported { detected: detected.to_owned(), supported }
}
