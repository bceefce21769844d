//! The JSON of the public edge: submissions in, results and dead letters out. Unknown fields are refused by name.

use std::borrow::Cow;
use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tasklane_domain::priority::Priority;
use tasklane_domain::requirements::Requirements;

use crate::{Code, Refusal, code, headers, time, v1};

/// A submission as JSON writes it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TaskJson<'a> {
    #[serde(default, borrow)]
    id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    task_type: Cow<'a, str>,
    #[serde(default, borrow)]
    payload: Option<&'a RawValue>,
    #[serde(default, borrow)]
    payload_ref: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    content_type: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    priority: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    tenant: Option<Cow<'a, str>>,
    #[serde(default)]
    labels: Option<BTreeMap<String, String>>,
    #[serde(default, borrow)]
    created_at: Option<Cow<'a, str>>,
    #[serde(default)]
    requirements: Option<Requirements>,
    #[serde(default)]
    retry: Option<RetryJson>,
    #[serde(default, borrow)]
    not_before: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    deadline: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RetryJson {
    #[serde(default)]
    max_attempts: u32,
}

/// Reads a submission. The payload is a slice of `body`: it is not copied, and not looked into.
pub fn decode_task(body: &Bytes) -> Result<v1::Task, Refusal> {
    let task: TaskJson<'_> = serde_json::from_slice(body).map_err(|e| refuse(&e))?;
    let (payload, content_type) = payload_of(body, &task)?;
    Ok(v1::Task {
        id: task.id.unwrap_or_default().into_owned(),
        task_type: task.task_type.into_owned(),
        payload,
        content_type,
        payload_ref: task.payload_ref.unwrap_or_default().into_owned(),
        priority: task.priority.map_or(Ok(v1::Priority::Unspecified), |p| parse_priority(&p))?.into(),
        tenant: task.tenant.unwrap_or_default().into_owned(),
        labels: task.labels.unwrap_or_default(),
        created_at_us: parse_time("created_at", task.created_at.as_deref())?,
        requirements: task.requirements.map(given).transpose()?,
        retry: task.retry.map(|r| v1::Retry { max_attempts: r.max_attempts }),
        not_before_us: parse_time("not_before", task.not_before.as_deref())?,
        deadline_us: parse_time("deadline", task.deadline.as_deref())?,
    })
}

/// On the wire 0 means "not given"; written out in JSON it is a mistake, and shall not pass silently.
fn given(requirements: Requirements) -> Result<v1::Requirements, Refusal> {
    let zero = [
        ("max_processing_time_ms", requirements.max_processing_time_ms),
        ("memory_requirement_mb", requirements.memory_requirement_mb),
    ];
    match zero.iter().find(|(_, value)| *value == Some(0)) {
        Some((field, _)) => Err(Refusal::new(
            code::BAD_REQUIREMENTS,
            format!("`requirements.{field}` is 0; leave it out where nothing is asked for"),
        )),
        None => Ok(to_wire_requirements(requirements)),
    }
}

/// JSON stays as it was written; with another content type the payload is a base64 string.
fn payload_of(body: &Bytes, task: &TaskJson<'_>) -> Result<(Bytes, String), Refusal> {
    let content_type = task.content_type.as_deref().unwrap_or_default();
    let reference = task.payload_ref.as_deref().unwrap_or_default();
    let Some(raw) = task.payload else {
        if reference.is_empty() {
            return Err(Refusal::new(
                code::MISSING_FIELD,
                "the task has no `payload`; give one, or `payload_ref` with the name of an object",
            ));
        }
        return Ok((Bytes::new(), content_type.to_owned()));
    };
    if !reference.is_empty() {
        return Err(Refusal::new(
            code::BAD_REFERENCE,
            "the task has both `payload` and `payload_ref`; give one of them",
        ));
    }
    if headers::is_json(content_type) {
        return Ok((body.slice_ref(raw.get().as_bytes()), content_type.to_owned()));
    }
    let text: String = serde_json::from_str(raw.get()).map_err(|_| {
        Refusal::new(
            code::WRONG_TYPE,
            format!("`payload` must be a base64 string where `content_type` is \"{content_type}\""),
        )
    })?;
    let bytes = BASE64
        .decode(text)
        .map_err(|e| Refusal::new(code::WRONG_TYPE, format!("`payload` is not base64: {e}")))?;
    Ok((bytes.into(), content_type.to_owned()))
}

/// The priority of a name or of a lane's number.
pub fn parse_priority(text: &str) -> Result<v1::Priority, Refusal> {
    Priority::parse(&text.to_ascii_lowercase()).map(to_wire_priority).map_err(|_| {
        Refusal::new(
            code::WRONG_TYPE,
            format!("`priority` is \"{text}\"; it is one of critical, high, normal, low"),
        )
    })
}

