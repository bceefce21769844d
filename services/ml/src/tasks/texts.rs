//! What task types on encoders have in common: texts as input, and models of the wrong kind.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::error::MlError;
use crate::manifest::EncoderOutput;
use crate::models::encoder::{Handle, Read};
use crate::text::Tokens;

/// Texts of one task, at most.
pub const MOST_TEXTS: usize = 2_048;

/// One text or several.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum Texts {
    /// One.
    One(String),
    /// Several.
    Many(Vec<String>),
}

impl Texts {
    /// All of them, where they are not too many. `field`: where they stand in the payload.
    ///
    /// # Errors
    /// [`MlError::BadInput`] for none and for too many.
    pub fn all(self, field: &str) -> Result<Vec<String>, MlError> {
        match self {
            Self::One(text) => Ok(vec![text]),
            Self::Many(texts) if (1..=MOST_TEXTS).contains(&texts.len()) => Ok(texts),
            Self::Many(texts) => Err(MlError::BadInput(format!(
                "`{field}` has {} texts; 1 to {MOST_TEXTS} may be asked",
                texts.len()
            ))),
        }
    }
}

/// The schema of one text or several.
pub fn schema() -> Value {
    json!({"anyOf": [{"type": "string"}, many()]})
}

/// The schema of several texts.
pub fn many() -> Value {
    json!({"type": "array", "minItems": 1, "maxItems": MOST_TEXTS, "items": {"type": "string"}})
}

/// Refuses an encoder that puts out something else.
///
/// # Errors
/// [`MlError::WrongKind`].
pub fn puts_out(encoder: &Handle, outputs: &[EncoderOutput], wanted: &'static str) -> Result<(), MlError> {
    let is = encoder.spec().output;
    if outputs.contains(&is) {
        return Ok(());
    }
    let is = match is {
        EncoderOutput::Embedding => "an encoder for embeddings",
        EncoderOutput::Classes => "a classifier of texts",
        EncoderOutput::TokenClasses => "a classifier of tokens",
        EncoderOutput::Relevance => "a reranker",
    };
    Err(MlError::WrongKind { model: encoder.name().to_owned(), is, wanted })
}

/// The rows of each text: as many as it has windows.
pub fn rows_of<'a>(read: &[Read], mut rows: &'a [Vec<f32>]) -> Vec<&'a [Vec<f32>]> {
    read.iter()
        .map(|text| {
            let (own, rest) = rows.split_at(text.windows.len().min(rows.len()));
            rows = rest;
            own
        })
        .collect()
}

/// What is to be asked of a model, taken out of what was read.
pub fn taken(read: &mut [Read]) -> Vec<Tokens> {
    read.iter_mut().flat_map(|text| std::mem::take(&mut text.inputs)).collect()
}

/// A number as it is written: the shortest that is read as the same 32 bits.
pub fn number(x: f32) -> Value {
    x.to_string().parse::<f64>().map_or(Value::Null, Value::from)
}

/// Which texts were not read whole, and the tokens that were read of all.
pub fn summary(read: &[Read]) -> (Vec<usize>, usize) {
    let truncated = (0..read.len()).filter(|&n| read[n].truncated).collect();
    (truncated, read.iter().map(Read::tokens).sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inputs_are_bounded_and_numbers_short() {
        let of = |json: Value| Texts::deserialize(json).unwrap().all("input");
        assert_eq!(of(json!("a")), Ok(vec!["a".to_owned()]));
        assert_eq!(of(json!(["a", "b"])).map(|texts| texts.len()), Ok(2));
        assert!(matches!(of(json!([])), Err(MlError::BadInput(e)) if e.contains("`input` has 0")));
        assert!(of(json!(vec!["a"; MOST_TEXTS + 1])).is_err());
        assert!(Texts::deserialize(json!([1])).is_err());
        assert_eq!([0.1f32, 1e-30, -3.0].map(number), [json!(0.1), json!(1e-30), json!(-3.0)]);
    }
}
