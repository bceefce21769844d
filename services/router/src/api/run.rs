//! `api.run.<task type>`: submit and wait. The worker sends the result to the asker, so that no router need remember
//! who waits.

use tasklane_bus::Outgoing;
use tasklane_bus::endpoint::Asked;
use tasklane_contract::submission::{self, Incoming};
use tasklane_contract::{Refusal, code, headers, id, subjects, time};

use super::refused;
use crate::state::Router;

/// Submits what was asked.
///
/// # Errors
/// What is wrong with the submission, and a task type that nobody serves: somebody waits, so it is said at once.
pub async fn run(router: &Router, asked: &Asked) -> Result<(), Refusal> {
    let task_type = asked.subject().strip_prefix("api.run.").unwrap_or_default();
    let Some(reply_to) = asked.reply_to() else {
        return Err(Refusal::new(code::BAD_REQUEST, "api.run is asked with a reply subject (`nats req`)"));
    };
    let submit = format!("{}{task_type}", subjects::SUBMIT_PREFIX);
    check(router, asked, &submit)?;
    let mut headers = asked.headers();
    if headers.get(headers::MSG_ID).is_none() {
        headers.set(headers::MSG_ID, &id::fresh());
    }
    headers.set(headers::REPLY_TO, reply_to);
    let out = Outgoing { subject: submit, headers, body: asked.body().clone() };
    router.bus.store(out).await.map(drop).map_err(|e| refused(&e))
}

fn check(router: &Router, asked: &Asked, submit: &str) -> Result<(), Refusal> {
    let given = asked.headers();
    let incoming = Incoming {
        subject: submit,
        header: &|name| given.get(name).map(str::to_owned),
        body: asked.body(),
        stream: "",
        sequence: 0,
        stored_at_us: time::now_us(),
    };
    let read = submission::read(&incoming, &router.limits).map_err(|rejected| rejected.refusal)?;
    let planner = router.planner();
    planner.validate(&read.task)?;
    let missing = planner.missing(&read.task);
    if missing.code == code::UNKNOWN_TASK_TYPE { Err(missing) } else { Ok(()) }
}