fn parse_time(field: &str, text: Option<&str>) -> Result<i64, Refusal> {
    text.map_or(Ok(0), |text| {
        time::parse_rfc3339(text).map_err(|e| Refusal::new(code::BAD_TIME, format!("`{field}`: {e}")))
    })
}

/// The wire's number for a priority.
pub fn to_wire_priority(priority: Priority) -> v1::Priority {
    match priority {
        Priority::Critical => v1::Priority::Critical,
        Priority::High => v1::Priority::High,
        Priority::Normal => v1::Priority::Normal,
        Priority::Low => v1::Priority::Low,
    }
}

/// The priority of the wire's number; what is not given or not known is normal.
pub fn to_priority(wire: i32) -> Priority {
    match v1::Priority::try_from(wire) {
        Ok(v1::Priority::Critical) => Priority::Critical,
        Ok(v1::Priority::High) => Priority::High,
        Ok(v1::Priority::Low) => Priority::Low,
        _ => Priority::Normal,
    }
}

/// Requirements as protobuf says them: 0 and empty mean "not given".
pub fn to_wire_requirements(r: Requirements) -> v1::Requirements {
    v1::Requirements {
        required_capabilities: r.required_capabilities,
        preferred_worker_type: r.preferred_worker_type.unwrap_or_default(),
        max_processing_time_ms: r.max_processing_time_ms.unwrap_or_default(),
        memory_requirement_mb: r.memory_requirement_mb.unwrap_or_default(),
    }
}

/// Requirements as the domain says them.
pub fn to_requirements(r: &v1::Requirements) -> Requirements {
    Requirements {
        required_capabilities: r.required_capabilities.clone(),
        preferred_worker_type: Some(r.preferred_worker_type.clone()).filter(|t| !t.is_empty()),
        max_processing_time_ms: Some(r.max_processing_time_ms).filter(|ms| *ms > 0),
        memory_requirement_mb: Some(r.memory_requirement_mb).filter(|mb| *mb > 0),
    }
}

/// Sorts a serde error into our codes; serde's own text already names the place.
pub fn refuse(error: &serde_json::Error) -> Refusal {
    use serde_json::error::Category;
    let text = error.to_string();
    let which: Code = match error.classify() {
        Category::Syntax | Category::Eof | Category::Io => code::NOT_JSON,
        Category::Data if text.starts_with("unknown field") => code::UNKNOWN_FIELD,
        Category::Data if text.starts_with("missing field") => code::MISSING_FIELD,
        Category::Data => code::WRONG_TYPE,
    };
    let lead = if which == code::NOT_JSON { "the body is not JSON: " } else { "the task cannot be read: " };
    Refusal::new(which, format!("{lead}{text}"))
}

/// Bytes as JSON: as they are where they are JSON, else as base64.
#[derive(Serialize)]
#[serde(untagged)]
enum Body<'a> {
    Json(&'a RawValue),
    Base64(String),
}

impl<'a> Body<'a> {
    fn of(bytes: &'a [u8], content_type: &str) -> Option<Self> {
        if bytes.is_empty() {
            return None;
        }
        if headers::is_json(content_type)
            && let Ok(raw) = serde_json::from_slice::<&RawValue>(bytes)
        {
            return Some(Self::Json(raw));
        }
        Some(Self::Base64(BASE64.encode(bytes)))
    }
}

#[derive(Serialize)]
struct ErrorJson<'a> {
    code: &'a str,
    message: &'a str,
    retriable: bool,
}

#[derive(Serialize)]
struct AttemptJson<'a> {
    n: u32,
    worker: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    pool: &'a str,
    started_at: Option<String>,
    duration_ms: f64,
    outcome: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorJson<'a>>,
}

#[derive(Serialize)]
struct CandidateJson<'a> {
    pool: &'a str,
    score: f64,
    eligible: bool,
    why: &'a str,
}

#[derive(Serialize)]
struct RouteJson<'a> {
    pool: &'a str,
    score: f64,
    reason: &'a str,
    candidates: Vec<CandidateJson<'a>>,
}

#[derive(Serialize)]
struct TimingsJson {
    submitted_at: Option<String>,
    routed_at: Option<String>,
    finished_at: Option<String>,
    queue_wait_ms: f64,
    processing_ms: f64,
}

