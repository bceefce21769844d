//! Tasks that end in the router: malformed, expired or cancelled before any worker had them.

use std::sync::Arc;

use tasklane_bus::{BusError, Delivery};
use tasklane_contract::story::{self, End};
use tasklane_contract::submission::Rejected;
use tasklane_contract::{Message as _, Refusal, code, streams, subjects, time, v1};
use tasklane_domain::enrich::ANY_CAPABILITY;
use tasklane_runtime::record::{self, Recipient};
use tasklane_telemetry::{Span, SpanKind, TraceContext, names};

use crate::state::Router;

/// How a task ends here.
pub enum Ending {
    /// The submission could not be read.
    Rejected(Box<Rejected>),
    /// A task that can be read ends; a dead letter is kept where `dead` is set.
    Task {
        /// The task with its story.
        routed: Box<v1::Routed>,
        /// How.
        end: End,
        /// Whether it may be replayed later.
        dead: bool,
    },
    /// A message of ours that nobody can read.
    Unreadable(Refusal),
}

/// Ends a task in a task of its own; waits only where very many end at once.
pub async fn end(router: &Arc<Router>, delivery: Delivery, ending: Ending, trace: Option<TraceContext>) {
    let Ok(permit) = Arc::clone(&router.endings).acquire_owned().await else { return };
    let router = Arc::clone(router);
    tokio::spawn(async move {
        match record(&router, &delivery, ending, trace).await {
            Ok(()) => {
                if let Err(e) = delivery.ack().await {
                    tracing::warn!("an acknowledgement was not sent: {e}");
                }
            }
            // Not acknowledged: it comes again, and is ended then.
            Err(e) => tracing::error!("a task could not be ended: {e}"),
        }
        drop(permit);
    });
}

async fn record(
    router: &Router,
    delivery: &Delivery,
    ending: Ending,
    trace: Option<TraceContext>,
) -> Result<(), BusError> {
    let mut span = Span::start("end task", SpanKind::Consumer, trace.as_ref());
    span.set(names::MESSAGING_SYSTEM, names::NATS);
    let trace = span.context();
    let trace_id = trace.as_ref().map(TraceContext::trace_id_hex).unwrap_or_default();
    match ending {
        Ending::Rejected(rejected) => {
            span.error(rejected.refusal.code.as_str(), &rejected.refusal.message);
            reject(router, delivery, &rejected, trace_id, trace.as_ref()).await
        }
        Ending::Task { routed, end, dead } => {
            span.set(names::TASK_OUTCOME, tasklane_contract::json::status_name(end.status().into()));
            end_task(router, delivery, *routed, end, dead, trace_id, trace.as_ref()).await
        }
        Ending::Unreadable(refusal) => {
            span.error(refusal.code.as_str(), &refusal.message);
            put_aside(router, delivery, &refusal, ANY_CAPABILITY, trace.as_ref()).await
        }
    }
}

async fn put_aside(
    router: &Router,
    delivery: &Delivery,
    refusal: &Refusal,
    capability: &str,
    trace: Option<&TraceContext>,
) -> Result<(), BusError> {
    let headers = delivery.headers().to_map();
    let letter =
        story::unreadable(delivery.body().clone(), refusal, delivery.subject(), headers, time::now_us());
    let id = format!("{}.{}", delivery.subject(), delivery.place.sequence);
    record::dead_letter(&router.bus, &letter, capability, &id, trace).await?;
    router.metrics.dead_letters("unreadable", refusal.code.as_str()).inc();
    Ok(())
}

/// The dead letter first, then the result: whoever sees the result finds the letter.
async fn reject(
    router: &Router,
    delivery: &Delivery,
    rejected: &Rejected,
    trace_id: String,
    trace: Option<&TraceContext>,
) -> Result<(), BusError> {
    put_aside(router, delivery, &rejected.refusal, ANY_CAPABILITY, trace).await?;
    let mut result = story::rejected_result(rejected, delivery.place.stored_at_us, trace_id, time::now_us());
    let to = Recipient { encoding: rejected.encoding, reply_to: rejected.reply_to.clone() };
    record::result(&router.bus, &mut result, &to, trace).await?;
    router.metrics.router_decisions("none", "rejected").inc();
    Ok(())
}

async fn end_task(
    router: &Router,
    delivery: &Delivery,
    routed: v1::Routed,
    end: End,
    dead: bool,
    trace_id: String,
    trace: Option<&TraceContext>,
) -> Result<(), BusError> {
    let task_type = routed.task.as_ref().map(|t| t.task_type.clone()).unwrap_or_default();
    if dead && let End::Failed(error) | End::Expired(error) = &end {
        let letter = story::dead_letter(routed.clone(), error.clone(), delivery.subject(), time::now_us());
        let id = format!("{}.d", routed.task.as_ref().map(|t| t.id.as_str()).unwrap_or_default());
        let capability = story::capability(&routed).to_owned();
        record::dead_letter(&router.bus, &letter, &capability, &id, trace).await?;
        router.metrics.dead_letters(&task_type, &error.code).inc();
    }
    let to = Recipient::of(&routed);
    let status = tasklane_contract::json::status_name(end.status().into());
    let mut result = story::result(routed, end, trace_id, time::now_us());
    record::result(&router.bus, &mut result, &to, trace).await?;
    router.metrics.router_decisions("none", status).inc();
    Ok(())
}

/// Ends a cancelled task that lies in a schedule, if it does, and removes the schedule.
///
/// # Errors
/// Where NATS does not answer.
pub async fn scheduled(router: &Router, task_id: &str) -> Result<(), BusError> {
    let stored = match router.bus.last_on(streams::TASKS, &subjects::schedule(task_id)).await {
        Ok(stored) => stored,
        Err(BusError::NotFound(_)) => return Ok(()),
        Err(e) => return Err(e),
    };
    let Ok(routed) = v1::Routed::decode(stored.body) else { return Ok(()) };
    let parent = record::get_trace(|name| stored.headers.get(name).map(str::to_owned));
    let span = Span::start("end task", SpanKind::Consumer, parent.as_ref());
    let trace = span.context();
    let trace_id = trace.as_ref().map(TraceContext::trace_id_hex).unwrap_or_default();
    let to = Recipient::of(&routed);
    let mut result = story::result(routed, cancelled(), trace_id, time::now_us());
    record::result(&router.bus, &mut result, &to, trace.as_ref()).await?;
    router.metrics.router_decisions("none", "cancelled").inc();
    if let Err(e) = router.bus.remove_message(streams::TASKS, stored.sequence).await {
        // It became due in between; the first result stands.
        tracing::debug!("the schedule of a cancelled task was not removed: {e}");
    }
    Ok(())
}

/// The end of a task that was cancelled before a worker had it.
pub fn cancelled() -> End {
    End::Cancelled(Refusal::new(code::CANCELLED, "the task was cancelled on request").to_error())
}

/// The end of a task whose deadline passed.
pub fn expired() -> End {
    let text = "the deadline passed before the task could begin; give it more time, or more workers";
    End::Expired(Refusal::new(code::EXPIRED, text).to_error())
}
