//! What is told of a collection: what the catalogue says, and what who keeps it knows.

use serde_json::{Value, json};

use crate::catalogue::{All, Record};
use crate::shelf::{Entry, Remote};

/// All that is known of a collection that is open here.
pub fn describe(entry: &Entry, known: &All) -> Value {
    let mut told = told(entry, known);
    let described = entry.collection.describe();
    told["segments"] = json!(described.segments);
    told["growing"] = described.growing.into();
    told["durable"] = described.durable.into();
    told["texts"] = described.texts.into();
    told["memory"] = json!(described.memory);
    told["trouble"] = json!(described.trouble);
    told["id"] = entry.record.id.as_str().into();
    told
}

/// A collection in qdrant.
pub fn counted(remote: &Remote, known: &All, points: u64) -> Value {
    let mut told = away(&remote.name, &remote.record, known);
    told["points"] = points.into();
    told["sequence"] = 0.into();
    told
}

/// A collection that is open here.
pub fn told(entry: &Entry, known: &All) -> Value {
    let described = entry.collection.describe();
    let mut told = away(&entry.name, &entry.record, known);
    told["points"] = described.points.into();
    told["sequence"] = described.sequence.into();
    told["segments"] = described.segments.len().into();
    told["memory_bytes"] = described.memory.total().into();
    told
}

/// What the catalogue says of a collection.
pub fn away(name: &str, record: &Record, known: &All) -> Value {
    let settings = &record.settings;
    let aliases: Vec<&String> =
        known.aliases.iter().filter(|(_, of)| *of == name).map(|(alias, _)| alias).collect();
    let base = known.collections.get(name).and_then(|now| now.base.as_ref());
    json!({
        "collection": name,
        "backend": settings.backend,
        "dimension": settings.dimension,
        "metric": settings.metric,
        "precision": settings.precision,
        "graph": {"m": settings.graph.m, "ef_construction": settings.graph.ef_construction},
        "aliases": aliases,
        "snapshot": base.map(|base| &base.object),
    })
}
