//! Reading a submission: from a stored message on `tasks.submit` or `tasks.submit.<task type>` to a task, or to a
//! refusal with an id to answer to.

use std::borrow::Cow;

use bytes::Bytes;
use prost::Message as _;
use serde_json::value::RawValue;
use tasklane_domain::{name, requirements};

use crate::{Refusal, code, headers, id, json, subjects, v1};

/// A message as it came, and where it is stored.
pub struct Incoming<'a> {
    /// `tasks.submit` or `tasks.submit.<task type>`.
    pub subject: &'a str,
    /// Looks a header up.
    pub header: &'a dyn Fn(&str) -> Option<String>,
    /// The body.
    pub body: &'a Bytes,
    /// The stream's name.
    pub stream: &'a str,
    /// Its place in the stream.
    pub sequence: u64,
    /// When the stream stored it.
    pub stored_at_us: i64,
}

/// What the edge admits.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Bytes of a body; more goes through the object store.
    pub max_body_bytes: usize,
    /// Levels of nested arrays and objects.
    pub max_depth: usize,
    /// Labels on a task, and bytes of each key and value.
    pub max_labels: usize,
    /// Bounds of the requirements.
    pub requirements: requirements::Limits,
    /// Attempts that a publisher may ask for.
    pub max_attempts: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_body_bytes: 1 << 20,
            max_depth: 64,
            max_labels: 64,
            requirements: requirements::Limits::default(),
            max_attempts: 100,
        }
    }
}

/// A submission that can be routed: every name in it is checked and in its normal form.
#[derive(Debug, Clone, PartialEq)]
pub struct Submission {
    /// The task, with an id.
    pub task: v1::Task,
    /// How the result will be written.
    pub encoding: v1::Encoding,
    /// Where the result goes besides `results.<task id>`; empty: nowhere.
    pub reply_to: String,
}

/// A submission that cannot be routed, and whom to tell.
#[derive(Debug, Clone, PartialEq)]
pub struct Rejected {
    /// Why.
    pub refusal: Refusal,
    /// The id that the result goes to.
    pub task_id: String,
    /// The task type, as far as it could be read.
    pub task_type: String,
    /// How the result is written.
    pub encoding: v1::Encoding,
    /// Where the result goes besides `results.<task id>`; empty: nowhere.
    pub reply_to: String,
}

/// Reads and checks a submission. Never panics, whatever the bytes.
///
/// # Errors
/// [`Rejected`], with the code and text for the publisher.
pub fn read(incoming: &Incoming<'_>, limits: &Limits) -> Result<Submission, Box<Rejected>> {
    let content_type = (incoming.header)(headers::CONTENT_TYPE).unwrap_or_default();
    let encoding =
        if headers::is_protobuf(&content_type) { v1::Encoding::Protobuf } else { v1::Encoding::Json };
    let (reply_to, may_reply) = reply_to(incoming);
    let given_id = (incoming.header)(headers::MSG_ID).filter(|id| name::check_task_id(id).is_ok());
    let own_id = || id::of_stored(incoming.stream, incoming.sequence, incoming.stored_at_us);
    let mut named = (String::new(), String::new());
    let task = body(incoming, &content_type, limits).and_then(|task| {
        named = (task.id.clone(), task.task_type.clone());
        may_reply.and_then(|()| check(task, limits))
    });
    match task {
        Ok(mut task) => {
            if task.id.is_empty() {
                task.id = given_id.unwrap_or_else(own_id);
            }
            Ok(Submission { task, encoding, reply_to })
        }
        Err(refusal) => {
            let (named_id, task_type) = named;
            let own = Some(named_id).filter(|id| name::check_task_id(id).is_ok());
            let task_id = own.or(given_id).unwrap_or_else(own_id);
            Err(Box::new(Rejected { refusal, task_id, task_type, encoding, reply_to }))
        }
    }
}

