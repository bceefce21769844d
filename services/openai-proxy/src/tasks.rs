//! `llm_chat` and `llm_embed`: calls as tasks. The payload is the body that OpenAI's API takes, the result the body that
//! it answers.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tasklane_runtime::contract::{Code, code, v1};
use tasklane_runtime::{Ctx, Output, Payload, TaskError, TaskType};

use crate::answers::{Answered, Pieces, Whole};
use crate::api_error::{ApiError, UpstreamError};
use crate::assemble::{Assembly, Broken};
use crate::body::{Body, Endpoint};
use crate::books::now_ms;
use crate::cache::Wish;
use crate::catalog::WhenSpent;
use crate::gateway::{Ask, Gateway};
use crate::retry::{Class, Failure, Hints, classify};
use crate::sse::Event;
use crate::{CAPABILITY, WORKER_TYPE};

/// A provider refused the request: it is refused again.
pub const REFUSED: Code = Code::new("TL2320");
/// A provider failed: another attempt may succeed.
pub const FAILED: Code = Code::new("TL3320");

/// The label with which a task says what it wishes of the cache: `off` or `on`.
pub const CACHE_LABEL: &str = "llm_cache";

/// The task types.
pub fn all(gateway: &Arc<Gateway>) -> [TaskType; 2] {
    let chat = "Asks a model, as OpenAI's /v1/chat/completions does";
    let embed = "Turns text into vectors, as OpenAI's /v1/embeddings does";
    let stream =
        json!({"type": "boolean", "description": "tells of new text as events `chunk`; the result is whole"});
    let never = json!({"const": false, "description": "vectors come whole"});
    [
        one(gateway, "llm_chat", chat, Endpoint::Chat).schema(&schema(
            "messages",
            &json!({"type": "array", "minItems": 1}),
            &stream,
        )),
        one(gateway, "llm_embed", embed, Endpoint::Embeddings).schema(&schema(
            "input",
            &json!({"type": ["string", "array"]}),
            &never,
        )),
    ]
}

/// What every provider takes is more than a schema could list: only what we need is asked for.
fn schema(field: &str, of: &Value, stream: &Value) -> Value {
    json!({
        "type": "object",
        "required": ["model", field],
        "properties": {
            "model": {"type": "string", "minLength": 1, "description": "a route or a model of the providers' file"},
            field: of,
            "stream": stream
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
        async move { run(&gateway, &ctx, endpoint, &payload).await }
    })
    .rule(rule)
}

async fn run(
    gateway: &Gateway,
    ctx: &Ctx,
    endpoint: Endpoint,
    payload: &Payload,
) -> Result<Output, TaskError> {
    let mut body = Body::read(endpoint, &payload.bytes)
        .map_err(|e| TaskError::failed(code::WRONG_TYPE, e.to_string()))?;
    if body.stream {
        body.ask_for_usage();
    }
    match call(gateway, ctx, body).await? {
        Answered::Whole(whole) => accepted(whole).map(|whole| Output::raw(whole.body, "")),
        Answered::Pieces(pieces) => told(ctx, pieces, gateway.most()).await,
    }
}

/// Makes a call on behalf of a task: in its tenant's name, in its trace, in its time.
///
/// # Errors
/// Why there is no answer, and whether the task may come again, and when.
pub async fn call(gateway: &Gateway, ctx: &Ctx, body: Body) -> Result<Answered, TaskError> {
    let ask = Ask {
        body,
        tenant: ctx.tenant().to_owned(),
        trace: ctx.trace().cloned(),
        patience: ctx.remaining(),
        waits: false,
        cache: wish(ctx),
        within: None,
    };
    gateway.call(ask).await.map_err(|e| task_error(&e, queues(gateway, ctx)))
}

/// What a task wishes of the cache.
pub fn wish(ctx: &Ctx) -> Wish {
    Wish::read(ctx.labels().get(CACHE_LABEL).map(String::as_str))
}

/// Whether the task's tenant wants to wait for its budget.
pub fn queues(gateway: &Gateway, ctx: &Ctx) -> bool {
    gateway.catalog().tenant(ctx.tenant()).when_spent == WhenSpent::Queue
}

/// Tells of new text as it comes, as events `chunk`, and returns the whole. A listener who sees a higher `attempt` forgets
/// what came before.
async fn told(ctx: &Ctx, mut pieces: Pieces, most: usize) -> Result<Output, TaskError> {
    let mut assembly = Assembly::new(most);
    while let Some(raw) = pieces.pieces.recv().await {
        let event = Event { raw, complete: true };
        let Some(data) = event.data().filter(|_| !event.is_done()) else { continue };
        for new in assembly.add(&data).map_err(|e| broken(&e))? {
            let body = json!({"text": new.text, "choice": new.choice, "attempt": ctx.attempt()});
            ctx.event("chunk", &body).await;
        }
    }
    Output::json(&assembly.finish().map_err(|e| broken(&e))?)
}

fn broken(error: &Broken) -> TaskError {
    match error {
        Broken::TooLarge(_) => TaskError::failed(REFUSED, error.to_string()),
        _ => TaskError::retry(FAILED, error.to_string()),
    }
}

/// The provider's answer, or its refusal.
///
/// # Errors
/// What the provider's error comes to for a task.
pub fn accepted(whole: Whole) -> Result<Whole, TaskError> {
    if (200..300).contains(&whole.status) {
        return Ok(whole);
    }
    let said = UpstreamError::read(&whole.body);
    let code = said.code.or(said.kind);
    let text = format!(
        "the provider of `{}` answered with status {}: {}",
        whole.model,
        whole.status,
        said.message.unwrap_or_default()
    );
    let header = |name: &str| whole.headers.get(name).and_then(|value| value.to_str().ok());
    Err(match classify(&Failure::Status { status: whole.status, code: code.as_deref() }) {
        Class::Request => TaskError::failed(REFUSED, text),
        // It said when it has room again: that is nobody's failure.
        _ => match Hints::read(header, now_ms()).retry_after.filter(|_| matches!(whole.status, 429 | 503)) {
            Some(after) => TaskError::put_off(FAILED, text, after),
            None => TaskError::retry(FAILED, text),
        },
    })
}

/// A refusal of ours. What time heals is tried again when it has: the task waits in a schedule, not here, and no attempt
/// is lost by it. `queues` says that the tenant wants to wait for its budget.
pub fn task_error(error: &ApiError, queues: bool) -> TaskError {
    let (code, text) = (Code::new(error.code()), error.to_string());
    let put_off = |after: Duration| TaskError::put_off(code, text.clone(), after);
    match error {
        ApiError::RateLimited { retry_in, .. } | ApiError::UpstreamDown { retry_in: Some(retry_in), .. } => {
            put_off(*retry_in)
        }
        ApiError::OutOfBudget { opens_in, .. } if queues => put_off(*opens_in),
        ApiError::UpstreamDown { .. }
        | ApiError::Timeout { .. }
        | ApiError::BadUpstream { .. }
        | ApiError::Busy => TaskError::retry(code, text),
        _ => TaskError::failed(code, text),
    }
}
