//! Acting on an outcome. The order holds the promise: what tells of the task is stored before the delivery is
//! acknowledged, so that a crash in between means one more delivery and never a lost task.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tasklane_bus::{BusError, Delivery};
use tasklane_contract::story::{self, End};
use tasklane_contract::{Message as _, Refusal, code, subjects, time, v1};
use tasklane_domain::{expiry, retry};
use tasklane_telemetry::{Outcome as Counted, Span, SpanKind, names};

use super::attempt::{InHand, end_of};
use super::hold::Hold;
use super::shared::Shared;
use super::supervise::Outcome;
use crate::handler::TaskError;
use crate::record::{self, Recipient};

/// How long a task rests that may not run beside another.
const TURN: Duration = Duration::from_secs(1);

/// Settles a task in hand. What is rare is boxed: it would make every attempt as large as the largest of them.
pub(crate) async fn settle(shared: &Shared, mut hand: InHand, outcome: Outcome) {
    let settled = match outcome {
        Outcome::HandBack => Box::pin(send_back(shared, &hand.routed, hand.trace.as_ref())).await,
        Outcome::Failed(e) if e.put_off => Box::pin(put_off(shared, &mut hand, e)).await,
        Outcome::Failed(e) => Box::pin(failed(shared, &mut hand, e)).await,
        Outcome::KilledWorkers => {
            let Some(End::Failed(error)) = end_of(&outcome, hand.routed.max_attempts) else { return };
            Box::pin(give_up(shared, &mut hand, error)).await
        }
        other => match end_of(&other, hand.routed.max_attempts) {
            Some(end) => finish(shared, &mut hand, end).await,
            None => Ok(()),
        },
    };
    match settled {
        Ok(()) => ack(&hand.delivery).await,
        // Not acknowledged: it comes again after the ack wait, and is settled then.
        Err(e) => {
            tracing::error!(message = %hand.delivery.place.sequence, "a task could not be settled: {e}")
        }
    }
}

/// Acknowledges. That the word may not arrive is covered by the next delivery.
pub(crate) async fn ack(delivery: &Delivery) {
    if let Err(e) = delivery.ack().await {
        tracing::warn!("an acknowledgement was not sent: {e}");
    }
}

/// Records the one result. The story goes into it; nothing is left of it in hand.
async fn finish(shared: &Shared, hand: &mut InHand, end: End) -> Result<(), BusError> {
    let counted = match end {
        End::Succeeded(..) => Counted::Succeeded,
        End::Failed(_) => Counted::Failed,
        End::Cancelled(_) => Counted::Cancelled,
        End::Expired(_) => Counted::Expired,
    };
    let mut span = send_span("send results", hand);
    let to = Recipient::of(&hand.routed);
    let trace_id =
        hand.trace.as_ref().map(tasklane_telemetry::TraceContext::trace_id_hex).unwrap_or_default();
    let mut result = story::result(std::mem::take(&mut hand.routed), end, trace_id, time::now_us());
    span.set_with(names::MESSAGING_DESTINATION_NAME, || subjects::result(&result.task_id));
    let context = span.context();
    let stored = record::result(&shared.bus, &mut result, &to, context.as_ref()).await;
    let first = match stored {
        Err(BusError::TooLarge { reason, .. }) => {
            Box::pin(too_large(shared, &mut result, &to, reason)).await?
        }
        other => other?,
    };
    if first && let Some(served) = shared.served.get(&result.task_type) {
        served.metrics.ended(counted);
    }
    Ok(())
}

/// A record that not even the object store made small enough: its story is too long. The task ends all the same.
async fn too_large(
    shared: &Shared,
    result: &mut v1::TaskResult,
    to: &Recipient,
    reason: String,
) -> Result<bool, BusError> {
    let text = format!("the result cannot be stored: {reason}");
    result.error = Some(Refusal::new(code::TOO_LARGE, text).to_error());
    result.set_status(v1::Status::Failed);
    result.attempts.clear();
    record::result(&shared.bus, result, to, None).await
}

fn send_span(name: &'static str, hand: &InHand) -> Span {
    let mut span = Span::start(name, SpanKind::Producer, hand.trace.as_ref());
    if span.is_recording() {
        span.set(names::MESSAGING_SYSTEM, names::NATS);
        span.set(names::MESSAGING_OPERATION_TYPE, names::SEND);
        span.set(names::MESSAGING_OPERATION_NAME, names::SEND);
        span.set(names::TASK_ID, hand.task().id.as_str());
    }
    span
}

/// A failed attempt: another one, or the end.
async fn failed(shared: &Shared, hand: &mut InHand, e: TaskError) -> Result<(), BusError> {
    let failure = retry::Failure {
        retriable: e.retriable,
        retry_after_ms: e.retry_after.map(|d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX)),
    };
    let max = hand.routed.max_attempts;
    let random = rand::random::<f64>();
    match retry::next(hand.n, max, &failure, &shared.backoff, random) {
        retry::Next::RetryAfter(ms) => {
            if comes_too_late(hand, ms) {
                return out_of_time(shared, hand, &e).await;
            }
            if let Some(last) = hand.routed.attempts.last_mut() {
                last.outcome = story::outcome::RETRIED.to_owned();
            }
            come_back(shared, hand, 'r', Duration::from_millis(ms)).await
        }
        retry::Next::GiveUp(retry::GiveUp::Permanent) => {
            give_up(shared, hand, Refusal::new(e.code, e.message).to_error()).await
        }
        retry::Next::GiveUp(retry::GiveUp::AttemptsUsedUp { attempt, max }) => {
            let text = format!(
                "attempt {attempt} of {max} failed and no more are allowed; the last one: {} {}",
                e.code, e.message
            );
            give_up(shared, hand, Refusal::new(code::EXHAUSTED, text).to_error()).await
        }
    }
}

