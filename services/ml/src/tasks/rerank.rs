//! `rerank`: passages in the order in which they answer a question.

use serde::Deserialize;
use serde_json::{Value, json};

use super::of_encoder::OfEncoder;
use super::of_model;
use super::texts::{self, Texts, number, puts_out};
use crate::error::MlError;
use crate::manifest::EncoderOutput;
use crate::models::Urgency;
use crate::models::encoder::Handle;
use crate::models::encoder::score::{best, sigmoid};

/// What is asked.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rerank {
    #[serde(default)]
    model: String,
    query: String,
    passages: Vec<String>,
    top_k: Option<usize>,
    #[serde(default)]
    raw_scores: bool,
}

impl OfEncoder for Rerank {
    const NAME: &'static str = "rerank";
    const ABOUT: &'static str = "Puts passages in the order in which they answer a question";
    const CAPABILITY: &'static str = "prediction";
    type Found = Value;

    fn schema() -> Value {
        let properties = json!({
            "query": {"type": "string"},
            "passages": texts::many(),
            "top_k": {"type": "integer", "minimum": 1, "description": "only so many of the best; all where it is left out"},
            "raw_scores": {
                "type": "boolean",
                "description": "the model's own numbers instead of scores from 0 to 1; the order is the same"
            }
        });
        of_model::schema(&["query", "passages"], properties)
    }

    fn model(&self) -> &str {
        &self.model
    }

    async fn answer(self, encoder: &Handle, urgency: Urgency) -> Result<Value, MlError> {
        puts_out(encoder, &[EncoderOutput::Relevance], "a reranker")?;
        let passages = Texts::Many(self.passages).all("passages")?;
        let mut read = encoder.read_pairs(self.query, passages).await?;
        let (truncated, tokens) = texts::summary(&read);
        let rows = encoder.ask(texts::taken(&mut read), urgency).await?;
        // The order is by the model's own numbers: near 1, scores of different passages may be equal.
        let numbers: Vec<f32> = rows.iter().map(|row| row.first().copied().unwrap_or(f32::MIN)).collect();
        let score = |n: usize| if self.raw_scores { numbers[n] } else { sigmoid(numbers[n]) };
        let results: Vec<Value> = best(&numbers, self.top_k.unwrap_or(usize::MAX))
            .into_iter()
            .map(|n| json!({"index": n, "score": number(score(n))}))
            .collect();
        Ok(json!({"results": results, "tokens": tokens, "truncated": truncated}))
    }
}
