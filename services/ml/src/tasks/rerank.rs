//! `rerank`: passages in the order in which they answer a question.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Value, json};
use tasklane_runtime::contract::v1;
use tasklane_runtime::{Ctx, Output, Payload, TaskError, TaskType};
use tokio::time::Instant;

use super::embed_text::Encoders;
use super::texts::{self, Texts, number, puts_out};
use crate::error::MlError;
use crate::manifest::EncoderOutput;
use crate::models::Urgency;
use crate::models::encoder::Handle;
use crate::models::encoder::score::{best, sigmoid};

/// The task type's name.
pub const NAME: &str = "rerank";

/// What is asked.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    #[serde(default)]
    model: String,
    query: String,
    passages: Vec<String>,
    top_k: Option<usize>,
    #[serde(default)]
    raw_scores: bool,
}

/// The task type, served by these encoders.
pub fn task_type<E: Encoders>(encoders: Arc<E>) -> TaskType {
    let run = move |ctx: Ctx, payload: Payload| {
        let encoders = Arc::clone(&encoders);
        async move { run(&*encoders, &ctx, &payload).await }
    };
    TaskType::new(NAME, "Puts passages in the order in which they answer a question", run)
        .schema(&schema())
        .rule(v1::Rule {
            required_capabilities: vec!["prediction".to_owned()],
            preferred_worker_type: "ml_inference".to_owned(),
            max_processing_time_ms: 120_000,
            ..v1::Rule::default()
        })
}

fn schema() -> Value {
    json!({
        "type": "object",
        "required": ["model", "query", "passages"],
        "additionalProperties": false,
        "properties": {
            "model": {"type": "string", "minLength": 1, "description": "a name, or name@version"},
            "query": {"type": "string"},
            "passages": texts::many(),
            "top_k": {"type": "integer", "minimum": 1, "description": "only so many of the best; all where it is left out"},
            "raw_scores": {
                "type": "boolean",
                "description": "the model's own numbers instead of scores from 0 to 1; the order is the same"
            }
        }
    })
}

async fn run<E: Encoders>(encoders: &E, ctx: &Ctx, payload: &Payload) -> Result<Output, TaskError> {
    let wanted: Wanted = payload.json()?;
    let (encoder, version) = encoders.encoder(&wanted.model).await?;
    let urgency = Urgency { priority: ctx.priority(), until: Instant::now() + ctx.remaining() };
    let mut result = rerank(&encoder, wanted, urgency).await?;
    result["model"] = encoder.name().into();
    result["version"] = version.into();
    Output::json(&result)
}

/// What an encoder answers to the input of an example: the result of a task, without the model's name.
///
/// # Errors
/// An input that is none, or the model's failure.
pub async fn example(handle: &Handle, input: &Value, urgency: Urgency) -> Result<Value, MlError> {
    let wanted = Wanted::deserialize(input).map_err(|e| MlError::BadInput(format!("its input: {e}")))?;
    rerank(handle, wanted, urgency).await
}

async fn rerank(encoder: &Handle, wanted: Wanted, urgency: Urgency) -> Result<Value, MlError> {
    puts_out(encoder, &[EncoderOutput::Relevance], "a reranker")?;
    let passages = Texts::Many(wanted.passages).all("passages")?;
    let mut read = encoder.read_pairs(wanted.query, passages).await?;
    let (truncated, tokens) = texts::summary(&read);
    let rows = encoder.ask(texts::taken(&mut read), urgency).await?;
    // The order is by the model's own numbers: near 1, scores of different passages may be equal.
    let numbers: Vec<f32> = rows.iter().map(|row| row.first().copied().unwrap_or(f32::MIN)).collect();
    let score = |n: usize| if wanted.raw_scores { numbers[n] } else { sigmoid(numbers[n]) };
    let results: Vec<Value> = best(&numbers, wanted.top_k.unwrap_or(usize::MAX))
        .into_iter()
        .map(|n| json!({"index": n, "score": number(score(n))}))
        .collect();
    Ok(json!({"results": results, "tokens": tokens, "truncated": truncated}))
}
