//! `embed_text`: a vector of each text.

use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};
use tasklane_runtime::contract::v1;
use tasklane_runtime::{Ctx, Output, Payload, TaskError, TaskType};
use tokio::time::Instant;

use crate::error::MlError;
use crate::manifest::EncoderOutput;
use crate::models::Urgency;
use crate::models::encoder::handle::joined;
use crate::models::encoder::{Handle, Truncation};
use crate::registry::InUse;

/// The task type's name.
pub const NAME: &str = "embed_text";
/// Texts of one task, at most.
const MOST_TEXTS: usize = 2_048;

/// Where encoders come from.
pub trait Encoders: Send + Sync + 'static {
    /// The encoder of a name, loaded, and its version.
    fn encoder(&self, name: &str) -> impl Future<Output = Result<(InUse<Handle>, String), MlError>> + Send;
}

/// What is asked, but for the model.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    #[serde(default)]
    model: String,
    input: Input,
    #[serde(default)]
    truncate: Truncation,
    dimensions: Option<usize>,
    #[serde(default)]
    encoding: Encoding,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Input {
    One(String),
    Many(Vec<String>),
}

/// How vectors are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Encoding {
    /// As lists of numbers.
    #[default]
    Float,
    /// As base64 of 32-bit numbers, little-endian.
    Base64,
}

/// The task type, served by these encoders.
pub fn task_type<E: Encoders>(encoders: Arc<E>) -> TaskType {
    let run = move |ctx: Ctx, payload: Payload| {
        let encoders = Arc::clone(&encoders);
        async move { run(&*encoders, &ctx, &payload).await }
    };
    TaskType::new(NAME, "Turns texts into vectors, with a model of our own", run).schema(&schema()).rule(
        v1::Rule {
            required_capabilities: vec!["embedding".to_owned()],
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
            "input": {
                "anyOf": [
                    {"type": "string"},
                    {"type": "array", "minItems": 1, "maxItems": MOST_TEXTS, "items": {"type": "string"}}
                ]
            },
            "truncate": {
                "enum": ["end", "error", "window"],
                "description": "what becomes of a text that is too long: its end is left out, the task fails, or it is read in windows \
                                whose vectors are put together"
            },
            "dimensions": {"type": "integer", "minimum": 1, "description": "only so many numbers of each vector"},
            "encoding": {"enum": ["float", "base64"]}
        }
    })
}

async fn run<E: Encoders>(encoders: &E, ctx: &Ctx, payload: &Payload) -> Result<Output, TaskError> {
    let wanted: Wanted = payload.json()?;
    let (encoder, version) = encoders.encoder(&wanted.model).await?;
    let urgency = Urgency { priority: ctx.priority(), until: Instant::now() + ctx.remaining() };
    let mut result = embed(&encoder, wanted, urgency).await?;
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
    embed(handle, wanted, urgency).await
}

async fn embed(encoder: &Handle, wanted: Wanted, urgency: Urgency) -> Result<Value, MlError> {
    if encoder.spec().output != EncoderOutput::Embedding {
        let model = encoder.name().to_owned();
        return Err(MlError::WrongKind { model, is: "a classifier", wanted: "an encoder for embeddings" });
    }
    let texts = match wanted.input {
        Input::One(text) => vec![text],
        Input::Many(texts) if (1..=MOST_TEXTS).contains(&texts.len()) => texts,
        Input::Many(texts) => {
            return Err(MlError::BadInput(format!(
                "`input` has {} texts; 1 to {MOST_TEXTS} may be asked",
                texts.len()
            )));
        }
    };
    let read = encoder.read(texts, wanted.truncate, false).await?;
    let inputs = read.iter().flat_map(|text| text.inputs.iter().cloned()).collect();
    let rows = encoder.ask(inputs, urgency).await?;
    let (mut rows, mut vectors) = (rows.as_slice(), Vec::with_capacity(read.len()));
    for text in &read {
        let (own, rest) = rows.split_at(text.inputs.len().min(rows.len()));
        rows = rest;
        vectors.push(cut(joined(text, own), wanted.dimensions, encoder.spec().normalise)?);
    }
    let truncated: Vec<usize> = (0..read.len()).filter(|n| read[*n].truncated).collect();
    let tokens: usize = read.iter().map(crate::models::encoder::handle::Read::tokens).sum();
    let dimensions = vectors.first().map_or(0, Vec::len);
    let vectors: Vec<Value> = vectors.iter().map(|vector| written(vector, wanted.encoding)).collect();
    Ok(json!({"dimensions": dimensions, "vectors": vectors, "tokens": tokens, "truncated": truncated}))
}

/// The beginning of a vector, of length 1 again where the model's are.
fn cut(mut vector: Vec<f32>, dimensions: Option<usize>, normalise: bool) -> Result<Vec<f32>, MlError> {
    let Some(wanted) = dimensions else { return Ok(vector) };
    if wanted == 0 || wanted > vector.len() {
        let has = vector.len();
        return Err(MlError::BadInput(format!("`dimensions` is {wanted}; the model's vectors have {has}")));
    }
    vector.truncate(wanted);
    let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
    if normalise && length > 0.0 {
        vector.iter_mut().for_each(|x| *x /= length);
    }
    Ok(vector)
}

fn written(vector: &[f32], encoding: Encoding) -> Value {
    match encoding {
        Encoding::Float => json!(vector),
        Encoding::Base64 => {
            let bytes: Vec<u8> = vector.iter().flat_map(|x| x.to_le_bytes()).collect();
            BASE64_STANDARD.encode(bytes).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shorter_vector_is_a_vector_again() {
        let cut_to = |n, normalise| cut(vec![3.0, 4.0, 12.0], Some(n), normalise);
        assert_eq!(cut_to(2, true), Ok(vec![0.6, 0.8]));
        assert_eq!(cut_to(2, false), Ok(vec![3.0, 4.0]));
        assert!(matches!(cut_to(4, true), Err(MlError::BadInput(e)) if e.contains("have 3")));
        assert!(cut_to(0, true).is_err());
        assert_eq!(written(&[1.0, -2.5], Encoding::Base64), "AACAPwAAIMA=");
    }
}
