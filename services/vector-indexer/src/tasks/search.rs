//! `vector_search`: the points that are nearest to a vector, or fit words best, or both.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::{Value, json};
use tasklane_runtime::{Ctx, Output, Payload, TaskError, TaskType};

use super::input::{self, Part, Vector};
use super::{Parts, name_schema, rule, schema, vector_schema, with_schema};
use crate::collection::{Found, Search, With};
use crate::error::VectorError;
use crate::ops::MOST_METADATA;
use crate::shelf::{Entry, Place};

/// The task type's name.
pub const NAME: &str = "vector_search";
/// Hits of one search, at most.
const MOST: usize = 1_000;
/// The widest beam of a graph's search.
const MOST_EF: usize = 10_000;
/// What is left of a task's time for the search itself, when it has waited for what was written.
const RESERVE: Duration = Duration::from_millis(100);

/// What is asked.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    collection: String,
    vector: Option<Vector>,
    text: Option<String>,
    mode: Option<Mode>,
    top_k: Option<usize>,
    filter: Option<Value>,
    min_score: Option<f32>,
    min_sequence: Option<u64>,
    ef: Option<usize>,
    with: Option<Vec<Part>>,
}

/// What a search goes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Mode {
    Vector,
    Text,
    Hybrid,
}

/// The task type.
pub fn task_type(parts: Parts) -> TaskType {
    let run = move |ctx: Ctx, payload: Payload| {
        let parts = parts.clone();
        async move { Output::json(&search(&parts, &ctx, payload.json()?).await?) }
    };
    TaskType::new(NAME, "Finds the points that are nearest to a vector, fit words best, or both", run)
        .schema(&schema(
            &["collection"],
            json!({
                "collection": name_schema(),
                "vector": vector_schema(),
                "text": {"type": "string"},
                "mode": {"enum": ["vector", "text", "hybrid"], "description": "by what is given, where it is left out"},
                "top_k": {"type": "integer", "minimum": 1, "maximum": MOST},
                "filter": {"type": "object"},
                "min_score": {"type": "number"},
                "min_sequence": {"type": "integer", "minimum": 0, "description": "not before this is applied"},
                "ef": {"type": "integer", "minimum": 1, "maximum": MOST_EF},
                "with": with_schema()
            }),
        ))
        .rule(rule(10_000))
}

async fn search(parts: &Parts, ctx: &Ctx, wanted: Wanted) -> Result<Value, TaskError> {
    let sequence = wanted.min_sequence.unwrap_or(0);
    let place = parts.named(&wanted.collection, sequence).await?;
    let question = question(&place, wanted)?;
    let (hits, sequence, way, took) = match &place {
        Place::Here(entry) => {
            caught_up(entry, ctx, &question, sequence).await?;
            let begun = Instant::now();
            let found = run(entry, question).await?;
            (found.hits, found.sequence, found.way.to_string(), begun.elapsed())
        }
        Place::Qdrant(remote) => {
            let begun = Instant::now();
            let hits = parts.qdrant.open(remote, ctx)?.search(&question).await?;
            (hits, 0, "qdrant".to_owned(), begun.elapsed())
        }
    };
    parts.meters.searched(&way, took);
    let hits: Vec<Value> = hits.into_iter().map(|hit| input::told(hit, true)).collect();
    Ok(json!({"collection": place.name(), "sequence": sequence, "hits": hits, "way": way}))
}

/// Waits until this replica has what the search is to find.
async fn caught_up(
    entry: &Arc<Entry>,
    ctx: &Ctx,
    question: &Search,
    sequence: u64,
) -> Result<(), VectorError> {
    let patience = ctx.remaining().saturating_sub(RESERVE);
    entry.reach(sequence, patience).await?;
    if question.text.is_some() && sequence > 0 {
        let patience = ctx.remaining().saturating_sub(RESERVE);
        entry.aside(move |entry| texts(entry, sequence, patience)).await?;
    }
    Ok(())
}

fn texts(entry: &Entry, sequence: u64, patience: Duration) -> Result<(), VectorError> {
    if entry.collection.wait_for_texts(sequence, patience) {
        return Ok(());
    }
    Err(VectorError::Behind { is: entry.collection.describe().texts, wanted: sequence })
}

/// A search of a graph takes less than handing it to another thread; what may take longer is handed on.
async fn run(entry: &Arc<Entry>, question: Search) -> Result<Found, VectorError> {
    let is_quick = question.text.is_none() && question.filter.is_none() && question.k <= 100;
    if entry.is_small() || is_quick {
        return entry.collection.search(&question).map_err(|e| VectorError::of(&entry.name, e));
    }
    entry
        .aside(move |entry| entry.collection.search(&question).map_err(|e| VectorError::of(&entry.name, e)))
        .await
}

fn question(place: &Place, wanted: Wanted) -> Result<Search, VectorError> {
    let wrong = |text: String| Err(VectorError::BadInput(text));
    let (mut vector, mut text) = (wanted.vector.map(|vector| vector.0), wanted.text);
    match (wanted.mode, &vector, &text) {
        (None, None, None) => return wrong("a search wants a vector, a text, or both".to_owned()),
        (Some(Mode::Vector | Mode::Hybrid), None, _) => {
            return wrong("vector: the mode wants one".to_owned());
        }
        (Some(Mode::Text | Mode::Hybrid), _, None) => return wrong("text: the mode wants one".to_owned()),
        (Some(Mode::Vector), ..) => text = None,
        (Some(Mode::Text), ..) => vector = None,
        _ => {}
    }
    if let Some(vector) = &vector {
        place.check(vector)?;
    }
    if text.as_ref().is_some_and(|text| text.len() > MOST_METADATA) {
        return wrong(format!("text: a question has at most {MOST_METADATA} bytes"));
    }
    let k = wanted.top_k.unwrap_or(10);
    if !(1..=MOST).contains(&k) {
        return wrong(format!("top_k: {k} is none of 1 to {MOST}"));
    }
    if wanted.ef.is_some_and(|ef| !(1..=MOST_EF).contains(&ef)) {
        return wrong(format!("ef: from 1 to {MOST_EF}"));
    }
    Ok(Search {
        vector,
        text,
        k,
        filter: wanted.filter.as_ref().map(input::filter).transpose()?,
        min_score: wanted.min_score,
        ef: wanted.ef,
        with: wanted.with.as_deref().map_or(With::USUAL, input::with),
    })
}
