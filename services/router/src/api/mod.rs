//! Request and reply on `api.>`: one file for each subject of conversation. JSON in, JSON out.

mod dead;
mod explain;
mod fleet;
mod run;
mod task;

use std::sync::Arc;

use serde::de::DeserializeOwned;
use tasklane_bus::BusError;
use tasklane_bus::endpoint::{About, Answers, Asked, Service};
use tasklane_contract::{Refusal, code, subjects};

use crate::state::Router;
use crate::watch::Ears;

/// Name and subject of every endpoint.
const ENDPOINTS: [(&str, &str); 11] = [
    ("run", "api.run.*"),
    ("task-get", "api.task.get"),
    ("task-cancel", "api.task.cancel"),
    ("route-explain", "api.route.explain"),
    ("dead-list", "api.dead.list"),
    ("dead-show", "api.dead.show"),
    ("dead-replay", "api.dead.replay"),
    ("workers", "api.workers"),
    ("lanes", "api.lanes"),
    ("pool-pause", "api.pool.pause"),
    ("pool-resume", "api.pool.resume"),
];

/// Starts the service.
///
/// # Errors
/// Where NATS refuses.
pub async fn serve(router: &Arc<Router>, _ears: &Arc<Ears>) -> Result<Service, BusError> {
    let router = Arc::clone(router);
    let bus = router.bus.clone();
    let about = About {
        name: subjects::SERVICE,
        description: "Tasklane: submit, look, cancel, explain, replay",
        version: env!("CARGO_PKG_VERSION"),
    };
    bus.serve(about, Answers::One, &ENDPOINTS, move |asked| answer(Arc::clone(&router), asked)).await
}

async fn answer(router: Arc<Router>, asked: Asked) {
    // We answer with our own permissions: nobody may have us write where only we may.
    if let Some(Err(why)) = asked.reply_to().map(subjects::check_reply) {
        tracing::warn!(subject = asked.subject(), "a request is not answered: {why}");
        return;
    }
    let answer = match asked.subject() {
        "api.task.get" => task::get(&router, &asked).await,
        "api.task.cancel" => task::cancel(&router, &asked).await,
        "api.route.explain" => explain::explain(&router, &asked),
        "api.dead.list" => dead::list(&router, &asked).await,
        "api.dead.show" => dead::show(&router, &asked).await,
        "api.dead.replay" => dead::replay(&router, &asked).await,
        "api.workers" => fleet::workers(&router),
        "api.lanes" => fleet::lanes(&router).await,
        "api.pool.pause" => fleet::pause(&router, &asked, true).await,
        "api.pool.resume" => fleet::pause(&router, &asked, false).await,
        // The worker answers when the task is done; only a refusal is answered here.
        _ => match run::run(&router, &asked).await {
            Ok(()) => return,
            Err(refusal) => Err(refusal),
        },
    };
    asked.answer(answer).await;
}

/// A request's body; an empty one is `{}`.
fn body<T: DeserializeOwned>(asked: &Asked) -> Result<T, Refusal> {
    let bytes: &[u8] = if asked.body().is_empty() { b"{}" } else { asked.body() };
    serde_json::from_slice(bytes).map_err(|e| {
        Refusal::new(code::BAD_REQUEST, format!("{}: the request cannot be read: {e}", asked.subject()))
    })
}

/// An answer as JSON.
fn json(value: &serde_json::Value) -> Result<Vec<u8>, Refusal> {
    serde_json::to_vec(value).map_err(|e| Refusal::new(code::INTERNAL, e.to_string()))
}

/// An error of the bus as an answer.
fn refused(e: &BusError) -> Refusal {
    Refusal::new(e.code(), e.to_string())
}