/// Where the result goes as well; nowhere, and why, where that may not be.
fn reply_to(incoming: &Incoming<'_>) -> (String, Result<(), Refusal>) {
    match (incoming.header)(headers::REPLY_TO) {
        None => (String::new(), Ok(())),
        Some(subject) => match subjects::check_reply(&subject) {
            Ok(()) => (subject, Ok(())),
            Err(why) => {
                let text = format!("header `{}`: {why}", headers::REPLY_TO);
                (String::new(), Err(Refusal::new(code::BAD_REPLY, text)))
            }
        },
    }
}

fn body(incoming: &Incoming<'_>, content_type: &str, limits: &Limits) -> Result<v1::Task, Refusal> {
    let size = incoming.body.len();
    if size > limits.max_body_bytes {
        return Err(Refusal::new(
            code::TOO_LARGE,
            format!(
                "the body has {size} bytes and {} are allowed; put the payload into the object store `payloads` and \
                 give its name in `payload_ref` (`tasklane submit` does so by itself)",
                limits.max_body_bytes
            ),
        ));
    }
    match incoming.subject.strip_prefix(subjects::SUBMIT_PREFIX) {
        Some(task_type) => bare(incoming, task_type, content_type, limits),
        None if headers::is_protobuf(content_type) => v1::Task::decode(incoming.body.clone()).map_err(|e| {
            Refusal::new(code::NOT_PROTOBUF, format!("the body is not a tasklane.v1.Task: {e}"))
        }),
        None => {
            check_json(incoming.body, limits)?;
            json::decode_task(incoming.body)
        }
    }
}

/// The body is the payload; the rest comes from headers.
fn bare(
    incoming: &Incoming<'_>,
    task_type: &str,
    content_type: &str,
    limits: &Limits,
) -> Result<v1::Task, Refusal> {
    if headers::is_json(content_type) {
        check_json(incoming.body, limits)?;
        serde_json::from_slice::<&RawValue>(incoming.body).map_err(|e| json::refuse(&e))?;
    }
    let priority = match (incoming.header)(headers::PRIORITY) {
        Some(text) => json::parse_priority(&text)?,
        None => v1::Priority::Unspecified,
    };
    Ok(v1::Task {
        task_type: task_type.to_owned(),
        payload: incoming.body.clone(),
        content_type: content_type.to_owned(),
        priority: priority.into(),
        tenant: (incoming.header)(headers::TENANT).unwrap_or_default(),
        ..v1::Task::default()
    })
}

/// UTF-8 and bounded depth, before a parser sees it.
fn check_json(body: &[u8], limits: &Limits) -> Result<(), Refusal> {
    if let Err(e) = std::str::from_utf8(body) {
        return Err(Refusal::new(
            code::NOT_UTF8,
            format!("the body is not UTF-8 at byte {}; JSON is UTF-8", e.valid_up_to()),
        ));
    }
    match too_deep_at(body, limits.max_depth) {
        None => Ok(()),
        Some(at) => Err(Refusal::new(
            code::TOO_DEEP,
            format!("the body is nested deeper than {} levels at byte {at}", limits.max_depth),
        )),
    }
}

