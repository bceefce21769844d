//! From the command line to an acknowledged submission: reading what was given, uploading documents, sending.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};
use tasklane_runtime::bus::{Bus, BusError, Headers, Outgoing, Stored};
use tasklane_runtime::contract::{code, headers, id, streams, subjects, time};
use tasklane_runtime::record::put_trace;
use tasklane_runtime::telemetry::{Span, SpanKind, TraceContext, names};

use crate::error::CliError;
use crate::payload::{self, Form};
use crate::task::{self, Task, TaskArgs, TaskDocument};

/// A larger submission sends its payload through the object store. Below the router's bound of 1 MiB as it comes,
/// with room for headers.
const INLINE_BYTES: usize = 900 * 1024;
/// Room for headers in a message of the server's largest size.
const HEADROOM: usize = 16 * 1024;

/// A task that is read and checked, and the document that must be stored before it.
#[derive(Debug)]
pub struct Plan {
    /// The task.
    pub task: Task,
    document: Option<Document>,
}

/// A file that is a document, as it was read.
#[derive(Debug, Clone)]
pub struct Document {
    path: PathBuf,
    /// In the object store.
    pub name: String,
    bytes: u64,
    /// Of its content, in hexadecimal digits.
    pub sha256: String,
}

/// An acknowledged submission.
#[derive(Debug)]
pub struct Submitted {
    /// Its id.
    pub id: String,
    /// Its type, in snake_case.
    pub task_type: String,
    /// A task with this id was accepted before, and this one was not.
    pub duplicate: bool,
}

/// Reads and checks what was given. `default_payload` stands in where no payload is given.
///
/// # Errors
/// What is wrong with it.
pub fn plan(args: &TaskArgs, default_payload: Option<&str>) -> Result<Plan, CliError> {
    let mut document = match args.task_type.strip_prefix('@') {
        Some(path) => {
            let text = payload::read(&Form::In(path.into()))?;
            TaskDocument::parse(text.get())?
        }
        None => TaskDocument::of_type(&args.task_type),
    };
    document.lay(args, time::now_us());
    let form = args.payload.as_deref().map(|p| payload::form(p, Path::is_file)).transpose()?;
    let upload = match &form {
        Some(Form::Document(path)) => Some(examine(path)?),
        Some(form) => {
            document.set_payload(payload::read(form)?);
            None
        }
        None if document.has_payload() => None,
        None => {
            let text = default_payload.ok_or_else(task::no_payload)?;
            document.set_payload(payload::read(&Form::Json(text.to_owned()))?);
            None
        }
    };
    if let Some(upload) = &upload {
        document.set_payload(source(&upload.name)?);
    }
    Ok(Plan { task: document.ready(id::fresh)?, document: upload })
}

/// A task of this type with this payload and id, of a tenant.
///
/// # Errors
/// What is wrong with it.
pub fn of(
    task_type: &str,
    payload: &serde_json::Value,
    id: &str,
    tenant: Option<&str>,
) -> Result<Plan, CliError> {
    let args = TaskArgs { id: Some(id.to_owned()), tenant: tenant.map(str::to_owned), ..TaskArgs::default() };
    let mut document = TaskDocument::of_type(task_type);
    document.lay(&args, 0);
    let payload = RawValue::from_string(payload.to_string());
    document.set_payload(payload.map_err(|e| CliError::usage(code::NOT_JSON, e.to_string()))?);
    Ok(Plan { task: document.ready(id::fresh)?, document: None })
}

fn source(name: &str) -> Result<Box<RawValue>, CliError> {
    let source = serde_json::json!({ "source": format!("obj://{}/{name}", streams::DOCUMENTS) });
    RawValue::from_string(source.to_string()).map_err(|e| CliError::usage(code::NOT_JSON, e.to_string()))
}

/// Reads a file for its checksum, which names it in the object store.
///
/// # Errors
/// A file that cannot be read.
pub fn examine(path: &Path) -> Result<Document, CliError> {
    let unreadable =
        |e| CliError::usage(code::BAD_REFERENCE, format!("{} cannot be read: {e}", path.display()));
    let mut file = std::fs::File::open(path).map_err(unreadable)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 64 * 1024];
    let mut bytes = 0;
    loop {
        let n = file.read(&mut buffer).map_err(unreadable)?;
        if n == 0 {
            break;
        }
        hash.update(&buffer[..n]);
        bytes += n as u64;
    }
    let hash = hash.finalize();
    let sha256 = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(Document { path: path.to_owned(), name: payload::document_name(path, &hash), bytes, sha256 })
}

