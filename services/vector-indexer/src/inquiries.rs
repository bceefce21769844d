//! What an operator may ask every vector indexer over NATS, on `api.vectors.replicas`: which collections it has, and how far
//! it is with each. Every worker answers for itself. JSON out.

use serde_json::{Value, json};
use tasklane_runtime::bus::endpoint::{About, Answers, Asked, Service};
use tasklane_runtime::bus::{Bus, BusError};
use tasklane_runtime::contract::{Refusal, code, subjects};
use tokio::sync::watch;

use crate::log::Progress;
use crate::shelf::Shelf;

/// Name and subject of the endpoint.
const ENDPOINTS: [(&str, &str); 1] = [("vectors-replicas", subjects::VECTORS_REPLICAS)];

/// Answers in the name of `worker` until what it returns is dropped.
///
/// # Errors
/// Where NATS refuses.
pub async fn serve(
    bus: &Bus,
    shelf: &Shelf,
    progress: &watch::Receiver<Progress>,
    worker: &str,
) -> Result<Service, BusError> {
    let about = About {
        name: subjects::VECTORS_SERVICE,
        description: "Collections of one vector indexer, and how far it is with each",
        version: env!("CARGO_PKG_VERSION"),
    };
    let (shelf, progress, own) = (shelf.clone(), progress.clone(), worker.to_owned());
    let on_request = move |asked| answer(shelf.clone(), progress.clone(), own.clone(), asked);
    bus.serve(about, Answers::Each(worker), &ENDPOINTS, on_request).await
}

async fn answer(shelf: Shelf, progress: watch::Receiver<Progress>, worker: String, asked: Asked) {
    // We answer with our own permissions: nobody may have us write where only we may.
    if let Some(Err(why)) = asked.reply_to().map(subjects::check_reply) {
        tracing::warn!(subject = asked.subject(), "a question is not answered: {why}");
        return;
    }
    let said = told(&shelf, *progress.borrow(), &worker);
    asked.answer(serde_json::to_vec(&said).map_err(|e| Refusal::new(code::INTERNAL, e.to_string()))).await;
}

fn told(shelf: &Shelf, progress: Progress, worker: &str) -> Value {
    let mut collections: Vec<Value> = shelf
        .entries()
        .iter()
        .map(|entry| {
            let described = entry.collection.describe();
            json!({
                "collection": entry.name,
                "sequence": described.sequence,
                "durable": described.durable,
                "points": described.points,
                "segments": described.segments.len(),
                "memory_bytes": described.memory.total(),
                "trouble": described.trouble,
            })
        })
        .collect();
    collections.sort_by_key(|one| one["collection"].to_string());
    json!({
        "worker": worker,
        "position": progress.position,
        "behind": progress.pending,
        "caught_up": progress.caught_up,
        "collections": collections,
    })
}
