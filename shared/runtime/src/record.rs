//! What is written of a task: the one result, the asker's copy of it, the dead letter, and the story on its way back to
//! the router. Used by the worker and by the router, which ends the tasks that never reach a worker.

use bytes::Bytes;
use tasklane_bus::{Bus, BusError, Headers, Outgoing, Stored};
use tasklane_contract::{Message as _, headers, json, streams, subjects, v1};
use tasklane_telemetry::TraceContext;

/// Room for headers and the frame in a message of the largest size.
const HEADROOM: usize = 16 * 1024;

/// Whom the result goes to, and how it is written.
#[derive(Debug, Clone)]
pub struct Recipient {
    /// As the submission was written.
    pub encoding: v1::Encoding,
    /// Besides `results.<task id>`; empty: nowhere.
    pub reply_to: String,
}

impl Recipient {
    /// The recipient of a routed task's result.
    pub fn of(routed: &v1::Routed) -> Self {
        Self {
            encoding: v1::Encoding::try_from(routed.encoding).unwrap_or(v1::Encoding::Json),
            reply_to: routed.reply_to.clone(),
        }
    }
}

/// A result in the recipient's encoding.
fn encode(result: &v1::TaskResult, encoding: v1::Encoding) -> Bytes {
    match encoding {
        v1::Encoding::Json => json::encode_result(result).into(),
        v1::Encoding::Protobuf => result.encode_to_vec().into(),
    }
}

fn headers_of(encoding: v1::Encoding, trace: Option<&TraceContext>) -> Headers {
    let mut out = Headers::new();
    if encoding == v1::Encoding::Protobuf {
        out.set(headers::CONTENT_TYPE, headers::PROTOBUF);
    }
    put_trace(&mut out, trace);
    out
}

/// Writes the trace context into headers.
pub fn put_trace(out: &mut Headers, trace: Option<&TraceContext>) {
    if let Some(trace) = trace {
        out.set(headers::TRACEPARENT, &trace.traceparent());
        if !trace.state.is_empty() {
            out.set(headers::TRACESTATE, &trace.state);
        }
    }
}

/// Reads the trace context from headers.
pub fn get_trace(get: impl Fn(&str) -> Option<String>) -> Option<TraceContext> {
    let parent = get(headers::TRACEPARENT)?;
    TraceContext::parse(&parent, get(headers::TRACESTATE).as_deref())
}

/// A task with its story so far as a message to the router, which routes it afresh. `id` makes a second one of the same
/// moment a duplicate.
pub fn to_router(routed: &v1::Routed, id: &str, trace: Option<&TraceContext>) -> Outgoing {
    let mut headers = Headers::new().with(headers::MSG_ID, id);
    put_trace(&mut headers, trace);
    Outgoing { subject: subjects::RETRY.to_owned(), headers, body: routed.encode_to_vec().into() }
}

/// Records a task's end; what is too large for a message is moved aside, and `result` says where. Returns whether this was the first: a second is refused by the stream, and nobody is told
/// of it.
///
/// # Errors
/// Only for results that no store takes: the server being away is waited out.
pub async fn result(
    bus: &Bus,
    result: &mut v1::TaskResult,
    to: &Recipient,
    trace: Option<&TraceContext>,
) -> Result<bool, BusError> {
    let mut body = encode(result, to.encoding);
    if body.len() + HEADROOM > bus.max_payload() {
        Box::pin(move_aside(bus, result)).await?;
        body = encode(result, to.encoding);
    }
    let message = || {
        let headers = headers_of(to.encoding, trace);
        Outgoing { subject: subjects::result(&result.task_id), headers, body: body.clone() }.only_first()
    };
    let stored = bus.store_made(message).await?;
    if stored == Stored::NotFirst {
        return Ok(false);
    }
    if !to.reply_to.is_empty() {
        Box::pin(tell(bus, to, headers_of(to.encoding, trace), body)).await;
    }
    Ok(true)
}

/// Sends the asker a copy; that nobody listens there any more is no error.
async fn tell(bus: &Bus, to: &Recipient, headers: Headers, body: Bytes) {
    if to.reply_to.is_empty() {
        return;
    }
    if let Err(e) = bus.tell(to.reply_to.clone(), headers, body).await {
        tracing::warn!(reply_to = %to.reply_to, "the result could not be sent to whom asked: {e}");
    }
}

/// If the task has its result already, sends it to the asker once more (the one who recorded it may have died in
/// between) and says so.
pub async fn finished_before(bus: &Bus, task_id: &str, to: &Recipient) -> bool {
    match bus.last_on(streams::RESULTS, &subjects::result(task_id)).await {
        Ok(stored) => {
            tell(bus, to, headers_of(to.encoding, None), stored.body).await;
            true
        }
        Err(_) => false,
    }
}

/// Puts a result that is past the message size into the object store, and its name into the record.
async fn move_aside(bus: &Bus, result: &mut v1::TaskResult) -> Result<(), BusError> {
    let name = format!("result-{}", result.task_id);
    let bytes = std::mem::take(&mut result.result);
    bus.put_object(streams::PAYLOADS, &name, &mut bytes.as_ref()).await?;
    result.result_ref = format!("obj://{}/{name}", streams::PAYLOADS);
    Ok(())
}

/// Stores a dead letter; `id` makes a second one of the same death a duplicate.
///
/// # Errors
/// As [`Bus::store_surely`].
pub async fn dead_letter(
    bus: &Bus,
    letter: &v1::DeadLetter,
    capability: &str,
    id: &str,
    trace: Option<&TraceContext>,
) -> Result<(), BusError> {
    let mut headers = Headers::new().with(headers::MSG_ID, id).with(headers::CONTENT_TYPE, headers::PROTOBUF);
    put_trace(&mut headers, trace);
    let mut body: Bytes = letter.encode_to_vec().into();
    if body.len() + HEADROOM > bus.max_payload() {
        // What cannot be kept whole is kept without the raw bytes: why it died matters more than what it was.
        body = v1::DeadLetter { raw: Bytes::new(), ..letter.clone() }.encode_to_vec().into();
    }
    bus.store_surely(Outgoing { subject: subjects::dead(capability), headers, body }).await.map(drop)
}