/// Where nesting passes `max` levels. Strings are skipped; what is not JSON is the parser's to refuse.
fn too_deep_at(body: &[u8], max: usize) -> Option<usize> {
    let (mut depth, mut in_string, mut escaped) = (0usize, false, false);
    for (at, byte) in body.iter().enumerate() {
        if in_string {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_string = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => in_string = true,
            b'{' | b'[' => {
                depth += 1;
                if depth > max {
                    return Some(at);
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    None
}

/// Checks every name and bound and brings names to their normal form.
fn check(mut task: v1::Task, limits: &Limits) -> Result<v1::Task, Refusal> {
    if task.task_type.is_empty() {
        return Err(Refusal::new(code::MISSING_FIELD, "the task has no `task_type`"));
    }
    task.task_type = name::normalize_task_type(&task.task_type)
        .map_err(|e| Refusal::new(code::BAD_NAME, format!("`task_type`: {e}")))?;
    if !task.id.is_empty() {
        name::check_task_id(&task.id).map_err(|e| Refusal::new(code::BAD_ID, format!("`id`: {e}")))?;
    }
    if !task.tenant.is_empty() {
        name::check_tenant(&task.tenant)
            .map_err(|e| Refusal::new(code::BAD_NAME, format!("`tenant`: {e}")))?;
    }
    check_reference(&task.payload_ref)?;
    check_labels(&task, limits)?;
    check_times(&task)?;
    if let Some(retry) = &task.retry
        && retry.max_attempts > limits.max_attempts
    {
        return Err(Refusal::new(
            code::BAD_REQUIREMENTS,
            format!(
                "`retry.max_attempts` is {}; at most {} are allowed",
                retry.max_attempts, limits.max_attempts
            ),
        ));
    }
    if let Some(wire) = task.requirements.take() {
        task.requirements = Some(check_requirements(wire, limits)?);
    }
    Ok(task)
}

fn check_requirements(mut wire: v1::Requirements, limits: &Limits) -> Result<v1::Requirements, Refusal> {
    for capability in &mut wire.required_capabilities {
        *capability = snake(capability, "requirements.required_capabilities")?.into_owned();
    }
    if !wire.preferred_worker_type.is_empty() {
        wire.preferred_worker_type =
            snake(&wire.preferred_worker_type, "requirements.preferred_worker_type")?.into_owned();
    }
    requirements::validate(&json::to_requirements(&wire), &limits.requirements).map_err(|violations| {
        let texts: Vec<_> = violations.iter().map(|v| format!("`{}`: {}", v.field, v.problem)).collect();
        Refusal::new(code::BAD_REQUIREMENTS, texts.join("; "))
    })?;
    Ok(wire)
}

/// Names come in snake_case and in CamelCase.
fn snake<'a>(text: &'a str, field: &str) -> Result<Cow<'a, str>, Refusal> {
    if text.bytes().any(|b| b.is_ascii_uppercase()) {
        return name::normalize_task_type(text)
            .map(Cow::Owned)
            .map_err(|e| Refusal::new(code::BAD_NAME, format!("`{field}`: {e}")));
    }
    name::check_capability(text)
        .map(|()| Cow::Borrowed(text))
        .map_err(|e| Refusal::new(code::BAD_NAME, format!("`{field}`: {e}")))
}

fn check_reference(reference: &str) -> Result<(), Refusal> {
    if reference.is_empty() || split_reference(reference).is_some() {
        return Ok(());
    }
    Err(Refusal::new(
        code::BAD_REFERENCE,
        format!("`payload_ref` is \"{reference}\"; it is written obj://<bucket>/<name>"),
    ))
}

/// Bucket and name of `obj://<bucket>/<name>`.
pub fn split_reference(reference: &str) -> Option<(&str, &str)> {
    let (bucket, name) = reference.strip_prefix("obj://")?.split_once('/')?;
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    (!bucket.is_empty() && bucket.bytes().all(plain) && !name.is_empty() && name.len() <= 1024)
        .then_some((bucket, name))
}

fn check_labels(task: &v1::Task, limits: &Limits) -> Result<(), Refusal> {
    if task.labels.len() > limits.max_labels {
        return Err(Refusal::new(
            code::WRONG_TYPE,
            format!("`labels` has {} entries; at most {} are allowed", task.labels.len(), limits.max_labels),
        ));
    }
    match task.labels.iter().find(|(key, value)| key.is_empty() || key.len() > 128 || value.len() > 1024) {
        None => Ok(()),
        Some((key, _)) => Err(Refusal::new(
            code::WRONG_TYPE,
            format!("the label \"{key}\" is too long; a key has 1 to 128 bytes, a value at most 1024"),
        )),
    }
}

fn check_times(task: &v1::Task) -> Result<(), Refusal> {
    if task.deadline_us < 0 || task.not_before_us < 0 {
        return Err(Refusal::new(code::BAD_TIME, "`deadline` and `not_before` lie after 1970"));
    }
    if task.deadline_us != 0 && task.not_before_us >= task.deadline_us {
        return Err(Refusal::new(
            code::BAD_TIME,
            "`not_before` is not before `deadline`: the task could never run",
        ));
    }
    Ok(())
}
