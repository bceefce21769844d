//! `vector_indexing`: puts points into a collection. They are durable when the task is done, and found a moment later.

use serde::Deserialize;
use serde_json::{Map, Value, json};
use tasklane_runtime::{Ctx, Output, Payload, TaskError, TaskType};

use super::input::Vector;
use super::{Parts, name_schema, rule, schema, vector_schema};
use crate::error::VectorError;
use crate::log;
use crate::ops::{Batch, Kind, MOST_METADATA, Upsert};
use crate::shelf::Place;

/// The task type's name.
pub const NAME: &str = "vector_indexing";
/// Points of one task, at most.
const MOST: usize = 10_000;

/// What is put.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    collection: String,
    points: Vec<Point>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Point {
    id: String,
    vector: Vector,
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    metadata: Option<Map<String, Value>>,
}

/// The task type.
pub fn task_type(parts: Parts) -> TaskType {
    let run = move |ctx: Ctx, payload: Payload| {
        let parts = parts.clone();
        async move { Output::json(&put(&parts, &ctx, payload.json()?).await?) }
    };
    let point = schema(
        &["id", "vector"],
        json!({
            "id": {"type": "string", "minLength": 1, "maxLength": 256},
            "vector": vector_schema(),
            "text": {"type": ["string", "null"], "description": "what a search by words finds"},
            "metadata": {"type": ["object", "null"], "description": "what filters select by"}
        }),
    );
    TaskType::new(NAME, "Puts points into a collection, in the place of those with their ids", run)
        .schema(&schema(
            &["collection", "points"],
            json!({
                "collection": name_schema(),
                "points": {"type": "array", "items": point, "minItems": 1, "maxItems": MOST}
            }),
        ))
        .rule(rule(120_000))
}

async fn put(parts: &Parts, ctx: &Ctx, wanted: Wanted) -> Result<Value, TaskError> {
    let count = wanted.points.len();
    if !(1..=MOST).contains(&count) {
        let text = format!("points: {count} are none of 1 to {MOST}");
        return Err(VectorError::BadInput(text).into());
    }
    let place = parts.shelf.current_place(&wanted.collection).await?;
    let mut upserts = Vec::with_capacity(count);
    for (n, point) in wanted.points.into_iter().enumerate() {
        let upsert = point.checked(&|vector| place.check(vector).map_err(|e| e.to_string()));
        upserts.push(upsert.map_err(|reason| VectorError::BadInput(format!("points[{n}]: {reason}")))?);
    }
    let sequence = match &place {
        Place::Here(entry) => {
            let ops = upserts.into_iter().map(Kind::Upsert);
            let sequence = log::write(parts.shelf.bus(), &entry.record.id, ctx.task_id(), ops).await?;
            if entry.closed.is_cancelled() {
                return Err(VectorError::NoCollection(wanted.collection).into());
            }
            sequence
        }
        Place::Qdrant(remote) => {
            parts.qdrant.open(remote, ctx)?.put(upserts).await?;
            0
        }
    };
    Ok(json!({"collection": place.name(), "upserted": count, "sequence": sequence}))
}

impl Point {
    /// The point as it is written, if every replica can take it: nobody answers for what cannot be applied later.
    fn checked(self, check: &dyn Fn(&[f32]) -> Result<(), String>) -> Result<Upsert, String> {
        check(&self.vector.0)?;
        let metadata = match self.metadata.filter(|metadata| !metadata.is_empty()) {
            Some(metadata) => Value::Object(metadata).to_string(),
            None => String::new(),
        };
        if metadata.len() > MOST_METADATA {
            return Err(format!("its metadata have {} bytes; {MOST_METADATA} are taken", metadata.len()));
        }
        let upsert = Upsert { id: self.id, vector: self.vector.0, text: self.text, metadata };
        let batch = Batch::from_iter([Kind::Upsert(upsert)]);
        batch.check().map_err(|e| e.to_string())?;
        match batch.ops.into_iter().next().and_then(|op| op.kind) {
            Some(Kind::Upsert(upsert)) => Ok(upsert),
            _ => Err("nothing".to_owned()),
        }
    }
}
