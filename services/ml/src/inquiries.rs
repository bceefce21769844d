//! What an operator may ask every ml worker over NATS, on `api.models.>`: which models it has, to load one and keep it, to
//! take one out of memory. Every worker answers for itself. JSON in, JSON out.

use serde::Deserialize;
use serde_json::{Value, json};
use tasklane_models::ModelName;
use tasklane_runtime::bus::endpoint::{About, Answers, Asked, Service};
use tasklane_runtime::bus::{Bus, BusError};
use tasklane_runtime::contract::{Refusal, code, subjects};

use crate::error::MlError;
use crate::registry::{Loader, Registry, Status};
use crate::store::{Catalogue, Entry, Place};

/// Name and subject of every endpoint.
const ENDPOINTS: [(&str, &str); 3] = [
    ("models-list", subjects::MODELS_LIST),
    ("models-load", subjects::MODELS_LOAD),
    ("models-unload", subjects::MODELS_UNLOAD),
];

/// What is asked about one model.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Question {
    model: String,
}

/// Answers in the name of `worker` until what it returns is dropped.
///
/// # Errors
/// Where NATS refuses.
pub async fn serve<L: Loader>(bus: &Bus, registry: &Registry<L>, worker: &str) -> Result<Service, BusError> {
    let about = About {
        name: subjects::MODELS_SERVICE,
        description: "Models of one worker: which it has, loading, unloading",
        version: env!("CARGO_PKG_VERSION"),
    };
    let (registry, own) = (registry.clone(), worker.to_owned());
    let on_request = move |asked| answer(registry.clone(), own.clone(), asked);
    bus.serve(about, Answers::Each(worker), &ENDPOINTS, on_request).await
}

async fn answer<L: Loader>(registry: Registry<L>, worker: String, asked: Asked) {
    // We answer with our own permissions: nobody may have us write where only we may.
    if let Some(Err(why)) = asked.reply_to().map(subjects::check_reply) {
        tracing::warn!(subject = asked.subject(), "a question is not answered: {why}");
        return;
    }
    let answer = match asked.subject() {
        subjects::MODELS_LIST => Ok(list(&registry).await),
        subjects::MODELS_LOAD => match model(&asked) {
            Ok(name) => Ok(load(&registry, &name).await),
            Err(refusal) => Err(refusal),
        },
        _ => model(&asked).map(|name| json!({"unloaded": names(&registry.unload(&name))})),
    };
    let told = answer.and_then(|mut answer| {
        answer["worker"] = worker.into();
        serde_json::to_vec(&answer).map_err(|e| Refusal::new(code::INTERNAL, e.to_string()))
    });
    asked.answer(told).await;
}

fn model(asked: &Asked) -> Result<ModelName, Refusal> {
    let refused = |e: &dyn std::fmt::Display| {
        Refusal::new(code::BAD_REQUEST, format!("{}: the request cannot be read: {e}", asked.subject()))
    };
    let question: Question = serde_json::from_slice(asked.body()).map_err(|e| refused(&e))?;
    question.model.parse().map_err(|e: String| refused(&e))
}

/// A failure is an answer like another: who asks several wants to know whose it is.
async fn load<L: Loader>(registry: &Registry<L>, name: &ModelName) -> Value {
    match registry.keep(name).await {
        Ok(loaded) => json!({
            "model": loaded.manifest.full_name().to_string(),
            "kind": loaded.manifest.kind_name(),
            "bytes": loaded.bytes,
            "took_ms": loaded.took_ms,
        }),
        Err(e) => json!({"error": error(&e)}),
    }
}

async fn list<L: Loader>(registry: &Registry<L>) -> Value {
    let (taken, budget) = registry.memory();
    let models: Vec<Value> = registry.status().iter().map(one).collect();
    let mut said = json!({"memory": {"bytes": taken, "budget_bytes": budget}, "models": models});
    match registry.catalogue().await {
        Ok(catalogue) => available(&mut said, &catalogue),
        Err(e) => said["error"] = error(&e),
    }
    said
}

fn available(said: &mut Value, catalogue: &Catalogue) {
    let entry = |entry: &Entry| match entry.place {
        Place::Folder(_) => json!({"model": entry.name.to_string(), "source": "folder"}),
        Place::Bucket { bytes } => {
            json!({"model": entry.name.to_string(), "source": "store", "bytes": bytes})
        }
    };
    let broken = catalogue.broken().iter().map(|b| json!({"folder": b.folder, "reason": b.reason}));
    said["available"] = catalogue.entries().iter().map(entry).collect();
    said["broken"] = broken.collect();
}

fn one(status: &Status) -> Value {
    json!({
        "model": status.name.to_string(),
        "state": status.state,
        "kind": status.kind,
        "bytes": status.bytes,
        "kept": status.kept,
        "current": status.current,
        "took_ms": status.took_ms,
    })
}

fn error(e: &MlError) -> Value {
    json!({"code": e.code().as_str(), "message": e.to_string()})
}

fn names(models: &[ModelName]) -> Vec<String> {
    models.iter().map(ToString::to_string).collect()
}
