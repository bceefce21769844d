//! `/v1/...` for any client of OpenAI's API.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body as HttpBody, to_bytes};
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use axum::routing::{any, get, post};
use bytes::Bytes;
use futures::stream;
use serde_json::json;
use tasklane_runtime::contract::id;
use tasklane_runtime::telemetry::TraceContext;
use tokio::net::TcpListener;

use crate::answers::{Answered, passed};
use crate::api_error::ApiError;
use crate::body::{BadBody, Body, Endpoint};
use crate::cache::{FromCache, Wish};
use crate::catalog::DEFAULT_TENANT;
use crate::config::ApiConfig;
use crate::gateway::{Ask, Gateway};
use crate::lanes;
use crate::pass::{PROVIDER, Passing};

/// The header with an answer's name.
const REQUEST_ID: &str = "x-request-id";
/// The header that says whether an answer was given before; `off` and `on` are a client's wish.
const CACHE: &str = "x-tasklane-cache";
/// As the official clients wait at most.
const PATIENCE: Duration = Duration::from_secs(600);

/// What the handlers share.
#[derive(Clone)]
struct Shared {
    gateway: Arc<Gateway>,
    config: Arc<ApiConfig>,
}

/// Serves until the process ends. Returns the address it listens on.
///
/// # Errors
/// Where the address is taken or not ours.
pub async fn serve(gateway: Arc<Gateway>, config: ApiConfig) -> std::io::Result<std::net::SocketAddr> {
    let listener = TcpListener::bind(&config.listen).await.map_err(|e| {
        std::io::Error::new(e.kind(), format!("cannot listen on {} (api.listen): {e}", config.listen))
    })?;
    let address = listener.local_addr()?;
    let threads = match config.threads {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        threads => threads,
    };
    lanes::serve(listener, &router(Shared { gateway, config: Arc::new(config) }), threads)?;
    Ok(address)
}

fn router(shared: Shared) -> Router {
    let call = |endpoint| {
        post(move |State(shared): State<Shared>, request: Request| async move {
            answer(call(&shared, endpoint, request).await)
        })
    };
    Router::new()
        .route("/v1/chat/completions", call(Endpoint::Chat))
        .route("/v1/responses", call(Endpoint::Responses))
        .route("/v1/embeddings", call(Endpoint::Embeddings))
        .route("/v1/moderations", call(Endpoint::Moderations))
        .route("/v1/responses/{*rest}", any(pass_on))
        .route("/v1/files", any(pass_on))
        .route("/v1/files/{*rest}", any(pass_on))
        .route("/v1/batches", any(pass_on))
        .route("/v1/batches/{*rest}", any(pass_on))
        .route("/v1/models", get(models))
        .route("/v1/models/{*id}", get(model))
        .fallback(|request: Request| async move {
            refuse(&ApiError::UnknownUrl(format!("{} {}", request.method(), request.uri().path())))
        })
        .with_state(shared)
}

async fn call(shared: &Shared, endpoint: Endpoint, request: Request) -> Result<Response, ApiError> {
    let begun = Instant::now();
    let (head, body) = request.into_parts();
    let tenant = tenant(shared, &head.headers)?;
    let most = shared.config.max_body_bytes;
    let bytes = to_bytes(body, most).await.map_err(|_| ApiError::TooLarge { max: most as u64 })?;
    let body = Body::read(endpoint, &bytes).map_err(bad)?;
    let header = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok());
    let trace = header("traceparent").and_then(|parent| TraceContext::parse(parent, header("tracestate")));
    let no_store = header("cache-control").is_some_and(|c| c.contains("no-store") || c.contains("no-cache"));
    let cache = if no_store { Wish::Off } else { Wish::read(header(CACHE)) };
    match shared
        .gateway
        .call(Ask { body, tenant, trace, patience: PATIENCE, waits: true, cache, within: None })
        .await?
    {
        Answered::Whole(whole) => {
            let mut response = Response::new(HttpBody::from(whole.body));
            *response.status_mut() = StatusCode::from_u16(whole.status).unwrap_or(StatusCode::BAD_GATEWAY);
            *response.headers_mut() = whole.headers;
            Ok(marked(response, &whole.model, whole.cache, begun))
        }
        Answered::Pieces(pieces) => {
            let (headers, model, cache) = (pieces.headers, pieces.model, pieces.cache);
            let pieces = stream::unfold(pieces.pieces, |mut pieces| async move {
                pieces.recv().await.map(|piece| (Ok::<Bytes, Infallible>(piece), pieces))
            });
            let mut response = Response::new(HttpBody::from_stream(pieces));
            *response.headers_mut() = headers;
            Ok(marked(response, &model, cache, begun))
        }
    }
}

