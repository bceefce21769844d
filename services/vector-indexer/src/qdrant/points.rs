//! A point as qdrant keeps it, and back again. Pure.
//!
//! Qdrant's ids are numbers or UUIDs; ours are texts, so a point's there is the UUIDv5 of its id, and the same id is the
//! same point. Id, text and metadata are in the payload as they came: metadata as JSON text, since qdrant's own values
//! would round some numbers. Next to them is what filters go by (`terms`).

use std::collections::HashMap;

use qdrant_client::qdrant;
use qdrant_client::qdrant::value::Kind;
use qdrant_client::qdrant::vectors_output::VectorsOptions;
use qdrant_client::qdrant::{vector, vector_output, with_payload_selector, with_vectors_selector};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::{DENSE, HIGH, ID, LOW, METADATA, NAMESPACE, NUMBERS, SPARSE, TERMS, TEXT, WIDE};
use super::{terms, words};
use crate::collection::{Hit, With};
use crate::error::VectorError;
use crate::ops::Upsert;

/// The id of a point in qdrant.
pub fn uuid(id: &str) -> String {
    Uuid::new_v5(&NAMESPACE, id.as_bytes()).to_string()
}

/// A point for qdrant.
///
/// # Errors
/// Metadata that are no JSON object: who made the point has checked that.
pub fn point(upsert: Upsert) -> Result<qdrant::PointStruct, VectorError> {
    let mut payload: HashMap<String, qdrant::Value> = HashMap::new();
    if !upsert.metadata.is_empty() {
        let metadata: Map<String, Value> = serde_json::from_str(&upsert.metadata)
            .map_err(|e| VectorError::Internal(format!("the metadata of `{}`: {e}", upsert.id)))?;
        asked_of(&metadata, &mut payload);
        payload.insert(METADATA.to_owned(), upsert.metadata.into());
    }
    let sparse = upsert.text.as_deref().and_then(words::of_text);
    let mut vectors = HashMap::from([(DENSE.to_owned(), dense(upsert.vector))]);
    if let Some(sparse) = sparse {
        vectors.insert(SPARSE.to_owned(), of(vector::Vector::Sparse(sparse)));
    }
    let id = uuid(&upsert.id);
    payload.insert(ID.to_owned(), upsert.id.into());
    if let Some(text) = upsert.text {
        payload.insert(TEXT.to_owned(), text.into());
    }
    let vectors = qdrant::vectors::VectorsOptions::Vectors(qdrant::NamedVectors { vectors });
    Ok(qdrant::PointStruct {
        id: Some(id.into()),
        payload,
        vectors: Some(qdrant::Vectors { vectors_options: Some(vectors) }),
    })
}

fn dense(data: Vec<f32>) -> qdrant::Vector {
    of(vector::Vector::Dense(qdrant::DenseVector { data }))
}

fn of(vector: vector::Vector) -> qdrant::Vector {
    qdrant::Vector { vector: Some(vector), ..qdrant::Vector::default() }
}

/// What filters go by.
fn asked_of(metadata: &Map<String, Value>, payload: &mut HashMap<String, qdrant::Value>) {
    let asked = terms::of(metadata);
    payload.insert(TERMS.to_owned(), list(asked.terms));
    if !asked.numbers.is_empty() {
        let fields =
            asked.numbers.into_iter().map(|(field, numbers)| (field, list(numbers.into_iter().map(number))));
        payload.insert(NUMBERS.to_owned(), object(fields));
    }
    if !asked.wide.is_empty() {
        let parts = |(high, low): (u64, u32)| {
            object([(HIGH.to_owned(), (high as i64).into()), (LOW.to_owned(), i64::from(low).into())])
        };
        let fields = asked.wide.into_iter().map(|(field, all)| (field, list(all.into_iter().map(parts))));
        payload.insert(WIDE.to_owned(), object(fields));
    }
}

/// As an integer where it is one, which JSON does not round.
fn number(number: f64) -> qdrant::Value {
    if number.fract() == 0.0 { (number as i64).into() } else { number.into() }
}

