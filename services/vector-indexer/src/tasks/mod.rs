//! Task types: payloads in, results out.

pub mod collections;
pub mod delete;
pub mod indexing;
pub mod input;
pub mod points;
pub mod search;
pub mod snapshot;
mod told;

use serde_json::{Value, json};
use tasklane_runtime::contract::v1;

use crate::error::VectorError;
use crate::meters::Meters;
use crate::qdrant::Engine;
use crate::shelf::{Place, Shelf};
use crate::snapshots::Snapshots;

/// What the task types work with. Clones share it.
#[derive(Clone)]
pub struct Parts {
    /// The open collections.
    pub shelf: Shelf,
    /// Their snapshots.
    pub snapshots: Snapshots,
    /// What is measured.
    pub meters: Meters,
    /// The way to qdrant.
    pub qdrant: Engine,
}

impl Parts {
    /// The collection of a name, for somebody who wants to see all up to a sequence: who has written that knows what the name
    /// means now.
    async fn named(&self, name: &str, sequence: u64) -> Result<Place, VectorError> {
        let place =
            if sequence > 0 { self.shelf.current_place(name).await } else { self.shelf.place(name).await }?;
        match &place {
            Place::Qdrant(remote) if sequence > 0 => Err(VectorError::BadInput(format!(
                "min_sequence: `{}` is in qdrant and has no sequences: what was written is found at once",
                remote.name
            ))),
            _ => Ok(place),
        }
    }
}

/// What applies where the publisher says nothing.
fn rule(max_processing_time_ms: u64) -> v1::Rule {
    v1::Rule {
        required_capabilities: vec!["vector_indexing".to_owned()],
        preferred_worker_type: "vector_indexer".to_owned(),
        max_processing_time_ms,
        ..v1::Rule::default()
    }
}

/// The schema of a payload with these properties, and with no others.
fn schema(required: &[&str], properties: Value) -> Value {
    json!({
        "type": "object",
        "required": required,
        "additionalProperties": false,
        "properties": properties
    })
}

/// A collection's name, or an alias.
fn name_schema() -> Value {
    json!({"type": "string", "minLength": 1, "maxLength": 63, "description": "a collection's name, or an alias"})
}

/// A vector.
fn vector_schema() -> Value {
    json!({
        "type": ["array", "string"],
        "items": {"type": "number"},
        "description": "numbers, or base64 of little-endian 32 bit floats"
    })
}

/// What of a point is wanted.
fn with_schema() -> Value {
    json!({"type": "array", "items": {"enum": ["text", "metadata", "vector"]}})
}
