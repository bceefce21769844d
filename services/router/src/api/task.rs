//! `api.task.get` and `api.task.cancel`.

use serde::Deserialize;
use tasklane_bus::BusError;
use tasklane_bus::endpoint::Asked;
use tasklane_bus::inspect::StoredMessage;
use tasklane_contract::{Message as _, Refusal, code, headers, json, streams, subjects, v1};
use tasklane_domain::name;

use super::{body, json as to_json, refused};
use crate::end;
use crate::state::Router;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Named {
    id: String,
}

fn named(asked: &Asked) -> Result<Named, Refusal> {
    let named: Named = body(asked)?;
    name::check_task_id(&named.id).map_err(|e| Refusal::new(code::BAD_ID, e.to_string()))?;
    Ok(named)
}

async fn stored(router: &Router, id: &str) -> Result<Option<StoredMessage>, Refusal> {
    match router.bus.last_on(streams::RESULTS, &subjects::result(id)).await {
        Ok(stored) => Ok(Some(stored)),
        Err(BusError::NotFound(_)) => Ok(None),
        Err(e) => Err(refused(&e)),
    }
}

/// A stored result as JSON, whatever it is stored as.
fn as_json(stored: &StoredMessage) -> Result<Vec<u8>, Refusal> {
    if !headers::is_protobuf(stored.headers.get(headers::CONTENT_TYPE).unwrap_or_default()) {
        return Ok(stored.body.to_vec());
    }
    v1::TaskResult::decode(stored.body.clone())
        .map(|result| json::encode_result(&result))
        .map_err(|e| Refusal::new(code::UNREADABLE, format!("the stored result cannot be read: {e}")))
}

/// The result.
///
/// # Errors
/// TL1021 where there is none yet.
pub async fn get(router: &Router, asked: &Asked) -> Result<Vec<u8>, Refusal> {
    let id = named(asked)?.id;
    match stored(router, &id).await? {
        Some(stored) => as_json(&stored),
        None => Err(Refusal::new(
            code::NOT_FOUND,
            format!(
                "there is no result of {id}: the task is not finished, or unknown, or its result is past its age"
            ),
        )),
    }
}

/// Marks the task as cancelled. Whoever holds it, or gets it next, ends it with a result. One that waits for its time
/// ends here: that may be long after the mark is forgotten.
///
/// # Errors
/// Where NATS does not answer.
pub async fn cancel(router: &Router, asked: &Asked) -> Result<Vec<u8>, Refusal> {
    let id = named(asked)?.id;
    if let Some(stored) = stored(router, &id).await? {
        let result: serde_json::Value = serde_json::from_slice(&as_json(&stored)?)
            .map_err(|e| Refusal::new(code::UNREADABLE, e.to_string()))?;
        return to_json(&serde_json::json!({"id": id, "cancelled": false, "status": result["status"]}));
    }
    let bucket = router.bus.bucket(streams::CANCELLED).await.map_err(|e| refused(&e))?;
    bucket.put(&id, bytes::Bytes::new()).await.map_err(|e| refused(&e))?;
    end::scheduled(router, &id).await.map_err(|e| refused(&e))?;
    to_json(&serde_json::json!({"id": id, "cancelled": true}))
}
