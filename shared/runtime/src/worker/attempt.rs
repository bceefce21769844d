//! One attempt: from a delivery to an outcome.

use std::sync::Arc;
use std::time::Duration;

use tasklane_bus::Delivery;
use tasklane_contract::story::outcome;
use tasklane_contract::{Message as _, Refusal, code, story, submission, time, v1};
use tasklane_domain::expiry;
use tasklane_domain::priority::Priority;
use tasklane_telemetry::{Span, SpanKind, TraceContext, names};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::hold::Hold;
use super::settle;
use super::shared::{Served, Shared, Slot};
use super::supervise::{self, Bounds, Outcome};
use crate::handler::{Ctx, CtxInner, Payload, TaskError, read_object};
use crate::record::{self, Recipient};

/// A task in hand.
pub(crate) struct InHand {
    pub delivery: Delivery,
    pub routed: v1::Routed,
    /// Which attempt this is, from 1.
    pub n: u32,
    pub trace: Option<TraceContext>,
    pub started_at_us: i64,
}

impl InHand {
    pub fn task(&self) -> &v1::Task {
        static NONE: std::sync::LazyLock<v1::Task> = std::sync::LazyLock::new(v1::Task::default);
        self.routed.task.as_ref().unwrap_or(&NONE)
    }
}

/// Starts an attempt in a task of its own.
pub(crate) fn spawn(shared: &Arc<Shared>, delivery: Delivery, hold: Hold) {
    let slot = shared.take_slot();
    tokio::spawn(run(Arc::clone(shared), delivery, hold, slot));
}

async fn run(shared: Arc<Shared>, delivery: Delivery, hold: Hold, slot: Slot) {
    let routed = match v1::Routed::decode(delivery.body().clone()) {
        Ok(routed) if routed.task.is_some() => routed,
        other => {
            let why = other.err().map_or_else(|| "it holds no task".to_owned(), |e| e.to_string());
            Box::pin(settle::unreadable(&shared, &delivery, &Refusal::new(code::UNREADABLE, why))).await;
            return;
        }
    };
    let mut hand = take_in_hand(&shared, delivery, routed);
    let outcome = match before(&shared, &hand).await {
        Before::Run => match shared.quarantine.enter(story::is_suspect(&hand.routed)).await {
            Some(_turn) => execute(&shared, &mut hand).await,
            None => {
                Box::pin(settle::later(&shared, &hand)).await;
                return;
            }
        },
        Before::End(outcome) => outcome,
        Before::Finished => {
            settle::ack(&hand.delivery).await;
            return;
        }
    };
    settle::settle(&shared, hand, outcome).await;
    drop((hold, slot));
}

fn take_in_hand(shared: &Shared, delivery: Delivery, mut routed: v1::Routed) -> InHand {
    story::count_lost(&mut routed, delivery.place.delivered, &shared.pool);
    let n = u32::try_from(routed.attempts.len()).unwrap_or(u32::MAX).saturating_add(1);
    let trace = record::get_trace(|name| delivery.header(name).map(str::to_owned));
    InHand { delivery, routed, n, trace, started_at_us: time::now_us() }
}

enum Before {
    Run,
    End(Outcome),
    /// Somebody recorded the result already.
    Finished,
}

/// What can be said without running the handler.
async fn before(shared: &Shared, hand: &InHand) -> Before {
    let task = hand.task();
    let to = Recipient::of(&hand.routed);
    if hand.delivery.place.delivered > 1
        && Box::pin(record::finished_before(&shared.bus, &task.id, &to)).await
    {
        return Before::Finished;
    }
    if hand.n > hand.routed.max_attempts.max(1) {
        return Before::End(Outcome::KilledWorkers);
    }
    if shared.cancels.is_cancelled(&task.id) {
        return Before::End(Outcome::Cancelled);
    }
    if task.deadline_us != 0 && task.deadline_us <= hand.started_at_us {
        return Before::End(Outcome::Expired);
    }
    Before::Run
}