/// A task that cannot be done now for a reason outside of it: it comes back, and the attempt does not count.
async fn put_off(shared: &Shared, hand: &mut InHand, e: TaskError) -> Result<(), BusError> {
    let asked = e.retry_after.map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX));
    let age_us = time::now_us().saturating_sub(hand.routed.submitted_at_us);
    let age_ms = u64::try_from(age_us / 1000).unwrap_or(0);
    match retry::put_off_ms(asked, age_ms, rand::random::<f64>()) {
        Some(ms) if comes_too_late(hand, ms) => out_of_time(shared, hand, &e).await,
        Some(ms) => come_back(shared, hand, 'w', Duration::from_millis(ms)).await,
        None => give_up(shared, hand, Refusal::new(e.code, e.message).to_error()).await,
    }
}

/// Whether the task's deadline has passed after so many milliseconds.
fn comes_too_late(hand: &InHand, ms: u64) -> bool {
    let now_ms = u64::try_from(time::now_us() / 1000).unwrap_or(0);
    let deadline_ms = u64::try_from(hand.task().deadline_us / 1000).ok().filter(|ms| *ms != 0);
    expiry::retry_comes_too_late(now_ms, ms, deadline_ms)
}

async fn out_of_time(shared: &Shared, hand: &mut InHand, e: &TaskError) -> Result<(), BusError> {
    let text = format!(
        "attempt {} failed ({} {}), and the deadline leaves no time for another",
        hand.n, e.code, e.message
    );
    finish(shared, hand, End::Expired(Refusal::new(code::EXPIRED, text).to_error())).await
}

/// A schedule brings the task back to the router, with its story so far. `why` tells one reason's messages from
/// another's, so that the second of the same is a duplicate.
async fn come_back(shared: &Shared, hand: &mut InHand, why: char, after: Duration) -> Result<(), BusError> {
    let mut span = send_span("schedule retry", hand);
    span.set(names::RETRY_DELAY_MS, u64::try_from(after.as_millis()).unwrap_or(u64::MAX));
    let id = format!("{}.{why}{}", hand.task().id, hand.routed.hops);
    let out = record::to_router(&hand.routed, &id, span.context().as_ref());
    shared.bus.schedule(&hand.task().id, SystemTime::now() + after, out).await?;
    if let Some(served) = shared.served.get(&hand.task().task_type) {
        served.metrics.retried();
    }
    Ok(())
}

/// The dead letter first, then the result: whoever sees the result finds the letter.
async fn give_up(shared: &Shared, hand: &mut InHand, error: v1::TaskError) -> Result<(), BusError> {
    let letter =
        story::dead_letter(hand.routed.clone(), error.clone(), hand.delivery.subject(), time::now_us());
    let id = format!("{}.d", hand.task().id);
    let capability = story::capability(&hand.routed);
    record::dead_letter(&shared.bus, &letter, capability, &id, hand.trace.as_ref()).await?;
    shared.metrics.dead_letters(&hand.task().task_type, &error.code).inc();
    finish(shared, hand, End::Failed(error)).await
}

/// Let go of until a task that may kill workers has had its turn alone.
pub(crate) async fn later(shared: &Shared, hand: &InHand) {
    let id = format!("{}.q{}", hand.task().id, hand.routed.hops);
    let out = record::to_router(&hand.routed, &id, hand.trace.as_ref());
    match shared.bus.schedule(&hand.task().id, SystemTime::now() + TURN, out).await {
        Ok(_) => ack(&hand.delivery).await,
        Err(e) => tracing::warn!(task_id = hand.task().id, "the task comes again by itself: {e}"),
    }
}

/// Back to the router at once, without an attempt counted.
async fn send_back(
    shared: &Shared,
    routed: &v1::Routed,
    trace: Option<&tasklane_telemetry::TraceContext>,
) -> Result<(), BusError> {
    let id = routed.task.as_ref().map(|t| t.id.as_str()).unwrap_or_default();
    let out = record::to_router(routed, &format!("{id}.h{}", routed.hops), trace);
    shared.bus.store_surely(out).await.map(drop)
}

/// Gives back a message whose attempt never began, in a task of its own. The drain waits for it.
pub(crate) fn hand_back_unbegun(shared: &Arc<Shared>, delivery: Delivery, hold: Hold) {
    let slot = shared.take_slot();
    let shared = Arc::clone(shared);
    tokio::spawn(async move {
        let trace = record::get_trace(|name| delivery.header(name).map(str::to_owned));
        let sent = match v1::Routed::decode(delivery.body().clone()) {
            Ok(routed) => send_back(&shared, &routed, trace.as_ref()).await,
            // Nobody can read it here; whoever gets it next makes it a dead letter.
            Err(_) => delivery.put_back(1).await.and(Err(BusError::NotFound("a readable task".into()))),
        };
        match sent {
            Ok(()) => ack(&delivery).await,
            Err(e) => tracing::warn!("a task could not be handed back, it comes again by itself: {e}"),
        }
        drop((hold, slot));
    });
}

/// A message on our lane that is not ours to read: kept as a dead letter, so that it harms nobody.
pub(crate) async fn unreadable(shared: &Shared, delivery: &Delivery, why: &Refusal) {
    let letter = story::unreadable(
        delivery.body().clone(),
        why,
        delivery.subject(),
        delivery.headers().to_map(),
        time::now_us(),
    );
    let id = format!("WORK.{}", delivery.place.sequence);
    match record::dead_letter(&shared.bus, &letter, tasklane_domain::enrich::ANY_CAPABILITY, &id, None).await
    {
        Ok(()) => ack(delivery).await,
        Err(e) => tracing::error!("an unreadable message could not be put aside: {e}"),
    }
}
