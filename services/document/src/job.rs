//! What is done with a document once its bytes are there. Runs inside a parsing child, chunking and analysis too:
//! what a hostile text costs them is bounded by the child's limits as well.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::analysis::{AnalysisOptions, analyse};
use crate::chunk::{ChunkOptions, TOKENIZER, chunk};
use crate::contract::{AnalysisOutput, ChunkOutput, ExtractOptions, ExtractOutput, Renderings, Summary};
use crate::error::DocError;
use crate::formats;
use crate::limits::Limits;
use crate::model::Document;
use crate::render::{to_markdown, to_text};

/// One thing to do with a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Job {
    /// Return the `Document` itself.
    Read,
    /// `document_extract`: returns an `ExtractOutput`.
    Extract(ExtractOptions),
    /// `document_chunk`: returns a `ChunkOutput`.
    Chunk(ChunkOptions),
    /// `document_analysis`: returns an `AnalysisOutput`.
    Analyse(AnalysisOptions),
}

impl Job {
    /// Refuses options that make no sense, before a document is fetched for them.
    ///
    /// # Errors
    /// `BadOption`.
    pub fn check(&self) -> Result<(), DocError> {
        match self {
            Self::Read | Self::Extract(_) => Ok(()),
            Self::Chunk(options) => options.check(),
            Self::Analyse(options) => options.check(),
        }
    }

    /// Does it with the document in `bytes`; the answer is JSON, as it goes into the task's result.
    ///
    /// # Errors
    /// Whatever the document's format reports.
    pub fn perform(&self, bytes: &[u8], limits: &Limits) -> Result<Box<RawValue>, DocError> {
        let document = formats::extract(bytes, &self.limits(limits))?;
        match self {
            Self::Read => json(&document),
            Self::Extract(options) => json(&extract(&document, options)),
            Self::Chunk(options) => {
                let chunks = chunk(&document, options);
                json(&ChunkOutput { summary: summary(&document), tokenizer: TOKENIZER.into(), chunks })
            }
            Self::Analyse(options) => {
                let analysis = analyse(&document, options);
                json(&AnalysisOutput { summary: summary(&document), analysis })
            }
        }
    }

    /// The configured limits, lowered by what the request asks for.
    fn limits(&self, limits: &Limits) -> Limits {
        match self {
            Self::Extract(ExtractOptions { max_pages: wanted @ 1.., .. }) => {
                Limits { max_pages: limits.max_pages.min(*wanted), ..limits.clone() }
            }
            _ => limits.clone(),
        }
    }
}

fn extract(document: &Document, options: &ExtractOptions) -> ExtractOutput {
    let text = (options.format != Renderings::Markdown).then(|| to_text(document).text);
    let markdown = (options.format != Renderings::Text).then(|| to_markdown(document).text);
    ExtractOutput { summary: summary(document), text, markdown }
}

fn summary(document: &Document) -> Summary {
    Summary {
        format: document.format.clone(),
        metadata: document.metadata.clone(),
        pages: document.page_count,
        tables_found: document.tables(),
        warnings: document.warnings.clone(),
        truncated: document.truncated,
    }
}

fn json(value: &impl Serialize) -> Result<Box<RawValue>, DocError> {
    serde_json::value::to_raw_value(value).map_err(|error| DocError::Sandbox { reason: error.to_string() })
}
