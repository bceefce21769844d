//! `vector_points`: what is in a collection, by ids, or page by page in the order of their ids.

use serde::Deserialize;
use serde_json::{Value, json};
use tasklane_runtime::{Ctx, Output, Payload, TaskError, TaskType};

use super::input::{self, Part};
use super::{Parts, name_schema, rule, schema, with_schema};
use crate::collection::With;
use crate::error::VectorError;
use crate::shelf::Place;

/// The task type's name.
pub const NAME: &str = "vector_points";
/// Points of one page, at most.
const MOST: usize = 1_000;
/// Points of one page, where nothing is said.
const USUAL: usize = 100;

/// What is asked.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    collection: String,
    ids: Option<Vec<String>>,
    filter: Option<Value>,
    limit: Option<usize>,
    after: Option<String>,
    with: Option<Vec<Part>>,
    min_sequence: Option<u64>,
}

/// The task type.
pub fn task_type(parts: Parts) -> TaskType {
    let run = move |ctx: Ctx, payload: Payload| {
        let parts = parts.clone();
        async move { Output::json(&points(&parts, &ctx, payload.json()?).await?) }
    };
    TaskType::new(
        NAME,
        "Reads points of a collection, by ids, or page by page in the order of their ids",
        run,
    )
    .schema(&schema(
        &["collection"],
        json!({
            "collection": name_schema(),
            "ids": {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": MOST},
            "filter": {"type": "object"},
            "limit": {"type": "integer", "minimum": 1, "maximum": MOST},
            "after": {"type": "string", "description": "the last id of the page before"},
            "with": with_schema(),
            "min_sequence": {"type": "integer", "minimum": 0, "description": "not before this is applied"}
        }),
    ))
    .rule(rule(30_000))
}

async fn points(parts: &Parts, ctx: &Ctx, wanted: Wanted) -> Result<Value, TaskError> {
    let limit = wanted.limit.unwrap_or(USUAL);
    let asked = wanted.ids.as_ref().map_or(0, Vec::len);
    if !(1..=MOST).contains(&limit) || asked > MOST {
        return Err(VectorError::BadInput(format!("limit, ids: from 1 to {MOST}")).into());
    }
    if asked > 0 && (wanted.filter.is_some() || wanted.after.is_some()) {
        return Err(VectorError::BadInput("ids are given: a filter or a page is not".to_owned()).into());
    }
    let filter = wanted.filter.as_ref().map(input::filter).transpose()?;
    let with = wanted.with.as_deref().map_or(With { metadata: true, ..With::default() }, input::with);
    let sequence = wanted.min_sequence.unwrap_or(0);
    let place = parts.named(&wanted.collection, sequence).await?;
    let (points, sequence) = match &place {
        Place::Here(entry) => {
            entry.reach(sequence, ctx.remaining()).await?;
            let read = entry.aside(move |entry| {
                let read = match &wanted.ids {
                    Some(ids) => entry.collection.get(ids, with),
                    None => entry.collection.list(filter.as_ref(), wanted.after.as_deref(), limit, with),
                };
                read.map_err(|e| VectorError::of(&entry.name, e))
            });
            read.await?
        }
        Place::Qdrant(remote) => {
            let calls = parts.qdrant.open(remote, ctx)?;
            let points = match &wanted.ids {
                Some(ids) => calls.get(ids, with).await?,
                None => calls.list(filter.as_ref(), wanted.after.as_deref(), limit, with).await?,
            };
            (points, 0)
        }
    };
    let points: Vec<Value> = points.into_iter().map(|point| input::told(point, false)).collect();
    Ok(json!({"collection": place.name(), "points": points, "sequence": sequence}))
}
