//! `model_info`: what a model is, as its manifest says, without loading it; and whether it is loaded on this worker.

use serde::Deserialize;
use serde_json::{Value, json};
use tasklane_models::Manifest;
use tasklane_runtime::{Ctx, Output, Payload, TaskError, TaskType};

use super::of_model;
use crate::error::MlError;
use crate::registry::{Loader, Registry, Status};
use crate::store::{Entry, Place};

/// The task type's name.
pub const NAME: &str = "model_info";

/// What is asked.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    model: String,
}

/// The task type.
pub fn task_type<L: Loader>(registry: Registry<L>) -> TaskType {
    let run = move |_: Ctx, payload: Payload| {
        let registry = registry.clone();
        async move {
            let wanted: Wanted = payload.json()?;
            Output::json(&told(&registry, &wanted.model).await?)
        }
    };
    TaskType::new(NAME, "Says what a model is", run)
        .schema(&of_model::schema(&[], json!({})))
        .rule(of_model::rule("model_serving", 30_000))
}

async fn told<L: Loader>(registry: &Registry<L>, name: &str) -> Result<Value, TaskError> {
    let (entry, manifest) = registry.manifest(name).await?;
    let here =
        registry.status().into_iter().find(|status| status.name == entry.name && status.state != "leaving");
    Ok(info(&entry, &manifest, here.as_ref())?)
}

fn info(entry: &Entry, manifest: &Manifest, here: Option<&Status>) -> Result<Value, MlError> {
    let failed = |e: serde_json::Error| MlError::Internal(e.to_string());
    let mut info = serde_json::to_value(manifest).map_err(failed)?;
    info["source"] = match entry.place {
        Place::Folder(_) => json!("folder"),
        Place::Bucket { .. } => json!("store"),
    };
    if let Place::Bucket { bytes } = entry.place {
        info["stored_bytes"] = bytes.into();
    }
    info["state"] = here.map_or("not loaded", |status| status.state).into();
    if let Some(status) = here {
        info["memory_bytes"] = status.bytes.into();
    }
    Ok(info)
}
