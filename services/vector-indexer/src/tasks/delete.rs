//! `vector_delete`: removes points by their ids, or by a filter over their metadata.

use serde::Deserialize;
use serde_json::{Value, json};
use tasklane_runtime::{Ctx, Output, Payload, TaskError, TaskType};

use super::{Parts, input, name_schema, rule, schema};
use crate::error::VectorError;
use crate::filter::Predicate;
use crate::log;
use crate::ops::{Delete, DeleteWhere, Kind, MOST_ID};
use crate::shelf::Place;

/// The task type's name.
pub const NAME: &str = "vector_delete";
/// Ids of one task, at most.
const MOST: usize = 10_000;

/// What is to go.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    collection: String,
    ids: Option<Vec<String>>,
    filter: Option<Value>,
}

/// The task type.
pub fn task_type(parts: Parts) -> TaskType {
    let run = move |ctx: Ctx, payload: Payload| {
        let parts = parts.clone();
        async move { Output::json(&delete(&parts, &ctx, payload.json()?).await?) }
    };
    TaskType::new(NAME, "Removes points from a collection, by their ids or by a filter", run)
        .schema(&schema(
            &["collection"],
            json!({
                "collection": name_schema(),
                "ids": {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": MOST},
                "filter": {"type": "object"}
            }),
        ))
        .rule(rule(60_000))
}

/// Which points are to go.
enum Which {
    Ids(Vec<String>),
    Where(Value, Predicate),
}

async fn delete(parts: &Parts, ctx: &Ctx, wanted: Wanted) -> Result<Value, TaskError> {
    let which = which(wanted.ids, wanted.filter)?;
    let place = parts.shelf.current_place(&wanted.collection).await?;
    let sequence = match &place {
        Place::Here(entry) => {
            let sequence =
                log::write(parts.shelf.bus(), &entry.record.id, ctx.task_id(), [which.op()]).await?;
            if entry.closed.is_cancelled() {
                return Err(VectorError::NoCollection(wanted.collection).into());
            }
            sequence
        }
        Place::Qdrant(remote) => {
            let calls = parts.qdrant.open(remote, ctx)?;
            match which {
                Which::Ids(ids) => calls.delete(&ids).await?,
                Which::Where(_, filter) => calls.delete_where(&filter).await?,
            }
            0
        }
    };
    Ok(json!({"collection": place.name(), "sequence": sequence}))
}

impl Which {
    fn op(self) -> Kind {
        match self {
            Self::Ids(ids) => Kind::Delete(Delete { ids }),
            Self::Where(filter, _) => Kind::DeleteWhere(DeleteWhere { filter: filter.to_string() }),
        }
    }
}

fn which(ids: Option<Vec<String>>, filter: Option<Value>) -> Result<Which, VectorError> {
    match (ids, filter) {
        (Some(ids), None) => {
            if !(1..=MOST).contains(&ids.len()) {
                return Err(VectorError::BadInput(format!("ids: {} are none of 1 to {MOST}", ids.len())));
            }
            if let Some(n) = ids.iter().position(|id| !(1..=MOST_ID).contains(&id.len())) {
                return Err(VectorError::BadInput(format!("ids[{n}]: an id has 1 to {MOST_ID} bytes")));
            }
            Ok(Which::Ids(ids))
        }
        (None, Some(filter)) => {
            let read = input::filter(&filter)?;
            if read.is_everything() {
                let text = "filter: an empty one selects everything; drop the collection instead";
                return Err(VectorError::BadInput(text.to_owned()));
            }
            Ok(Which::Where(filter, read))
        }
        _ => Err(VectorError::BadInput("either ids or a filter is wanted".to_owned())),
    }
}
