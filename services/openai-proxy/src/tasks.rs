//! `llm_chat` and `llm_embed`: calls as tasks. The payload is the body that OpenAI's API takes, the result the body that
//! it answers.

use std::sync::Arc;

use serde_json::{Value, json};
use tasklane_runtime::contract::{Code, code, v1};
use tasklane_runtime::{Ctx, Output, Payload, TaskError, TaskType};

use crate::answers::{Answered, Whole};
use crate::api_error::{ApiError, UpstreamError};
use crate::body::{Body, Endpoint};
use crate::gateway::{Ask, Gateway};
use crate::retry::{Class, Failure, classify};
use crate::{CAPABILITY, WORKER_TYPE};

/// A provider refused the request: it is refused again.
pub const REFUSED: Code = Code::new("TL2320");
/// A provider failed: another attempt may succeed.
pub const FAILED: Code = Code::new("TL3320");

/// The task types.
pub fn all(gateway: &Arc<Gateway>) -> [TaskType; 2] {
    let chat = "Asks a model, as OpenAI's /v1/chat/completions does";
    let embed = "Turns text into vectors, as OpenAI's /v1/embeddings does";
    [
        one(gateway, "llm_chat", chat, Endpoint::Chat)
            .schema(&schema("messages", &json!({"type": "array", "minItems": 1}))),
        one(gateway, "llm_embed", embed, Endpoint::Embeddings)
            .schema(&schema("input", &json!({"type": ["string", "array"]}))),
    ]
}

/// What every provider takes is more than a schema could list: only what we need is asked for.
fn schema(field: &str, of: &Value) -> Value {
    json!({
        "type": "object",
        "required": ["model", field],
        "properties": {
            "model": {"type": "string", "minLength": 1, "description": "a route or a model of the providers' file"},
            field: of,
            "stream": {"const": false, "description": "a task has one result; streams are for HTTP clients"}
        }
    })
}

fn one(gateway: &Arc<Gateway>, name: &str, description: &str, endpoint: Endpoint) -> TaskType {
    let gateway = Arc::clone(gateway);
    let rule = v1::Rule {
        required_capabilities: vec![CAPABILITY.to_owned()],
        preferred_worker_type: WORKER_TYPE.to_owned(),
        max_processing_time_ms: 600_000,
        max_attempts: 5,
        ..v1::Rule::default()
    };
    TaskType::new(name, description, move |ctx: Ctx, payload: Payload| {
        let gateway = Arc::clone(&gateway);
        async move {
            let body = Body::read(endpoint, &payload.bytes)
                .map_err(|e| TaskError::failed(code::WRONG_TYPE, e.to_string()))?;
            let ask = Ask {
                body,
                tenant: ctx.tenant().to_owned(),
                trace: ctx.trace().cloned(),
                patience: ctx.remaining(),
            };
            match gateway.call(ask).await.map_err(|e| task_error(&e))? {
                Answered::Whole(whole) => result(whole),
                Answered::Pieces(_) => {
                    Err(TaskError::failed(code::WRONG_TYPE, "`stream` cannot be true in a task"))
                }
            }
        }
    })
    .rule(rule)
}

/// The provider's answer, or its refusal.
fn result(whole: Whole) -> Result<Output, TaskError> {
    if (200..300).contains(&whole.status) {
        return Ok(Output::raw(whole.body, ""));
    }
    let said = UpstreamError::read(&whole.body);
    let code = said.code.or(said.kind);
    let text = format!(
        "the provider of `{}` answered with status {}: {}",
        whole.model,
        whole.status,
        said.message.unwrap_or_default()
    );
    match classify(&Failure::Status { status: whole.status, code: code.as_deref() }) {
        Class::Request => Err(TaskError::failed(REFUSED, text)),
        _ => Err(TaskError::retry(FAILED, text)),
    }
}

/// A refusal of ours. What time heals is tried again when it has: the task waits in a schedule, not here.
fn task_error(error: &ApiError) -> TaskError {
    let (code, text) = (Code::new(error.code()), error.to_string());
    match error {
        ApiError::RateLimited { retry_in, .. } | ApiError::UpstreamDown { retry_in: Some(retry_in), .. } => {
            TaskError::retry_after(code, text, *retry_in)
        }
        ApiError::UpstreamDown { .. }
        | ApiError::Timeout { .. }
        | ApiError::BadUpstream { .. }
        | ApiError::Busy => TaskError::retry(code, text),
        _ => TaskError::failed(code, text),
    }
}
