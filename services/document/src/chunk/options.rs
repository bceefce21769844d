//! What a request may ask of chunking.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::error::DocError;

/// Bounds of `max_tokens`. Below the lower one a single character might not fit.
const TOKENS: std::ops::RangeInclusive<usize> = 16..=32_768;

/// How to cut a document into chunks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ChunkOptions {
    /// The most tokens a chunk has, 16 to 32,768; 512 unless said otherwise.
    pub max_tokens: usize,
    /// How many tokens, at most, a chunk repeats of the one before it in the same section; at most half of
    /// `max_tokens`, 0 unless said otherwise.
    pub overlap_tokens: usize,
    /// Sections with fewer tokens are joined with their neighbours where that fits; 64 unless said otherwise.
    pub min_tokens: usize,
    /// Which rendering is cut; Markdown unless said otherwise.
    pub format: TextFormat,
}

/// A rendering of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TextFormat {
    /// With headings, lists and tables as Markdown writes them.
    #[default]
    Markdown,
    /// Text only.
    Text,
}

impl Default for ChunkOptions {
    fn default() -> Self {
        Self { max_tokens: 512, overlap_tokens: 0, min_tokens: 64, format: TextFormat::Markdown }
    }
}

impl ChunkOptions {
    /// Refuses what makes no sense.
    ///
    /// # Errors
    /// `BadOption` naming the option and what would be right.
    pub fn check(&self) -> Result<(), DocError> {
        let bad =
            |option: &str, reason: String| Err(DocError::BadOption { option: option.to_owned(), reason });
        if !TOKENS.contains(&self.max_tokens) {
            let (least, most) = (TOKENS.start(), TOKENS.end());
            return bad("max_tokens", format!("{} is not within {least} and {most}", self.max_tokens));
        }
        if self.overlap_tokens > self.max_tokens / 2 {
            let (given, max) = (self.overlap_tokens, self.max_tokens / 2);
            return bad("overlap_tokens", format!("{given} is more than half of max_tokens ({max})"));
        }
        if self.min_tokens > self.max_tokens {
            return bad("min_tokens", format!("{} is more than max_tokens", self.min_tokens));
        }
        Ok(())
    }

    /// The nearest options that make sense.
    pub(super) fn clamped(&self) -> Self {
        let max_tokens = self.max_tokens.clamp(*TOKENS.start(), *TOKENS.end());
        Self {
            max_tokens,
            overlap_tokens: self.overlap_tokens.min(max_tokens / 2),
            min_tokens: self.min_tokens.min(max_tokens),
            format: self.format,
        }
    }

    /// The JSON Schema of these options.
    pub fn schema() -> Value {
        let default = Self::default();
        json!({
            "type": "object",
            "additionalProperties": false,
            "properties": {
                "max_tokens": {
                    "type": "integer", "minimum": TOKENS.start(), "maximum": TOKENS.end(), "default": default.max_tokens,
                    "description": "the most tokens (cl100k_base) a chunk has"
                },
                "overlap_tokens": {
                    "type": "integer", "minimum": 0, "maximum": TOKENS.end() / 2, "default": default.overlap_tokens,
                    "description": "tokens, at most, repeated from the chunk before in the same section; at most half of max_tokens"
                },
                "min_tokens": {
                    "type": "integer", "minimum": 0, "maximum": TOKENS.end(), "default": default.min_tokens,
                    "description": "smaller sections are joined with their neighbours where that fits"
                },
                "format": {
                    "enum": ["markdown", "text"], "default": "markdown",
                    "description": "which rendering of the document is cut"
                }
            }
        })
    }
}
