//! Putting a task on a lane: the routed message goes out, and what it was made of is acknowledged when the stream has
//! it. The id of the message is the task's with its hop, so that a task which is routed twice by accident is stored
//! once.

use tasklane_bus::publish::Sent;
use tasklane_bus::{Delivery, Headers, Outgoing};
use tasklane_contract::{Refusal, code, headers, json, time, v1};
use tasklane_domain::lane;
use tasklane_runtime::record;
use tasklane_telemetry::{Span, SpanKind, TraceContext, names};
use tokio::sync::{mpsc, oneshot};

use crate::plan::{self, Decided};
use crate::state::{Pending, Router};

/// A routed message that could not be stored is tried again after this, in ms.
const AGAIN_MS: u64 = 250;

/// Routes a task: onto the lane of the pool that serves it best, or of `_` where nobody can do it now.
///
/// # Errors
/// With the task where its envelope is too large for the server.
pub async fn put(
    router: &Router,
    delivery: Delivery,
    mut routed: v1::Routed,
    trace: Option<TraceContext>,
) -> Result<(), Box<(Delivery, v1::Routed, Refusal)>> {
    let Some(task) = routed.task.as_ref() else { return Ok(()) };
    let decided = router.planner().place(task);
    let span = route_span(&routed, &decided, trace.as_ref());
    plan::hop(&mut routed, &decided, time::now_us());
    let out = outgoing(&routed, &decided, span.context().as_ref());
    let subject = out.subject.clone();
    count(router, &decided);
    match router.bus.send(out).await {
        Ok(sent) => {
            // The receiver ends only with the process; then the delivery comes again to another router.
            if router.pending.send(Pending::Routed(sent, delivery)).await.is_err() {
                tracing::warn!("a routed message was not awaited: the router ends");
            }
            Ok(())
        }
        Err(e @ tasklane_bus::BusError::TooLarge { .. }) => {
            let text =
                format!("with its envelope the task is too large for {subject}: {e}; use `payload_ref`");
            decided.write(&mut routed);
            Err(Box::new((delivery, routed, Refusal::new(code::TOO_LARGE, text))))
        }
        Err(e) => {
            tracing::warn!("a task could not be routed now: {e}");
            again(&delivery).await;
            Ok(())
        }
    }
}

fn count(router: &Router, decided: &Decided) {
    let outcome = if decided.pool.is_some() { "routed" } else { "waiting" };
    router.metrics.router_decisions(decided.pool_name(), outcome).inc();
}

fn outgoing(routed: &v1::Routed, decided: &Decided, trace: Option<&TraceContext>) -> Outgoing {
    let task = routed.task.as_ref();
    let id = task.map(|t| t.id.as_str()).unwrap_or_default();
    let priority = json::to_priority(task.map_or(0, |t| t.priority));
    let subject = lane::work_subject(decided.needs.lane_capability(), decided.pool_name(), priority);
    let mut headers = Headers::new().with(headers::MSG_ID, &format!("{id}.{}", routed.hops));
    record::put_trace(&mut headers, trace);
    Outgoing { subject, headers, body: decided.encode(routed).into() }
}

fn route_span(routed: &v1::Routed, decided: &Decided, parent: Option<&TraceContext>) -> Span {
    let task_type = routed.task.as_ref().map(|t| t.task_type.as_str()).unwrap_or_default();
    let name =
        if tasklane_telemetry::tracing_enabled() { format!("route {task_type}") } else { String::new() };
    let mut span = Span::start(name, SpanKind::Consumer, parent);
    if span.is_recording() {
        span.set(names::MESSAGING_SYSTEM, names::NATS);
        span.set(names::MESSAGING_OPERATION_TYPE, names::PROCESS);
        span.set(names::MESSAGING_OPERATION_NAME, "route");
        span.set(names::TASK_TYPE, task_type);
        if let Some(task) = &routed.task {
            span.set(names::TASK_ID, task.id.as_str());
        }
        span.set(names::POOL, decided.pool_name());
        span.set(names::CAPABILITY, decided.needs.lane_capability());
        span.set(names::ROUTE_SCORE, decided.route.score);
        span.set(names::ROUTE_REASON, decided.route.reason.as_str());
        span.set(names::ROUTE_CANDIDATES, decided.route.candidates.len());
    }
    span
}

async fn again(delivery: &Delivery) {
    if let Err(e) = delivery.put_back(AGAIN_MS).await {
        tracing::warn!("a task could not be put back, it comes again by itself: {e}");
    }
}

/// Awaits the stream's word for routed messages, in their order, and acknowledges what they were made of.
pub async fn acknowledge(mut pending: mpsc::Receiver<Pending>) {
    while let Some(next) = pending.recv().await {
        match next {
            Pending::Routed(sent, delivery) => settle(sent, &delivery).await,
            // Who asked may have run out of patience; nothing is owed to it then.
            Pending::Settled(asked) => drop(asked.send(())),
        }
    }
}

async fn settle(sent: Sent, delivery: &Delivery) {
    match sent.stored().await {
        Ok(_) => {
            if let Err(e) = delivery.ack().await {
                tracing::warn!("an acknowledgement was not sent: {e}");
            }
        }
        Err(e) => {
            tracing::warn!("a routed message may not be stored, routing it again: {e}");
            again(delivery).await;
        }
    }
}

/// Waits until everything that was routed so far is acknowledged.
pub async fn settled(router: &Router) {
    let (asked, answered) = oneshot::channel();
    if router.pending.send(Pending::Settled(asked)).await.is_ok() && answered.await.is_err() {
        tracing::warn!("nobody awaits routed messages any more");
    }
}
