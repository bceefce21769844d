//! What comes in: submissions, retries, delayed tasks that are due, and tasks that were handed back.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tasklane_bus::pull::{Pulled, Puller};
use tasklane_bus::{BusError, Delivery};
use tasklane_contract::story::End;
use tasklane_contract::submission::{self, Incoming, Rejected, Submission};
use tasklane_contract::{Message as _, Refusal, code, streams, subjects, time, v1};
use tasklane_domain::expiry::Admit;
use tasklane_runtime::record;
use tasklane_telemetry::TraceContext;

use crate::end::{self, Ending};
use crate::put;
use crate::state::Router;

/// Pulls and routes until the router stops.
///
/// # Errors
/// Where the client is closed.
pub async fn run(router: &Arc<Router>) -> Result<(), BusError> {
    let mut puller = Puller::open(&router.bus, streams::TASKS, streams::ROUTER_CONSUMER).await?;
    let window = router.config.edge.window;
    loop {
        if puller.credit() <= window / 2 {
            puller.ask(window - puller.credit()).await?;
        }
        let pulled = tokio::select! {
            pulled = puller.next() => pulled,
            () = router.stop.cancelled() => break,
        };
        match pulled {
            Pulled::Message(delivery) => take(router, delivery).await,
            Pulled::CreditBack(_) => {}
            Pulled::ConsumerGone => {
                tracing::warn!("the router's consumer is gone or has no leader yet; seeing that it is there");
                tokio::time::sleep(Duration::from_millis(200)).await;
                crate::provision::own(router).await;
            }
        }
    }
    for delivery in puller.close().await {
        take(router, delivery).await;
    }
    Ok(())
}

async fn take(router: &Arc<Router>, delivery: Delivery) {
    let trace = record::get_trace(|name| delivery.header(name).map(str::to_owned));
    if delivery.subject() == subjects::RETRY {
        return retried(router, delivery, trace).await;
    }
    match read(router, &delivery) {
        Ok(submission) => {
            let routed = v1::Routed {
                task: Some(submission.task),
                submitted_at_us: delivery.place.stored_at_us,
                reply_to: submission.reply_to,
                encoding: submission.encoding.into(),
                ..v1::Routed::default()
            };
            submitted(router, delivery, routed, trace).await;
        }
        Err(rejected) => end::end(router, delivery, Ending::Rejected(rejected), trace).await,
    }
}

fn read(router: &Router, delivery: &Delivery) -> Result<Submission, Box<Rejected>> {
    let incoming = Incoming {
        subject: delivery.subject(),
        header: &|name| delivery.header(name).map(str::to_owned),
        body: delivery.body(),
        stream: streams::TASKS,
        sequence: delivery.place.sequence,
        stored_at_us: delivery.place.stored_at_us,
    };
    submission::read(&incoming, &router.limits)
}

async fn submitted(
    router: &Arc<Router>,
    delivery: Delivery,
    routed: v1::Routed,
    trace: Option<TraceContext>,
) {
    let Some(task) = routed.task.as_ref() else { return };
    let admitted = {
        let planner = router.planner();
        planner.validate(task).and_then(|()| planner.admit(task, time::now_us()))
    };
    match admitted {
        Ok(Admit::Now) => route(router, delivery, routed, trace).await,
        Ok(Admit::Delay(ms)) => delay(router, delivery, routed, ms, trace).await,
        Ok(Admit::Expired) => {
            let ending = Ending::Task { routed: Box::new(routed), end: end::expired(), dead: false };
            end::end(router, delivery, ending, trace).await;
        }
        Err(refusal) => refuse(router, delivery, routed, &refusal, trace).await,
    }
}

/// A task that could be read and cannot be accepted: the dead letter keeps it whole, for it may fit tomorrow's schema.
async fn refuse(
    router: &Arc<Router>,
    delivery: Delivery,
    routed: v1::Routed,
    refusal: &Refusal,
    trace: Option<TraceContext>,
) {
    let end = End::Failed(refusal.to_error());
    let ending = Ending::Task { routed: Box::new(routed), end, dead: true };
    end::end(router, delivery, ending, trace).await;
}

/// A task that has its envelope already.
async fn retried(router: &Arc<Router>, delivery: Delivery, trace: Option<TraceContext>) {
    match v1::Routed::decode(delivery.body().clone()) {
        Ok(routed) if routed.task.is_some() => {
            let deadline_us = routed.task.as_ref().map_or(0, |t| t.deadline_us);
            if deadline_us != 0 && deadline_us <= time::now_us() {
                let ending = Ending::Task { routed: Box::new(routed), end: end::expired(), dead: false };
                return end::end(router, delivery, ending, trace).await;
            }
            // A replay was never routed, and may not fit what its type is today.
            let new = routed.task.as_ref().filter(|_| routed.hops == 0);
            let checked = new.map_or(Ok(()), |task| router.planner().validate(task));
            if let Err(refusal) = checked {
                return refuse(router, delivery, routed, &refusal, trace).await;
            }
            route(router, delivery, routed, trace).await;
        }
        _ => {
            let text = "tasks.retry carries tasks that workers send back; submit on tasks.submit instead";
            let refusal = Refusal::new(code::UNREADABLE, text);
            end::end(router, delivery, Ending::Unreadable(refusal), trace).await;
        }
    }
}

/// Onto a lane, unless the task is cancelled.
pub async fn route(
    router: &Arc<Router>,
    delivery: Delivery,
    routed: v1::Routed,
    trace: Option<TraceContext>,
) {
    if routed.task.as_ref().is_some_and(|t| router.cancels.is_cancelled(&t.id)) {
        let ending = Ending::Task { routed: Box::new(routed), end: end::cancelled(), dead: false };
        return end::end(router, delivery, ending, trace).await;
    }
    if let Err(too_large) = put::put(router, delivery, routed, trace.clone()).await {
        let (delivery, routed, refusal) = *too_large;
        refuse(router, delivery, routed, &refusal, trace).await;
    }
}

/// Not before its time: a schedule brings it to `tasks.retry` when it is due. In a task of its own, for the stream's
/// word is waited for.
async fn delay(
    router: &Arc<Router>,
    delivery: Delivery,
    routed: v1::Routed,
    ms: u64,
    trace: Option<TraceContext>,
) {
    let Ok(permit) = Arc::clone(&router.endings).acquire_owned().await else { return };
    let router = Arc::clone(router);
    tokio::spawn(async move {
        let id = routed.task.as_ref().map(|t| t.id.as_str()).unwrap_or_default();
        let out = record::to_router(&routed, &format!("{id}.n"), trace.as_ref());
        let said = match router.bus.schedule(id, SystemTime::now() + Duration::from_millis(ms), out).await {
            Ok(_) => {
                // Whoever cancelled it a moment ago found no schedule to end.
                if router.cancels.is_cancelled(id)
                    && let Err(e) = end::scheduled(&router, id).await
                {
                    tracing::warn!("a cancelled task ends only when it is due: {e}");
                }
                delivery.ack().await
            }
            Err(e) => {
                tracing::warn!("a delayed task could not be scheduled now: {e}");
                delivery.put_back(1_000).await
            }
        };
        if let Err(e) = said {
            tracing::warn!("a delayed task comes again: {e}");
        }
        drop(permit);
    });
}
