//! `tasklane ingest`: documents into a collection, so that they can be searched. What is there already is not done again,
//! and so the same command goes on where one before was stopped.

pub mod args;
mod bars;
mod document;
mod editions;
mod file;
pub mod plan;
mod sources;
mod tally;

use std::collections::BTreeMap;
use std::time::Instant;

use futures::StreamExt as _;
use serde::Deserialize;
use serde_json::{Value, json};
use tasklane_runtime::contract::code;

use args::IngestArgs;
use bars::Bars;
use document::{CHUNK, EMBED, Pipeline};
use plan::Recipe;
use sources::Source;
use tally::Tally;

use crate::collection::{self, Collection};
use crate::commands::search::question;
use crate::error::{CliError, Exit};
use crate::session::Session;
use crate::work::Work;

/// The model of a new collection where none is named.
const MODEL: &str = "minilm";

/// What the model says of itself when it embeds something.
#[derive(Debug, Deserialize)]
struct Probe {
    model: String,
    dimensions: usize,
}

/// Ingests.
///
/// # Errors
/// What is wrong with the command line, a service that is not there, or NATS. A document that fails is no error of the
/// command: it is told at the end.
pub async fn run(args: IngestArgs, session: &Session) -> Result<Exit, CliError> {
    let began = Instant::now();
    let meta = metadata(&args.meta)?;
    if args.overlap > args.max_tokens / 2 {
        let why = format!("--overlap {} is more than half of --max-tokens {}", args.overlap, args.max_tokens);
        return Err(CliError::usage(code::BAD_REQUEST, why));
    }
    let sources = wanted(&args)?;
    let work = Work::new(session).await?;
    let (collection, model) = prepare(&work, &args).await?;
    let recipe = Recipe { model, max_tokens: args.max_tokens, overlap_tokens: args.overlap, meta };
    let bars = Bars::new(sources.len() as u64);
    let pipeline = Pipeline::new(collection, recipe, bars);
    let mut tally = Tally::new(&args.collection, &pipeline.recipe.model, sources.len());
    let interrupted = all(&pipeline, &sources, usize::from(args.parallel), &mut tally).await;
    if !interrupted && let Err(e) = pipeline.collection.settled().await {
        session.warn(&format!("what was indexed is found a moment later: {e}"));
    }
    pipeline.bars.clear();
    if let Some(file) = &args.failures {
        std::fs::write(file, tally.failures_file()).map_err(|e| {
            CliError::new(code::INTERNAL, Exit::Failed, format!("{} cannot be written: {e}", file.display()))
        })?;
    }
    tally.interrupted = interrupted;
    match session.json {
        true => session.print(&crate::format::json::indent(&tally.json(began.elapsed()).to_string()))?,
        false => session.print(&tally.text(began.elapsed(), session.paint))?,
    }
    Ok(tally.exit())
}

/// Runs documents until there are no more, or Ctrl-C; says which.
async fn all(pipeline: &Pipeline<'_>, sources: &[Source], parallel: usize, tally: &mut Tally) -> bool {
    let documents =
        futures::stream::iter(sources).map(|source| async move { (source, pipeline.ingest(source).await) });
    let mut documents = std::pin::pin!(documents.buffer_unordered(parallel));
    loop {
        tokio::select! {
            ended = documents.next() => match ended {
                None => return false,
                Some((_, Err(failure))) if failure.error.exit() == Exit::Interrupted => return true,
                Some((source, ended)) => tally.add(source, ended),
            },
            Ok(()) = tokio::signal::ctrl_c() => return true,
        }
        if tally.hopeless() {
            return false;
        }
    }
}

fn wanted(args: &IngestArgs) -> Result<Vec<Source>, CliError> {
    let mut given = args.sources.clone();
    if let Some(file) = &args.retry {
        given.extend(sources::failed_before(file)?);
    }
    sources::gather(&given)
}

/// Finds or creates the collection, and says which model fills it, by its full name.
async fn prepare<'w>(work: &'w Work<'w>, args: &IngestArgs) -> Result<(Collection<'w>, String), CliError> {
    let there = collection::find(work, &args.collection).await?;
    let collection = Collection::new(work, &args.collection);
    let sample = match &there {
        Some(described) if described.may_be_filled() => collection.sample().await?,
        _ => None,
    };
    let filled_by = sample.as_ref().and_then(|metadata| metadata.get("model")?.as_str());
    let model = plan::model(args.model.as_deref(), filled_by).map_err(|(wanted, there)| {
        let why = format!(
            "`{}` is filled by {there}: vectors of {wanted} do not compare with its",
            args.collection
        );
        CliError::usage(code::BAD_REQUEST, why).remedy("leave --model out, or name another collection")
    })?;
    work.somebody(CHUNK, &json!({"source": "obj://documents/any"})).await?;
    let probe = json!({"model": model.as_deref().unwrap_or(MODEL), "input": "dimension"});
    let probe: Probe = work.session.read(EMBED, &work.ask(EMBED, &probe, None).await?)?;
    match there {
        Some(there) if there.dimension != probe.dimensions => {
            let (has, model, dimensions) = (there.dimension, &probe.model, probe.dimensions);
            let why =
                format!("`{}` has vectors of {has} numbers, and {model} makes {dimensions}", args.collection);
            Err(CliError::usage(code::BAD_REQUEST, why).remedy("name another model, or another collection"))
        }
        Some(there) if args.backend.is_some_and(|backend| backend.word() != there.backend()) => {
            let why = format!("`{}` is there already, and is {}", args.collection, there.backend());
            Err(CliError::usage(code::BAD_REQUEST, why)
                .remedy("leave --backend out, or name another collection"))
        }
        Some(_) => Ok((collection, probe.model)),
        None => {
            collection.create(probe.dimensions, args.backend).await?;
            work.session.note(&format!(
                "the collection `{}` is new: {} numbers by {}",
                args.collection, probe.dimensions, probe.model
            ));
            Ok((collection, probe.model))
        }
    }
}

/// What the user says of all documents.
fn metadata(given: &[(String, String)]) -> Result<BTreeMap<String, Value>, CliError> {
    let mut meta = BTreeMap::new();
    for (key, value) in given {
        if plan::OURS.contains(&key.as_str()) {
            let why = format!("--meta {key}: this name is taken; ours are {}", plan::OURS.join(", "));
            return Err(CliError::usage(code::BAD_REQUEST, why));
        }
        meta.insert(key.clone(), question::value(value));
    }
    Ok(meta)
}
