//! `embed_text`: a vector of each text.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::of_encoder::OfEncoder;
use super::of_model;
use super::texts::{self, Texts, puts_out, rows_of};
use crate::error::MlError;
use crate::manifest::EncoderOutput;
use crate::models::Urgency;
use crate::models::encoder::handle::joined;
use crate::models::encoder::{Handle, Truncation};
use crate::text::windows;

/// What is asked.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EmbedText {
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

/// What is answered.
#[derive(Debug, Serialize)]
pub struct Embedded {
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

impl OfEncoder for EmbedText {
    const NAME: &'static str = "embed_text";
    const ABOUT: &'static str = "Turns texts into vectors, with a model of our own";
    const CAPABILITY: &'static str = "embedding";
    type Found = Embedded;

    fn schema() -> Value {
        let properties = json!({
            "input": texts::schema(),
            "truncate": {
                "enum": ["end", "error", "window"],
                "description": "what becomes of a text that is too long: its end is left out, the task fails, or it is read in windows \
                                whose vectors are put together"
            },
            "dimensions": {"type": "integer", "minimum": 1, "description": "only so many numbers of each vector"},
            "encoding": {"enum": ["float", "base64"]}
        });
        of_model::schema(&["input"], properties)
    }

    fn model(&self) -> &str {
        &self.model
    }

    async fn answer(self, encoder: &Handle, urgency: Urgency) -> Result<Embedded, MlError> {
        puts_out(encoder, &[EncoderOutput::Embedding], "an encoder for embeddings")?;
        let mut read = encoder.read(self.input.all("input")?, self.truncate, false).await?;
        let (truncated, tokens) = texts::summary(&read);
        let rows = encoder.ask(texts::taken(&mut read), urgency).await?;
        let mut vectors = Vec::with_capacity(read.len());
        for (text, own) in read.iter().zip(rows_of(&read, &rows)) {
            vectors.push(cut(joined(&text.windows, own), self.dimensions, encoder.spec().normalise)?);
        }
        let dimensions = vectors.first().map_or(0, Vec::len);
        Ok(Embedded { dimensions, vectors: written(vectors, self.encoding), tokens, truncated })
    }
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

    use super::super::of_encoder::Told;
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
        let found =
            Embedded { dimensions: 1, vectors: Vectors::Float(vec![]), tokens: 2, truncated: vec![0] };
        let answer = serde_json::to_value(Told { model: "m", version: "1", found }).unwrap();
        let wanted = json!({"model": "m", "version": "1", "dimensions": 1, "vectors": [], "tokens": 2, "truncated": [0]});
        assert_eq!(answer, wanted);
    }
}