/// What lies at a provider is the provider's to answer for.
async fn pass_on(State(shared): State<Shared>, request: Request) -> Response {
    answer(passed_on(&shared, request).await)
}

async fn passed_on(shared: &Shared, request: Request) -> Result<Response, ApiError> {
    let (head, body) = request.into_parts();
    let tenant = tenant(shared, &head.headers)?;
    let most = shared.config.max_body_bytes;
    let body = to_bytes(body, most).await.map_err(|_| ApiError::TooLarge { max: most as u64 })?;
    let path = head.uri.path_and_query().map_or("", |path| path.as_str());
    let path = path.strip_prefix("/v1").unwrap_or(path);
    let named = head.headers.get(PROVIDER).and_then(|value| value.to_str().ok());
    let passing = Passing { method: head.method.clone(), path, headers: &head.headers, body };
    let said = shared.gateway.pass(&tenant, named, passing).await?;
    let status = said.status();
    let headers = passed(said.headers());
    let pieces = stream::try_unfold(said, |mut said| async move {
        said.chunk().await.map(|piece| piece.map(|piece| (piece, said)))
    });
    let mut response = Response::new(HttpBody::from_stream(pieces));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    Ok(response)
}

/// Says which model answered, whether that was before, and how long it took.
fn marked(mut response: Response, model: &str, cache: FromCache, begun: Instant) -> Response {
    let headers = response.headers_mut();
    match cache {
        FromCache::NotAsked => {}
        FromCache::Missed => drop(headers.insert(CACHE, HeaderValue::from_static("miss"))),
        FromCache::Hit => drop(headers.insert(CACHE, HeaderValue::from_static("hit"))),
    }
    if let Ok(model) = HeaderValue::from_str(model) {
        headers.insert("x-tasklane-model", model);
    }
    if !headers.contains_key("openai-processing-ms")
        && let Ok(ms) = HeaderValue::from_str(&begun.elapsed().as_millis().to_string())
    {
        headers.insert("openai-processing-ms", ms);
    }
    response
}

/// Whose request it is, by its key.
fn tenant(shared: &Shared, headers: &HeaderMap) -> Result<String, ApiError> {
    let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let bearer = given.and_then(|text| text.strip_prefix("Bearer ")).map(str::trim);
    let catalog = shared.gateway.catalog();
    match bearer.and_then(|key| catalog.tenant_of_key(key)) {
        Some(tenant) => Ok(tenant.to_owned()),
        None if shared.config.anonymous => Ok(DEFAULT_TENANT.to_owned()),
        None => Err(ApiError::BadKey),
    }
}

fn bad(error: BadBody) -> ApiError {
    match error {
        BadBody::NotJson(why) => ApiError::BadJson(why),
        BadBody::Param { param, problem } => {
            ApiError::BadRequest { param: param.to_owned(), reason: problem }
        }
    }
}

async fn models(State(shared): State<Shared>, headers: HeaderMap) -> Response {
    answer(tenant(&shared, &headers).map(|name| {
        let catalog = shared.gateway.catalog();
        let tenant = catalog.tenant(&name);
        let list: Vec<_> =
            catalog.routes().filter(|r| tenant.allows(&r.alias)).map(|r| shown(&r.alias)).collect();
        json_answer(&json!({"object": "list", "data": list}))
    }))
}

async fn model(State(shared): State<Shared>, headers: HeaderMap, Path(id): Path<String>) -> Response {
    answer(tenant(&shared, &headers).and_then(|name| {
        let catalog = shared.gateway.catalog();
        let known = catalog.route(&id).filter(|_| catalog.tenant(&name).allows(&id));
        known.map(|route| json_answer(&shown(&route.alias))).ok_or(ApiError::UnknownModel(id))
    }))
}

fn shown(alias: &str) -> serde_json::Value {
    json!({"id": alias, "object": "model", "created": 0, "owned_by": "tasklane"})
}

fn json_answer(value: &serde_json::Value) -> Response {
    let mut response = Response::new(HttpBody::from(value.to_string()));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// Every answer has a name that client and log can be held together by; a provider's own stays.
fn answer(answer: Result<Response, ApiError>) -> Response {
    let mut response = answer.unwrap_or_else(|e| refuse(&e));
    let headers = response.headers_mut();
    if !headers.contains_key(REQUEST_ID)
        && let Ok(id) = HeaderValue::from_str(&format!("req_{}", id::fresh()))
    {
        headers.insert(REQUEST_ID, id);
    }
    response
}

fn refuse(error: &ApiError) -> Response {
    let said = error.answer();
    let mut response = Response::new(HttpBody::from(said.body));
    *response.status_mut() = StatusCode::from_u16(said.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in said.headers {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().insert(HeaderName::from_static(name), value);
        }
    }
    response
}