/// Runs the handler with its limits and its spans.
async fn execute(shared: &Arc<Shared>, hand: &mut InHand) -> Outcome {
    let Some(served) = shared.served.get(&hand.task().task_type) else {
        let message = format!("this worker does not serve {}", hand.task().task_type);
        return Outcome::Failed(TaskError::retry(code::RETRY, message));
    };
    hand.started_at_us = time::now_us();
    let mut span = attempt_span(shared, hand);
    let parent = hand.trace.take();
    queue_span(shared, hand, parent.as_ref());
    hand.trace = span.context();
    let wait = time::between_ms(hand.routed.routed_at_us, hand.started_at_us);
    served.metrics.queue_wait(Duration::from_secs_f64(wait / 1000.0));

    let begun = Instant::now();
    let outcome = run_handler(shared, hand, served).await;
    let took = begun.elapsed();
    served.metrics.duration(took);
    if matches!(outcome, Outcome::Done(_)) {
        shared.measured.note(&served.info.name, took.as_secs_f64() * 1000.0);
    }
    close(&mut span, &outcome);
    if let Some(attempt) = written(shared, hand, took, &outcome) {
        hand.routed.attempts.push(attempt);
    }
    outcome
}

fn attempt_span(shared: &Shared, hand: &InHand) -> Span {
    let mut span = Span::start(
        if tasklane_telemetry::tracing_enabled() {
            format!("process {}", hand.task().task_type)
        } else {
            String::new()
        },
        SpanKind::Consumer,
        hand.trace.as_ref(),
    );
    if span.is_recording() {
        let task = hand.task();
        span.set(names::MESSAGING_SYSTEM, names::NATS);
        span.set(names::MESSAGING_OPERATION_TYPE, names::PROCESS);
        span.set(names::MESSAGING_OPERATION_NAME, names::PROCESS);
        span.set(names::MESSAGING_DESTINATION_NAME, hand.delivery.subject());
        span.set(names::MESSAGING_MESSAGE_ID, task.id.as_str());
        span.set(names::TASK_ID, task.id.as_str());
        span.set(names::TASK_TYPE, task.task_type.as_str());
        span.set(names::ATTEMPT, hand.n);
        span.set(names::POOL, shared.pool.as_str());
        span.set(names::WORKER_ID, &*shared.worker);
        span.set(names::MESSAGING_MESSAGE_BODY_SIZE, hand.delivery.body().len());
    }
    span
}

/// The time in the lane, told afterwards by the one who knows both ends.
fn queue_span(shared: &Shared, hand: &InHand, parent: Option<&TraceContext>) {
    if !tasklane_telemetry::tracing_enabled() {
        return;
    }
    let from = time::from_us(hand.routed.routed_at_us);
    let name = format!("queue {}", shared.pool);
    Span::start_at(name, SpanKind::Internal, parent, from).end_at(time::from_us(hand.started_at_us));
}

fn close(span: &mut Span, outcome: &Outcome) {
    match outcome {
        Outcome::Done(_) => span.set(names::TASK_OUTCOME, "succeeded"),
        Outcome::Failed(e) => span.error(e.code.as_str(), &e.message),
        Outcome::Cancelled => span.set(names::TASK_OUTCOME, "cancelled"),
        Outcome::Expired => span.set(names::TASK_OUTCOME, "expired"),
        Outcome::HandBack => span.set(names::TASK_OUTCOME, "handed_back"),
        Outcome::KilledWorkers => span.set(names::TASK_OUTCOME, "killed_workers"),
    }
}

/// The attempt as the result will tell it. Whether a failure is retried is only decided when it is settled. The attempt
/// of a task that is handed back or put off does not count: the story keeps those that ran to an end.
fn written(shared: &Shared, hand: &InHand, took: Duration, ended: &Outcome) -> Option<v1::Attempt> {
    let (name, error) = match ended {
        Outcome::Done(_) => (outcome::SUCCEEDED, None),
        Outcome::Cancelled => (outcome::CANCELLED, None),
        Outcome::Failed(e) if e.put_off => return None,
        Outcome::Failed(e) => (outcome::FAILED, Some(Refusal::new(e.code, e.message.clone()).to_error())),
        Outcome::Expired | Outcome::KilledWorkers => (outcome::FAILED, None),
        Outcome::HandBack => return None,
    };
    Some(v1::Attempt {
        n: hand.n,
        worker: shared.worker.to_string(),
        pool: shared.pool.clone(),
        started_at_us: hand.started_at_us,
        duration_ms: (took.as_secs_f64() * 1e6).round() / 1e3,
        outcome: name.to_owned(),
        error,
    })
}

