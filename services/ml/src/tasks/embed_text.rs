//! `embed_text`: a vector of each text.

use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tasklane_runtime::contract::v1;
use tasklane_runtime::{Ctx, Output, Payload, TaskError, TaskType};
use tokio::time::Instant;

use super::texts::{self, Texts, puts_out, rows_of};
use crate::error::MlError;
use crate::manifest::EncoderOutput;
use crate::models::Urgency;
use crate::models::encoder::handle::joined;
use crate::models::encoder::{Handle, Truncation};
use crate::registry::InUse;
use crate::text::windows;

/// The task type's name.
pub const NAME: &str = "embed_text";

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
    input: Texts,
    #[serde(default)]
    truncate: Truncation,
    dimensions: Option<usize>,
    #[serde(default)]
    encoding: Encoding,
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

/// The result. It is written as it stands: as a tree of JSON values, vectors would take ten times their memory.
#[derive(Debug, Serialize)]
struct Answer<'a> {
    model: &'a str,
    version: &'a str,
    #[serde(flatten)]
    embedded: Embedded,
}

#[derive(Debug, Serialize)]
struct Embedded {
    dimensions: usize,
    vectors: Vectors,
    tokens: usize,
    truncated: Vec<usize>,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Vectors {
    Float(Vec<Vec<f32>>),
    Base64(Vec<String>),
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
            "input": texts::schema(),
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
    let embedded = embed(&encoder, wanted, urgency).await?;
    Output::json(&Answer { model: encoder.name(), version: &version, embedded })
}

/// What an encoder answers to the input of an example: the result of a task, without the model's name.
///
/// # Errors
/// An input that is none, or the model's failure.
pub async fn example(handle: &Handle, input: &Value, urgency: Urgency) -> Result<Value, MlError> {
    let wanted = Wanted::deserialize(input).map_err(|e| MlError::BadInput(format!("its input: {e}")))?;
    serde_json::to_value(embed(handle, wanted, urgency).await?).map_err(|e| MlError::Internal(e.to_string()))
}

async fn embed(encoder: &Handle, wanted: Wanted, urgency: Urgency) -> Result<Embedded, MlError> {
    puts_out(encoder, &[EncoderOutput::Embedding], "an encoder for embeddings")?;
    let mut read = encoder.read(wanted.input.all("input")?, wanted.truncate, false).await?;
    let (truncated, tokens) = texts::summary(&read);
    let rows = encoder.ask(texts::taken(&mut read), urgency).await?;
    let mut vectors = Vec::with_capacity(read.len());
    for (text, own) in read.iter().zip(rows_of(&read, &rows)) {
        vectors.push(cut(joined(&text.windows, own), wanted.dimensions, encoder.spec().normalise)?);
    }
    let dimensions = vectors.first().map_or(0, Vec::len);
    Ok(Embedded { dimensions, vectors: written(vectors, wanted.encoding), tokens, truncated })
}

/// The beginning of a vector where only so much is wanted, of length 1 where the model's are.
fn cut(mut vector: Vec<f32>, dimensions: Option<usize>, normalise: bool) -> Result<Vec<f32>, MlError> {
    let has = vector.len();
    match dimensions {
        Some(wanted) if wanted == 0 || wanted > has => {
            return Err(MlError::BadInput(format!(
                "`dimensions` is {wanted}; the model's vectors have {has}"
            )));
        }
        Some(wanted) => vector.truncate(wanted),
        None => {}
    }
    if normalise {
        windows::normalise(&mut vector);
    }
    Ok(vector)
}

fn written(vectors: Vec<Vec<f32>>, encoding: Encoding) -> Vectors {
    match encoding {
        Encoding::Float => Vectors::Float(vectors),
        Encoding::Base64 => Vectors::Base64(vectors.iter().map(|vector| base64(vector)).collect()),
    }
}

fn base64(vector: &[f32]) -> String {
    BASE64_STANDARD.encode(vector.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_shorter_vector_is_a_vector_again() {
        let cut_to = |n, normalise| cut(vec![3.0, 4.0, 0.0], n, normalise);
        assert_eq!(cut_to(Some(2), true), Ok(vec![0.6, 0.8]));
        assert_eq!(cut_to(None, true), Ok(vec![0.6, 0.8, 0.0]));
        assert_eq!(cut_to(Some(2), false), Ok(vec![3.0, 4.0]));
        assert!(matches!(cut_to(Some(4), true), Err(MlError::BadInput(e)) if e.contains("have 3")));
        assert!(cut_to(Some(0), true).is_err());
    }

    #[test]
    fn vectors_are_written_as_asked() {
        let text = |encoding| serde_json::to_string(&written(vec![vec![1.0, -2.5, 0.1]], encoding)).unwrap();
        assert_eq!(text(Encoding::Float), "[[1.0,-2.5,0.1]]");
        assert_eq!(text(Encoding::Base64), r#"["AACAPwAAIMDNzMw9"]"#);
        let embedded =
            Embedded { dimensions: 1, vectors: Vectors::Float(vec![]), tokens: 2, truncated: vec![0] };
        let answer = serde_json::to_value(Answer { model: "m", version: "1", embedded }).unwrap();
        let wanted = json!({"model": "m", "version": "1", "dimensions": 1, "vectors": [], "tokens": 2, "truncated": [0]});
        assert_eq!(answer, wanted);
    }
}