/// Stores the document, where there is one, and submits the task. Comes back when the stream has acknowledged it.
///
/// # Errors
/// NATS, or a file that cannot be read any more.
pub async fn send(bus: &Bus, plan: &mut Plan) -> Result<Submitted, CliError> {
    send_under(bus, plan, None).await
}

/// As [`send`], as a step of a trace that has begun.
///
/// # Errors
/// As [`send`].
pub async fn send_under(
    bus: &Bus,
    plan: &mut Plan,
    parent: Option<&TraceContext>,
) -> Result<Submitted, CliError> {
    let task = &mut plan.task;
    let mut span = Span::start("send tasks.submit", SpanKind::Producer, parent);
    span.set(names::MESSAGING_SYSTEM, names::NATS);
    span.set(names::MESSAGING_DESTINATION_NAME, subjects::SUBMIT);
    span.set(names::MESSAGING_OPERATION_TYPE, names::SEND);
    span.set(names::MESSAGING_OPERATION_NAME, "publish");
    span.set(names::MESSAGING_MESSAGE_ID, task.id.clone());
    span.set(names::TASK_ID, task.id.clone());
    span.set(names::TASK_TYPE, task.task_type.clone());
    let sent = store(bus, task, plan.document.as_ref(), &mut span).await;
    if let Err(e) = &sent {
        span.error(code::NATS.as_str(), e);
    }
    sent
}

async fn store(
    bus: &Bus,
    task: &mut Task,
    document: Option<&Document>,
    span: &mut Span,
) -> Result<Submitted, CliError> {
    if let Some(document) = document {
        upload(bus, document).await?;
    }
    if task.body.len() > INLINE_BYTES.min(bus.max_payload().saturating_sub(HEADROOM)) {
        move_aside(bus, task).await?;
    }
    span.set(names::MESSAGING_MESSAGE_BODY_SIZE, i64::try_from(task.body.len()).unwrap_or(i64::MAX));
    let mut headers =
        Headers::new().with(headers::MSG_ID, &task.id).with(headers::CONTENT_TYPE, headers::JSON);
    put_trace(&mut headers, span.context().as_ref());
    let out = Outgoing { subject: subjects::SUBMIT.into(), headers, body: task.body.clone() };
    let duplicate = bus.store(out).await? == Stored::Duplicate;
    Ok(Submitted { id: task.id.clone(), task_type: task.task_type.clone(), duplicate })
}

/// Puts a document into the object store, where it is not there yet.
///
/// # Errors
/// NATS, or a file that cannot be read any more.
pub async fn upload(bus: &Bus, document: &Document) -> Result<(), CliError> {
    if is_stored(bus, document).await? {
        return Ok(());
    }
    let failed =
        |e| CliError::usage(code::BAD_REFERENCE, format!("{} cannot be read: {e}", document.path.display()));
    let mut file = tokio::fs::File::open(&document.path).await.map_err(failed)?;
    Ok(bus.put_object(streams::DOCUMENTS, &document.name, &mut file).await?)
}

/// The name says the content, so one of the same size is the same. Asked for at most 0 bytes, the store says the
/// size and sends nothing.
async fn is_stored(bus: &Bus, document: &Document) -> Result<bool, CliError> {
    match bus.get_object(streams::DOCUMENTS, &document.name, 0).await {
        Ok(_) => Ok(document.bytes == 0),
        Err(BusError::ObjectTooLarge { size, .. }) => Ok(size as u64 == document.bytes),
        Err(BusError::NotFound(_)) => Ok(false),
        Err(e) => Err(e.into()),
    }
}

async fn move_aside(bus: &Bus, task: &mut Task) -> Result<(), CliError> {
    let name = format!("payload-{}", task.id);
    let reference = format!("obj://{}/{name}", streams::PAYLOADS);
    if let Some(payload) = task.move_payload_aside(reference) {
        bus.put_object(streams::PAYLOADS, &name, &mut payload.as_ref()).await?;
    }
    Ok(())
}