#[derive(Serialize)]
struct ResultJson<'a> {
    task_id: &'a str,
    task_type: &'a str,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<Body<'a>>,
    #[serde(skip_serializing_if = "str::is_empty")]
    content_type: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    result_ref: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorJson<'a>>,
    attempts: Vec<AttemptJson<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    route: Option<RouteJson<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timings: Option<TimingsJson>,
    #[serde(skip_serializing_if = "str::is_empty")]
    trace_id: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    tenant: &'a str,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    labels: &'a BTreeMap<String, String>,
}

fn error_json(e: &v1::TaskError) -> ErrorJson<'_> {
    ErrorJson { code: &e.code, message: &e.message, retriable: e.retriable }
}

fn attempt_json(a: &v1::Attempt) -> AttemptJson<'_> {
    AttemptJson {
        n: a.n,
        worker: &a.worker,
        pool: &a.pool,
        started_at: time::to_rfc3339(a.started_at_us),
        duration_ms: a.duration_ms,
        outcome: &a.outcome,
        error: a.error.as_ref().map(error_json),
    }
}

fn route_json(r: &v1::Route) -> RouteJson<'_> {
    let candidates = r
        .candidates
        .iter()
        .map(|c| CandidateJson { pool: &c.pool, score: c.score, eligible: c.eligible, why: &c.why })
        .collect();
    RouteJson { pool: &r.pool, score: r.score, reason: &r.reason, candidates }
}

/// The name of a result's status, as JSON says it.
pub fn status_name(status: i32) -> &'static str {
    match v1::Status::try_from(status) {
        Ok(v1::Status::Succeeded) => "succeeded",
        Ok(v1::Status::Failed) => "failed",
        Ok(v1::Status::Cancelled) => "cancelled",
        Ok(v1::Status::Expired) => "expired",
        _ => "unspecified",
    }
}

/// A result as the public edge writes it.
pub fn encode_result(r: &v1::TaskResult) -> Vec<u8> {
    let json = ResultJson {
        task_id: &r.task_id,
        task_type: &r.task_type,
        status: status_name(r.status),
        result: Body::of(&r.result, &r.content_type),
        content_type: if headers::is_json(&r.content_type) { "" } else { &r.content_type },
        result_ref: &r.result_ref,
        error: r.error.as_ref().map(error_json),
        attempts: r.attempts.iter().map(attempt_json).collect(),
        route: r.route.as_ref().map(route_json),
        timings: r.timings.as_ref().map(|t| TimingsJson {
            submitted_at: time::to_rfc3339(t.submitted_at_us),
            routed_at: time::to_rfc3339(t.routed_at_us),
            finished_at: time::to_rfc3339(t.finished_at_us),
            queue_wait_ms: t.queue_wait_ms,
            processing_ms: t.processing_ms,
        }),
        trace_id: &r.trace_id,
        tenant: &r.tenant,
        labels: &r.labels,
    };
    to_vec(&json)
}

/// A route decision as `api.route.explain` answers it.
pub fn encode_route(route: &v1::Route, needs: &v1::Requirements) -> Vec<u8> {
    #[derive(Serialize)]
    struct Explanation<'a> {
        needs: Requirements,
        route: RouteJson<'a>,
    }
    to_vec(&Explanation { needs: to_requirements(needs), route: route_json(route) })
}

/// A dead letter with its place in the stream, as `api.dead.list` shows it; `raw` is text where it is UTF-8.
pub fn encode_dead(sequence: u64, d: &v1::DeadLetter) -> serde_json::Value {
    let task = d.story.as_ref().and_then(|s| s.task.as_ref());
    let attempts: Vec<_> = d.story.iter().flat_map(|s| &s.attempts).map(attempt_json).collect();
    serde_json::json!({
        "sequence": sequence,
        "task_id": task.map(|t| &t.id),
        "task_type": task.map(|t| &t.task_type),
        "tenant": task.map(|t| &t.tenant),
        "payload": task.and_then(|t| Body::of(&t.payload, &t.content_type)),
        "error": d.error.as_ref().map(error_json),
        "attempts": attempts,
        "route": d.story.as_ref().and_then(|s| s.route.as_ref()).map(route_json),
        "subject": d.subject,
        "died_at": time::to_rfc3339(d.died_at_us),
        "raw": if d.raw.is_empty() { None } else { Some(String::from_utf8_lossy(&d.raw)) },
        "replayable": task.is_some(),
    })
}

/// Strings, numbers and sequences of our own types: serde_json cannot fail on them. If it ever did, the reader gets
/// an object that says so rather than a panic in a worker.
fn to_vec<T: Serialize>(value: &T) -> Vec<u8> {
    serde_json::to_vec(value)
        .unwrap_or_else(|e| format!(r#"{{"error":{{"code":"TL9001","message":"{e}"}}}}"#).into_bytes())
}
