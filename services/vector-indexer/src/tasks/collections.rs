//! `vector_collections`: creates collections, says which there are, removes them, and gives them other names.

use futures::StreamExt as _;
use serde::Deserialize;
use serde_json::{Value, json};
use tasklane_runtime::bus::Bus;
use tasklane_runtime::contract::streams::VECTORS;
use tasklane_runtime::{Ctx, Output, Payload, TaskError, TaskType};

use super::told::{away, counted, describe, told};
use super::{Parts, name_schema, rule, schema};
use crate::catalogue::{Backend, Record, Settings, check_name};
use crate::error::VectorError;
use crate::graph::Params;
use crate::log;
use crate::shelf::{Import, Place, Remote};
use crate::space::{Metric, Precision};

/// The task type's name.
pub const NAME: &str = "vector_collections";
/// Changes of the same name by others that are outlived.
const TRIES: usize = 8;
/// Collections in qdrant that are counted at once.
const AT_ONCE: usize = 16;
/// Collections, at most: each has two threads and a log of its own in every replica, and metrics by its name.
const MOST: usize = 200;

/// What is asked.
#[derive(Debug, Deserialize)]
#[serde(tag = "action", rename_all = "lowercase", deny_unknown_fields)]
enum Wanted {
    Create {
        collection: String,
        dimension: usize,
        metric: Option<Metric>,
        precision: Option<Precision>,
        graph: Option<GraphWanted>,
        backend: Option<Backend>,
    },
    List {},
    Describe {
        collection: String,
    },
    Drop {
        collection: String,
    },
    Alias {
        alias: String,
        collection: String,
    },
    Unalias {
        alias: String,
    },
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct GraphWanted {
    m: Option<u32>,
    ef_construction: Option<u32>,
}

/// The task type.
pub fn task_type(parts: Parts) -> TaskType {
    let run = move |ctx: Ctx, payload: Payload| {
        let parts = parts.clone();
        async move { Output::json(&answer(&parts, &ctx, payload.json()?).await?) }
    };
    TaskType::new(NAME, "Creates, lists, describes, names and drops collections of vectors", run)
        .schema(&schema(
            &["action"],
            json!({
                "action": {"enum": ["create", "list", "describe", "drop", "alias", "unalias"]},
                "collection": name_schema(),
                "alias": name_schema(),
                "dimension": {"type": "integer", "minimum": 1, "maximum": crate::ops::MOST_DIMENSION},
                "metric": {"enum": ["cosine", "dot", "l2"]},
                "precision": {"enum": ["f32", "f16", "i8"]},
                "backend": {"enum": ["embedded", "qdrant"]},
                "graph": schema(&[], json!({
                    "m": {"type": "integer", "minimum": 2, "maximum": 128},
                    "ef_construction": {"type": "integer", "minimum": 8, "maximum": 2048}
                }))
            }),
        ))
        .rule(rule(60_000))
}

async fn answer(parts: &Parts, ctx: &Ctx, wanted: Wanted) -> Result<Value, TaskError> {
    Ok(match wanted {
        Wanted::Create { collection, dimension, metric, precision, graph, backend } => {
            let usual = Params::default();
            let graph = graph.unwrap_or_default();
            let backend = backend.unwrap_or_default();
            // Halves there are plain ones: vectors that are close together tie, and scores are off by 1e-4.
            let usual_precision = match backend {
                Backend::Embedded => Precision::F16,
                Backend::Qdrant => Precision::F32,
            };
            let settings = Settings {
                dimension,
                metric: metric.unwrap_or(Metric::Cosine),
                precision: precision.unwrap_or(usual_precision),
                graph: Params {
                    m: graph.m.unwrap_or(usual.m),
                    ef_construction: graph.ef_construction.unwrap_or(usual.ef_construction),
                    ..usual
                },
                backend,
            };
            create(parts, ctx, &collection, settings).await?
        }
        Wanted::List {} => list(parts, ctx).await?,
        Wanted::Describe { collection } => match parts.shelf.current_place(&collection).await? {
            Place::Here(entry) => describe(&entry, &parts.shelf.known()),
            Place::Qdrant(remote) => {
                let points = parts.qdrant.open(&remote, ctx)?.count().await?;
                parts.shelf.settle(Import::Missing).await?;
                let mut told = counted(&remote, &parts.shelf.known(), points);
                told["id"] = remote.record.id.as_str().into();
                told
            }
        },
        Wanted::Drop { collection } => remove(parts, ctx, &collection).await?,
        Wanted::Alias { alias, collection } => name(parts, &alias, &collection).await?,
        Wanted::Unalias { alias } => {
            if parts.shelf.catalogue().alias(&alias).await.map_err(VectorError::from)?.is_none() {
                return Err(VectorError::NoCollection(alias).into());
            }
            parts.shelf.catalogue().remove_alias(&alias).await.map_err(VectorError::from)?;
            parts.shelf.settle(Import::Missing).await?;
            json!({"alias": alias})
        }
    })
}

async fn create(parts: &Parts, ctx: &Ctx, name: &str, settings: Settings) -> Result<Value, VectorError> {
    check_name(name)?;
    settings.check()?;
    let catalogue = parts.shelf.catalogue();
    let made = |created: bool| json!({"collection": name, "created": created});
    for _ in 0..TRIES {
        if let Some(known) = catalogue.collection(name).await? {
            return match known.value.settings.difference(&settings) {
                None => Ok(made(false)),
                Some(difference) => Err(VectorError::Taken { name: name.to_owned(), difference }),
            };
        }
        if let Some(alias) = catalogue.alias(name).await? {
            let difference = format!("it is another name of `{}`", alias.value.collection);
            return Err(VectorError::Taken { name: name.to_owned(), difference });
        }
        if catalogue.all().await?.collections.len() >= MOST {
            return Err(VectorError::BadInput(format!(
                "there are {MOST} collections, and no more are taken"
            )));
        }
        let is_made = match settings.backend {
            Backend::Embedded => {
                let since = parts.shelf.bus().stream_load(VECTORS).await?.last;
                catalogue.create(name, &Record::new(settings, since)).await?
            }
            Backend::Qdrant => create_there(parts, ctx, name, settings).await?,
        };
        if is_made {
            parts.shelf.settle(Import::Missing).await?;
            return Ok(made(true));
        }
    }
    Err(VectorError::Busy(format!("`{name}` is being changed by others")))
}

/// In qdrant first: what the catalogue names is there.
async fn create_there(parts: &Parts, ctx: &Ctx, name: &str, settings: Settings) -> Result<bool, VectorError> {
    let remote = Remote { name: name.to_owned(), record: Record::new(settings, 0) };
    let Some(calls) = parts.qdrant.calls(name, &remote.record, ctx.remaining(), ctx.trace()) else {
        let text = "backend: there is no qdrant; `qdrant.url` of the vector indexers says where one is";
        return Err(VectorError::BadInput(text.to_owned()));
    };
    calls.create().await?;
    let is_made = parts.shelf.catalogue().create(name, &remote.record).await?;
    if !is_made {
        calls.remove_again().await;
    }
    Ok(is_made)
}

async fn list(parts: &Parts, ctx: &Ctx) -> Result<Value, VectorError> {
    parts.shelf.settle(Import::Missing).await?;
    let known = &parts.shelf.known();
    let one = |(name, record): (&String, &Record)| {
        let remote = Remote { name: name.clone(), record: record.clone() };
        async move {
            if remote.record.settings.backend == Backend::Qdrant {
                // Where qdrant is away there is no number, and all the rest.
                let within = ctx.remaining() / 2;
                let points = match parts.qdrant.calls(&remote.name, &remote.record, within, ctx.trace()) {
                    Some(calls) => calls.count().await.ok(),
                    None => None,
                };
                return match points {
                    Some(points) => counted(&remote, known, points),
                    None => away(&remote.name, &remote.record, known),
                };
            }
            match parts.shelf.by_id(&remote.record.id) {
                Some(entry) => told(&entry, known),
                None => away(&remote.name, &remote.record, known),
            }
        }
    };
    let all: Vec<_> = known.collections.iter().map(one).collect();
    let all: Vec<Value> = futures::stream::iter(all).buffered(AT_ONCE).collect().await;
    Ok(json!({"collections": all}))
}

async fn remove(parts: &Parts, ctx: &Ctx, name: &str) -> Result<Value, VectorError> {
    let catalogue = parts.shelf.catalogue();
    for _ in 0..TRIES {
        let Some(known) = catalogue.collection(name).await? else {
            return Err(match catalogue.alias(name).await? {
                Some(alias) => VectorError::BadInput(format!(
                    "`{name}` is another name of `{}`; name the collection itself, or take the alias away",
                    alias.value.collection
                )),
                None => VectorError::NoCollection(name.to_owned()),
            });
        };
        let is_ours = known.value.settings.backend.is_embedded();
        if !is_ours {
            // In qdrant first: a drop that ends here is done by the next one, and nothing is left over that nobody names.
            let remote = Remote { name: name.to_owned(), record: known.value.clone() };
            parts.qdrant.open(&remote, ctx)?.remove().await?;
        }
        if !catalogue.remove(name, known.revision).await? {
            continue;
        }
        for (alias, of) in catalogue.all().await?.aliases {
            if of == name {
                catalogue.remove_alias(&alias).await?;
            }
        }
        parts.shelf.settle(Import::Missing).await?;
        if is_ours {
            forget(parts.shelf.bus(), &known.value.id).await?;
            parts.snapshots.sweep_later();
        }
        return Ok(json!({"collection": name, "dropped": true}));
    }
    Err(VectorError::Busy(format!("`{name}` is being changed by others")))
}

async fn forget(bus: &Bus, id: &str) -> Result<(), VectorError> {
    Ok(bus.purge(VECTORS, &log::subject(id), None).await?)
}

async fn name(parts: &Parts, alias: &str, collection: &str) -> Result<Value, VectorError> {
    check_name(alias)?;
    let catalogue = parts.shelf.catalogue();
    if catalogue.collection(alias).await?.is_some() {
        let difference = "a collection has this name".to_owned();
        return Err(VectorError::Taken { name: alias.to_owned(), difference });
    }
    let place = parts.shelf.current_place(collection).await?;
    catalogue.set_alias(alias, place.name()).await?;
    parts.shelf.settle(Import::Missing).await?;
    Ok(json!({"alias": alias, "collection": place.name()}))
}
