//! `vector_snapshot`: takes a snapshot of a collection, lists those that there are, and makes a collection of one.

use serde::Deserialize;
use serde_json::{Value, json};
use tasklane_runtime::{Ctx, Output, Payload, TaskError, TaskType};

use super::{Parts, name_schema, rule, schema};
use crate::catalogue::check_name;
use crate::snapshots::Snapshot;

/// The task type's name.
pub const NAME: &str = "vector_snapshot";

/// What is asked.
#[derive(Debug, Deserialize)]
#[serde(tag = "action", rename_all = "lowercase", deny_unknown_fields)]
enum Wanted {
    Take { collection: String },
    List { collection: String },
    Restore { collection: String, snapshot: String, into: Option<String> },
}

/// The task type.
pub fn task_type(parts: Parts) -> TaskType {
    let run = move |_: Ctx, payload: Payload| {
        let parts = parts.clone();
        async move { Output::json(&answer(&parts, payload.json()?).await?) }
    };
    TaskType::new(NAME, "Takes and lists snapshots of a collection, and restores one", run)
        .schema(&schema(
            &["action", "collection"],
            json!({
                "action": {"enum": ["take", "list", "restore"]},
                "collection": name_schema(),
                "snapshot": {"type": "string", "description": "as `list` names it, or its sequence"},
                "into": {"type": "string", "description": "a new name; the collection's own where it is left out"}
            }),
        ))
        .rule(rule(900_000))
}

async fn answer(parts: &Parts, wanted: Wanted) -> Result<Value, TaskError> {
    let snapshots = &parts.snapshots;
    Ok(match wanted {
        Wanted::Take { collection } => {
            let entry = parts.shelf.current(&collection).await?;
            let mut taken = told(&snapshots.take(&entry).await?);
            taken["collection"] = entry.name.as_str().into();
            taken
        }
        Wanted::List { collection } => {
            let entry = parts.shelf.current(&collection).await?;
            let all: Vec<Value> = snapshots.list(&entry).await?.iter().map(told).collect();
            json!({"collection": entry.name, "snapshots": all})
        }
        Wanted::Restore { collection, snapshot, into } => {
            if let Some(into) = &into {
                check_name(into)?;
            }
            let entry = parts.shelf.current(&collection).await?;
            let name = snapshots.restore(&entry, &snapshot, into.as_deref()).await?;
            drop(entry);
            let restored = parts.shelf.current(&name).await?;
            json!({
                "collection": name,
                "snapshot": snapshot,
                "sequence": restored.collection.sequence(),
                "points": restored.collection.describe().points
            })
        }
    })
}

fn told(snapshot: &Snapshot) -> Value {
    json!({
        "snapshot": snapshot.name,
        "sequence": snapshot.sequence,
        "bytes": snapshot.bytes,
        "taken_at_ms": snapshot.taken_at_ms
    })
}