/// Runs the handler in a task of its own.
async fn run_handler(shared: &Arc<Shared>, hand: &InHand, served: &Served) -> Outcome {
    let task = hand.task();
    let limit = limit(hand);
    let token = shared.cancels.begin(&task.id);
    let ctx = context(shared, hand, limit, token.clone());
    let payload = match payload(shared, task).await {
        Ok(payload) => payload,
        Err(e) => {
            shared.cancels.done(&task.id);
            return Outcome::Failed(e);
        }
    };
    let (payload, _buffer) = payload;
    let running = tokio::spawn((served.handler)(ctx.clone(), payload));
    let bounds = Bounds { limit, cancelled: &token, hand_back: &shared.hand_back };
    let body = serde_json::json!({"worker": ctx.worker(), "attempt": ctx.attempt()});
    let outcome = supervise::supervise(running, &bounds, ctx.event("started", &body)).await;
    token.cancel();
    shared.cancels.done(&task.id);
    outcome
}

/// The max processing time, cut at the deadline.
fn limit(hand: &InHand) -> Duration {
    let needs = hand.routed.needs.as_ref();
    let max = needs.map_or(0, |n| n.max_processing_time_ms).max(1);
    let ms = |us: i64| u64::try_from(us / 1000).unwrap_or(0);
    let deadline = Some(hand.task().deadline_us).filter(|us| *us != 0).map(ms);
    Duration::from_millis(expiry::time_limit_ms(ms(hand.started_at_us), max, deadline).max(1))
}

/// The lane of a priority on the wire; normal where nobody said.
fn lane_of(wire: i32) -> u8 {
    match u8::try_from(wire) {
        Ok(level @ 1..=4) => level - 1,
        _ => Priority::Normal.lane(),
    }
}

fn context(shared: &Arc<Shared>, hand: &InHand, limit: Duration, cancelled: CancellationToken) -> Ctx {
    let task = hand.task();
    let tenant = if task.tenant.is_empty() { "default" } else { &task.tenant };
    let memory_mb = hand.routed.needs.as_ref().map_or(0, |n| n.memory_requirement_mb);
    Ctx {
        inner: Arc::new(CtxInner {
            task_id: task.id.clone(),
            task_type: task.task_type.clone(),
            tenant: tenant.to_owned(),
            labels: task.labels.clone(),
            priority: lane_of(task.priority),
            attempt: hand.n,
            max_attempts: hand.routed.max_attempts,
            worker: Arc::clone(&shared.worker),
            stop_at: Instant::now() + limit,
            memory_mb,
            cancelled,
            trace: hand.trace.clone(),
            bus: shared.bus.clone(),
            metrics: shared.metrics.clone(),
        }),
    }
}

/// The payload, from the message or from the object store. What is fetched counts against the worker's buffer as
/// long as the permit lives.
async fn payload(
    shared: &Shared,
    task: &v1::Task,
) -> Result<(Payload, Option<tokio::sync::OwnedSemaphorePermit>), TaskError> {
    let content_type = task.content_type.clone();
    if task.payload_ref.is_empty() {
        return Ok((Payload { bytes: task.payload.clone(), content_type }, None));
    }
    let Some((bucket, name)) = submission::split_reference(&task.payload_ref) else {
        return Err(TaskError::failed(
            code::BAD_REFERENCE,
            format!("`payload_ref` is \"{}\"; it is written obj://<bucket>/<name>", task.payload_ref),
        ));
    };
    let kib = u32::try_from(shared.max_payload / 1024).unwrap_or(u32::MAX);
    let permit = Arc::clone(&shared.buffer).acquire_many_owned(kib).await.ok();
    let bytes = Box::pin(read_object(&shared.bus, bucket, name, shared.max_payload)).await?;
    Ok((Payload { bytes, content_type }, permit))
}

/// The story's error for an outcome that carries none of its own.
pub(crate) fn end_of(outcome: &Outcome, max_attempts: u32) -> Option<story::End> {
    let error = |code: tasklane_contract::Code, text: String| Refusal::new(code, text).to_error();
    match outcome {
        Outcome::Done(output) => {
            Some(story::End::Succeeded(output.bytes.clone(), output.content_type.clone()))
        }
        Outcome::Cancelled => {
            Some(story::End::Cancelled(error(code::CANCELLED, "the task was cancelled on request".into())))
        }
        Outcome::Expired => {
            let text =
                "the deadline passed before the task was done; give it more time, or more workers".into();
            Some(story::End::Expired(error(code::EXPIRED, text)))
        }
        Outcome::KilledWorkers => {
            let text = format!(
                "its workers died or fell silent in all of {max_attempts} attempts; look at the workers' logs at \
                 the times of the attempts, mend the cause, then replay the dead letter"
            );
            Some(story::End::Failed(error(code::KILLED_WORKERS, text)))
        }
        Outcome::Failed(_) | Outcome::HandBack => None,
    }
}
