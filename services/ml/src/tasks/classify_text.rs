//! `classify_text`: classes of texts, or of their tokens, as the model has them.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Value, json};
use tasklane_runtime::contract::v1;
use tasklane_runtime::{Ctx, Output, Payload, TaskError, TaskType};
use tokio::time::Instant;

use super::embed_text::Encoders;
use super::texts::{self, Texts, number, puts_out, rows_of};
use crate::error::MlError;
use crate::manifest::EncoderOutput;
use crate::models::Urgency;
use crate::models::encoder::handle::joined;
use crate::models::encoder::score::best;
use crate::models::encoder::{Handle, Read, Truncation};
use crate::text::windows;

/// The task type's name.
pub const NAME: &str = "classify_text";

/// What is asked.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    #[serde(default)]
    model: String,
    input: Texts,
    #[serde(default)]
    truncate: Truncation,
    top_k: Option<usize>,
}

/// The task type, served by these encoders.
pub fn task_type<E: Encoders>(encoders: Arc<E>) -> TaskType {
    let run = move |ctx: Ctx, payload: Payload| {
        let encoders = Arc::clone(&encoders);
        async move { run(&*encoders, &ctx, &payload).await }
    };
    TaskType::new(NAME, "Says what class a text is of, or each of its tokens", run).schema(&schema()).rule(
        v1::Rule {
            required_capabilities: vec!["prediction".to_owned()],
            preferred_worker_type: "ml_inference".to_owned(),
            max_processing_time_ms: 120_000,
            ..v1::Rule::default()
        },
    )
}

fn schema() -> Value {
    json!({
        "type": "object",
        "required": ["model", "input"],
        "additionalProperties": false,
        "properties": {
            "model": {"type": "string", "minLength": 1, "description": "a name, or name@version"},
            "input": texts::schema(),
            "truncate": {
                "enum": ["end", "error", "window"],
                "description": "what becomes of a text that is too long: its end is left out, the task fails, or it is read in windows"
            },
            "top_k": {"type": "integer", "minimum": 1, "description": "only so many classes of each text; all where it is left out"}
        }
    })
}

async fn run<E: Encoders>(encoders: &E, ctx: &Ctx, payload: &Payload) -> Result<Output, TaskError> {
    let wanted: Wanted = payload.json()?;
    let (encoder, version) = encoders.encoder(&wanted.model).await?;
    let urgency = Urgency { priority: ctx.priority(), until: Instant::now() + ctx.remaining() };
    let mut result = classify(&encoder, wanted, urgency).await?;
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
    classify(handle, wanted, urgency).await
}

async fn classify(encoder: &Handle, wanted: Wanted, urgency: Urgency) -> Result<Value, MlError> {
    puts_out(encoder, &[EncoderOutput::Classes, EncoderOutput::TokenClasses], "a classifier")?;
    let of_tokens = encoder.spec().output == EncoderOutput::TokenClasses;
    let inputs = wanted.input.all("input")?;
    let mut read = encoder.read(inputs.clone(), wanted.truncate, of_tokens).await?;
    let (truncated, count) = texts::summary(&read);
    let rows = encoder.ask(texts::taken(&mut read), urgency).await?;
    let most = wanted.top_k.unwrap_or(usize::MAX);
    let each = read.iter().zip(rows_of(&read, &rows)).zip(&inputs);
    let results: Vec<Value> = match of_tokens {
        true => each.map(|((read, rows), text)| tokens(encoder, read, rows, text)).collect(),
        false => each.map(|((read, rows), _)| classes(encoder, read, rows, most)).collect(),
    };
    Ok(json!({"results": results, "tokens": count, "truncated": truncated}))
}

/// The classes of a text, the likeliest first. Of a text in windows: the mean of what each says.
fn classes(encoder: &Handle, read: &Read, rows: &[Vec<f32>], most: usize) -> Value {
    let shape = encoder.shape();
    let rows: Vec<Vec<f32>> = rows.iter().map(|row| shape.scoring.scores(row)).collect();
    let scores = joined(&read.windows, &rows);
    let labels: Vec<Value> = best(&scores, most)
        .into_iter()
        .map(|n| json!({"label": shape.labels.get(n), "score": number(scores[n])}))
        .collect();
    json!({"labels": labels})
}

/// The likeliest class of each token, with where the token stands: in characters from `start` up to before `end`. A token
/// that several windows hold is judged by the one that sees most around it.
fn tokens(encoder: &Handle, read: &Read, rows: &[Vec<f32>], text: &str) -> Value {
    let shape = encoder.shape();
    let seen = read.windows.last().map_or(0, |window| window.end);
    let letters: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
    let tokens: Vec<Value> = windows::best(&read.windows, seen)
        .into_iter()
        .zip(&read.content.places)
        .filter_map(|((window, place), &(start, end))| {
            let first = (encoder.first_token() + place) * shape.labels.len();
            let scores = shape.scoring.scores(rows.get(window)?.get(first..first + shape.labels.len())?);
            let n = best(&scores, 1).first().copied()?;
            let word = text.get(*letters.get(start)?..*letters.get(end)?)?;
            Some(json!({"start": start, "end": end, "text": word, "label": shape.labels[n], "score": number(scores[n])}))
        })
        .collect();
    json!({"tokens": tokens})
}