fn list<T: Into<qdrant::Value>>(all: impl IntoIterator<Item = T>) -> qdrant::Value {
    let values = all.into_iter().map(Into::into).collect();
    qdrant::Value { kind: Some(Kind::ListValue(qdrant::ListValue { values })) }
}

fn object(fields: impl IntoIterator<Item = (String, qdrant::Value)>) -> qdrant::Value {
    let fields = fields.into_iter().collect();
    qdrant::Value { kind: Some(Kind::StructValue(qdrant::Struct { fields })) }
}

/// What of the payload is to come back.
pub fn with_payload(with: With) -> qdrant::WithPayloadSelector {
    let fields = [(ID, true), (TEXT, with.text), (METADATA, with.metadata)];
    let fields = fields.into_iter().filter(|(_, wanted)| *wanted).map(|(field, _)| field.to_owned());
    let include = qdrant::PayloadIncludeSelector { fields: fields.collect() };
    qdrant::WithPayloadSelector {
        selector_options: Some(with_payload_selector::SelectorOptions::Include(include)),
    }
}

/// Which vectors are to come back.
pub fn with_vectors(with: With) -> Option<qdrant::WithVectorsSelector> {
    let include = qdrant::VectorsSelector { names: vec![DENSE.to_owned()] };
    with.vector.then_some(qdrant::WithVectorsSelector {
        selector_options: Some(with_vectors_selector::SelectorOptions::Include(include)),
    })
}

/// A point that came back.
///
/// # Errors
/// One that nobody of ours has put.
pub fn hit(
    mut payload: HashMap<String, qdrant::Value>,
    vectors: Option<qdrant::VectorsOutput>,
    score: f32,
    with: With,
) -> Result<Hit, VectorError> {
    let foreign = |what: &str| VectorError::Internal(format!("a point in qdrant has no {what} of ours"));
    let mut text = |field: &str| match payload.remove(field).and_then(|value| value.kind) {
        Some(Kind::StringValue(text)) => Some(text),
        _ => None,
    };
    let id = text(ID).ok_or_else(|| foreign("id"))?;
    let metadata = match text(METADATA).filter(|_| with.metadata) {
        Some(written) => Some(serde_json::from_str(&written).map_err(|_| foreign("metadata"))?),
        None => with.metadata.then(Map::new),
    };
    let vector = match vectors.filter(|_| with.vector).and_then(dense_of) {
        None if with.vector => return Err(foreign("vector")),
        vector => vector,
    };
    Ok(Hit { id, score, vector, text: text(TEXT).filter(|_| with.text), metadata })
}

fn dense_of(vectors: qdrant::VectorsOutput) -> Option<Vec<f32>> {
    let VectorsOptions::Vectors(mut named) = vectors.vectors_options? else { return None };
    match named.vectors.remove(DENSE)?.into_vector() {
        vector_output::Vector::Dense(dense) => Some(dense.data),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_same_id_is_the_same_point() {
        assert_eq!(uuid("a"), uuid("a"));
        assert_ne!(uuid("a"), uuid("b"));
        // For ever: what was written under it is found under nothing else.
        assert_eq!(uuid("p00001"), "1c37f483-2f94-530a-b20c-298ff7942198");
    }

    #[test]
    fn a_point_comes_back_as_it_went() {
        let metadata = json!({"id": "mine", "n": u64::MAX, "x": 0.1, "one": 1.0, "deep": [[null]]});
        let upsert = Upsert {
            id: "a/b".into(),
            vector: vec![1.0, 2.0],
            text: Some("a text".into()),
            metadata: metadata.to_string(),
        };
        let there = point(upsert).unwrap();
        let with = With { vector: false, text: true, metadata: true };
        let back = hit(there.payload.clone(), None, 0.5, with).unwrap();
        assert_eq!((back.id.as_str(), back.text.as_deref(), back.score), ("a/b", Some("a text"), 0.5));
        assert_eq!(Value::Object(back.metadata.unwrap()).to_string(), metadata.to_string());
        let bare = hit(there.payload, None, 0.0, With::default()).unwrap();
        assert_eq!((bare.text, bare.metadata), (None, None));
        assert!(hit(HashMap::new(), None, 0.0, With::default()).is_err());
    }
}
