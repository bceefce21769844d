//! What people may ask over NATS, on `api.llm.>`: which models there are, what was used, what is left of the budgets. One
//! file for each. JSON in, JSON out; no key and no address of a provider is in an answer.

mod budgets;
mod models;
mod usage;

use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_json::Value;
use tasklane_runtime::bus::endpoint::{About, Answers, Asked, Service};
use tasklane_runtime::bus::{Bus, BusError};
use tasklane_runtime::contract::{Refusal, code, subjects};
use tokio::sync::Semaphore;

use crate::gateway::Gateway;
use crate::ledger::cas::CasError;

/// Name and subject of every endpoint.
const ENDPOINTS: [(&str, &str); 3] = [
    ("llm-models", subjects::LLM_MODELS),
    ("llm-usage", subjects::LLM_USAGE),
    ("llm-budgets", subjects::LLM_BUDGETS),
];

/// Questions that are answered at once: one may read thousands of sheets. The others wait.
const AT_ONCE: usize = 4;

/// Answers until what it returns is dropped. All replicas share the questions.
///
/// # Errors
/// Where NATS refuses.
pub async fn serve(bus: &Bus, gateway: &Arc<Gateway>) -> Result<Service, BusError> {
    let about = About {
        name: subjects::LLM_SERVICE,
        description: "Model calls: models, usage, budgets",
        version: env!("CARGO_PKG_VERSION"),
    };
    let (gateway, turns) = (Arc::clone(gateway), Arc::new(Semaphore::new(AT_ONCE)));
    bus.serve(about, Answers::One, &ENDPOINTS, move |asked| {
        answer(Arc::clone(&gateway), Arc::clone(&turns), asked)
    })
    .await
}

async fn answer(gateway: Arc<Gateway>, turns: Arc<Semaphore>, asked: Asked) {
    // We answer with our own permissions: nobody may have us write where only we may.
    if let Some(Err(why)) = asked.reply_to().map(subjects::check_reply) {
        tracing::warn!(subject = asked.subject(), "a question is not answered: {why}");
        return;
    }
    // It is never closed; and without a turn an answer is still better than none.
    let _turn = turns.acquire().await.ok();
    let answer = match asked.subject() {
        subjects::LLM_MODELS => {
            body::<models::Question>(&asked).map(|question| models::answer(&gateway, &question))
        }
        subjects::LLM_USAGE => match body(&asked) {
            Ok(question) => usage::answer(&gateway, question).await,
            Err(refusal) => Err(refusal),
        },
        _ => match body(&asked) {
            Ok(question) => budgets::answer(&gateway, &question).await,
            Err(refusal) => Err(refusal),
        },
    };
    asked.answer(answer.and_then(|value| json(&value))).await;
}

/// A question's body; an empty one is `{}`.
fn body<T: DeserializeOwned>(asked: &Asked) -> Result<T, Refusal> {
    let bytes: &[u8] = if asked.body().is_empty() { b"{}" } else { asked.body() };
    serde_json::from_slice(bytes).map_err(|e| {
        Refusal::new(code::BAD_REQUEST, format!("{}: the request cannot be read: {e}", asked.subject()))
    })
}

fn json(value: &Value) -> Result<Vec<u8>, Refusal> {
    serde_json::to_vec(value).map_err(|e| Refusal::new(code::INTERNAL, e.to_string()))
}

/// The ledger's trouble as an answer.
fn unread(e: &CasError) -> Refusal {
    let code = if matches!(e, CasError::Unreadable { .. }) { code::UNREADABLE } else { code::NATS };
    Refusal::new(code, e.to_string())
}
