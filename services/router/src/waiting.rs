//! The lane `_`: tasks that nobody can do now. Each is looked at again after a short rest, and routed as soon as
//! somebody who can do it is there; past its time it ends, saying who was missing.

use std::sync::Arc;

use tasklane_bus::pull::{Pulled, Puller};
use tasklane_bus::{BusError, Delivery};
use tasklane_contract::story::End;
use tasklane_contract::{Message as _, Refusal, code, streams, time, v1};
use tasklane_domain::lane::{self, NOWHERE};
use tasklane_domain::priority::Priority;
use tasklane_runtime::record;

use crate::end::{self, Ending};
use crate::state::Router;
use crate::{fleet, intake, plan};

/// Messages of this lane that are looked at together.
const WINDOW: u32 = 500;

/// Looks after one priority of the lane until the router stops.
///
/// # Errors
/// Where the client is closed.
pub async fn run(router: &Arc<Router>, priority: Priority) -> Result<(), BusError> {
    let consumer = lane::consumer_name(NOWHERE, priority);
    let mut puller = Puller::open(&router.bus, streams::WORK, &consumer).await?;
    loop {
        if puller.credit() <= WINDOW / 2 {
            puller.ask(WINDOW - puller.credit()).await?;
        }
        let pulled = tokio::select! {
            pulled = puller.next() => pulled,
            () = router.stop.cancelled() => return Ok(()),
        };
        match pulled {
            Pulled::Message(delivery) => look(router, delivery).await,
            Pulled::CreditBack(_) => {}
            Pulled::ConsumerGone => tokio::time::sleep(std::time::Duration::from_secs(1)).await,
        }
    }
}

async fn look(router: &Arc<Router>, delivery: Delivery) {
    let trace = record::get_trace(|name| delivery.header(name).map(str::to_owned));
    let routed = v1::Routed::decode(delivery.body().clone()).unwrap_or_default();
    let Some(task) = routed.task.as_ref() else {
        let refusal = Refusal::new(code::UNREADABLE, "what lies on this lane is no task");
        return end::end(router, delivery, Ending::Unreadable(refusal), trace).await;
    };
    let (able, waiting) = {
        let planner = router.planner();
        let waiting = planner.fleet().lanes.get(NOWHERE).map_or(0, |l| fleet::queued(l) + fleet::out(l));
        (planner.decide(task).pool.is_some(), waiting)
    };
    if able || router.cancels.is_cancelled(&task.id) {
        return intake::route(router, delivery, routed, trace).await;
    }
    let now_us = time::now_us();
    let has_deadline = task.deadline_us != 0;
    let late = has_deadline && task.deadline_us <= now_us;
    let wait_s = router.config.edge.wait_for_worker_s;
    if late || plan::waited_enough(routed.submitted_at_us, now_us, has_deadline, wait_s) {
        let missing = router.planner().missing(task);
        let end = End::Expired(missing.to_error());
        let ending = Ending::Task { routed: Box::new(routed), end, dead: !has_deadline };
        return end::end(router, delivery, ending, trace).await;
    }
    let mut rest = plan::rest_ms(waiting);
    if has_deadline {
        let left_ms = u64::try_from((task.deadline_us - now_us) / 1000).unwrap_or(0);
        rest = rest.min(left_ms + 1);
    }
    if let Err(e) = delivery.put_back(rest).await {
        tracing::warn!("a waiting task comes again by itself: {e}");
    }
}
