//! What several payloads have in common: vectors, filters, and which parts of a point are wanted; and how a point is told.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value, json};

use crate::collection::{Hit, With};
use crate::error::VectorError;
use crate::filter::Predicate;
use crate::ops::{MOST_DIMENSION, MOST_METADATA};

/// A vector, as numbers or as base64 of little-endian 32 bit floats.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Vector(pub Vec<f32>);

impl<'de> Deserialize<'de> for Vector {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Vector;

    fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("a vector: numbers, or base64 of little-endian 32 bit floats")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Vector, A::Error> {
        let mut numbers = Vec::with_capacity(from.size_hint().unwrap_or(384).min(MOST_DIMENSION));
        while let Some(number) = from.next_element::<f32>()? {
            if numbers.len() == MOST_DIMENSION {
                return Err(A::Error::custom(format_args!("a vector has at most {MOST_DIMENSION} numbers")));
            }
            numbers.push(number);
        }
        Ok(Vector(numbers))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Vector, E> {
        let bytes = STANDARD.decode(text).map_err(|e| E::custom(format_args!("a vector's base64: {e}")))?;
        let (numbers, rest) = bytes.as_chunks::<4>();
        if !rest.is_empty() || numbers.len() > MOST_DIMENSION {
            return Err(E::custom(format_args!(
                "a vector's base64 holds {} bytes: 4 for each of at most {MOST_DIMENSION} numbers are wanted",
                bytes.len()
            )));
        }
        Ok(Vector(numbers.iter().map(|number| f32::from_le_bytes(*number)).collect()))
    }
}

/// A part of a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// Its text.
    Text,
    /// Its metadata.
    Metadata,
    /// Its vector.
    Vector,
}

/// What is wanted of a point.
pub fn with(parts: &[Part]) -> With {
    With {
        vector: parts.contains(&Part::Vector),
        text: parts.contains(&Part::Text),
        metadata: parts.contains(&Part::Metadata),
    }
}

/// A filter.
///
/// # Errors
/// Where it is none, with the place.
pub fn filter(filter: &Value) -> Result<Predicate, VectorError> {
    if filter.to_string().len() > MOST_METADATA {
        return Err(VectorError::BadInput(format!("filter: more than {MOST_METADATA} bytes")));
    }
    Ok(Predicate::parse(filter)?)
}

/// A point for a result; with a score where it was found by a search.
pub fn told(hit: Hit, score: bool) -> Value {
    let mut point = Map::new();
    point.insert("id".into(), hit.id.into());
    if score {
        point.insert("score".into(), json!(hit.score));
    }
    if let Some(vector) = hit.vector {
        point.insert("vector".into(), json!(vector));
    }
    if let Some(text) = hit.text {
        point.insert("text".into(), text.into());
    }
    if let Some(metadata) = hit.metadata {
        point.insert("metadata".into(), metadata.into());
    }
    point.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vector_is_numbers_or_base64() {
        let numbers: Vector = serde_json::from_str("[1, -0.5, 2e3]").unwrap();
        assert_eq!(numbers.0, [1.0, -0.5, 2_000.0]);
        let bytes: Vec<u8> = numbers.0.iter().flat_map(|number| number.to_le_bytes()).collect();
        let text = serde_json::to_string(&STANDARD.encode(bytes)).unwrap();
        assert_eq!(serde_json::from_str::<Vector>(&text).unwrap(), numbers);
        for (wrong, why) in [
            (r#""AAAA""#, "3 bytes"),
            (r#""***""#, "base64"),
            ("{}", "expected a vector"),
            (r#"["x"]"#, "expected f32"),
        ] {
            let error = serde_json::from_str::<Vector>(wrong).unwrap_err().to_string();
            assert!(error.contains(why), "{wrong}: {error}");
        }
    }
}
