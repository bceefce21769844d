//! `tasklane search`: the chunks of a collection that answer a question best.

pub mod args;
pub mod question;

use args::{NarrowArgs, SearchArgs};
use question::Mode;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tasklane_runtime::contract::code;

use super::ingest::plan;
use crate::collection::{self, Collection, SEARCH};
use crate::error::{CliError, Exit};
use crate::format::{hits, json as layout};
use crate::session::Session;
use crate::work::Work;

/// The task that makes vectors of texts.
pub const EMBED: &str = "embed_text";
const RERANK: &str = "rerank";
/// How many times as many are found for a reranker to choose from, and how many at most.
const CHOICE: (usize, usize) = (5, 200);

/// What was found.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Found {
    /// Where.
    pub collection: String,
    /// In which version of it.
    pub sequence: u64,
    /// The best first.
    pub hits: Vec<Hit>,
    /// How it was found.
    pub way: String,
}

/// A chunk that was found.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
#[serde(default)]
pub struct Hit {
    /// Its id.
    pub id: String,
    /// The larger the better.
    pub score: f64,
    /// Its text; empty where the point has none.
    #[serde(deserialize_with = "or_empty")]
    pub text: String,
    /// What is known of it.
    pub metadata: Map<String, Value>,
}

fn or_empty<'de, D: serde::Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_default())
}

#[derive(Debug, Deserialize)]
struct Embedded {
    vectors: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Reranked {
    results: Vec<Ranked>,
}

#[derive(Debug, Deserialize)]
struct Ranked {
    index: usize,
    score: f64,
}

/// Searches and prints what was found.
///
/// # Errors
/// There is no such collection, nobody answers, or NATS.
pub async fn run(args: SearchArgs, session: &Session) -> Result<Exit, CliError> {
    let mode = match (args.hybrid, args.text) {
        (true, _) => Mode::Hybrid,
        (_, true) => Mode::Text,
        _ => Mode::Vector,
    };
    let work = Work::new(session).await?;
    let found =
        search(&work, &args.collection, (mode, &args.question), usize::from(args.k), &args.narrow).await?;
    match session.json {
        true => session.print(&layout::indent(&serde_json::to_string(&found).unwrap_or_default()))?,
        false => {
            let here = std::env::current_dir().ok();
            session.print(&hits::list(&found.hits, here.as_deref(), session.paint))?;
        }
    }
    Ok(Exit::Succeeded)
}

/// The best chunks for a question.
///
/// # Errors
/// There is no such collection, or nobody answers.
pub async fn search(
    work: &Work<'_>,
    name: &str,
    (mode, question): (Mode, &str),
    k: usize,
    narrow: &NarrowArgs,
) -> Result<Found, CliError> {
    if question.trim().is_empty() {
        return Err(CliError::usage(
            code::MISSING_FIELD,
            "there is nothing to look for: the question is empty",
        ));
    }
    let vector = match mode {
        Mode::Text => None,
        Mode::Vector | Mode::Hybrid => Some(embed(work, name, question, narrow).await?),
    };
    let choice = match narrow.rerank {
        Some(_) => (k * CHOICE.0).min(CHOICE.1).max(k),
        None => k,
    };
    let payload = question::payload(name, (mode, question), vector, &narrow.filters, choice);
    let mut found: Found = work.session.read(SEARCH, &work.ask(SEARCH, &payload, None).await?)?;
    if let Some(model) = narrow.rerank.as_deref().filter(|_| !found.hits.is_empty()) {
        found.hits = rerank(work, model, question, found.hits, k).await?;
    }
    Ok(found)
}

/// The question as the collection's model has it.
async fn embed(work: &Work<'_>, name: &str, question: &str, narrow: &NarrowArgs) -> Result<Value, CliError> {
    let model = match &narrow.embed_model {
        Some(model) => model.clone(),
        None => {
            let there = collection::find(work, name).await?.ok_or_else(|| collection::absent(name))?;
            let sample = match there.may_be_filled() {
                false => None,
                true => Collection::new(work, name).sample().await?,
            };
            let filled_by = sample.as_ref().and_then(|metadata| metadata.get("model")?.as_str());
            let model = plan::model(None, filled_by).ok().flatten();
            model.ok_or_else(|| unknown_model(name, there.points))?
        }
    };
    let payload = json!({"model": model, "input": question, "truncate": "window", "encoding": "base64"});
    let embedded: Embedded = work.session.read(EMBED, &work.ask(EMBED, &payload, None).await?)?;
    let none = || CliError::new(code::UNREADABLE, Exit::Failed, format!("{model} gave no vector"));
    embedded.vectors.into_iter().next().map(Value::String).ok_or_else(none)
}

fn unknown_model(name: &str, points: u64) -> CliError {
    match points {
        0 => CliError::new(code::NOT_FOUND, Exit::Failed, format!("the collection `{name}` is empty"))
            .remedy(format!("tasklane ingest FOLDER --collection {name}")),
        _ => CliError::usage(code::MISSING_FIELD, format!("`{name}` does not say which model filled it"))
            .remedy("name it with --embed-model, or search with --text"),
    }
}

/// The best of what was found, in the order of a model that reads question and text together.
async fn rerank(
    work: &Work<'_>,
    model: &str,
    question: &str,
    mut hits: Vec<Hit>,
    k: usize,
) -> Result<Vec<Hit>, CliError> {
    let passages: Vec<&str> = hits.iter().map(|hit| hit.text.as_str()).collect();
    let payload = json!({"model": model, "query": question, "passages": passages, "top_k": k});
    let ranked: Reranked = work.session.read(RERANK, &work.ask(RERANK, &payload, None).await?)?;
    let taken = ranked.results.iter().filter_map(|ranked| {
        let hit = hits.get_mut(ranked.index)?;
        Some(Hit { score: ranked.score, ..std::mem::take(hit) })
    });
    Ok(taken.collect())
}
