//! `api.route.explain`: the decision for a task that is not submitted.

use tasklane_bus::endpoint::Asked;
use tasklane_contract::submission::{self, Incoming};
use tasklane_contract::{Refusal, headers, json, subjects, time, v1};

use crate::state::Router;

/// Decides, and changes nothing.
///
/// # Errors
/// What is wrong with the task.
pub fn explain(router: &Router, asked: &Asked) -> Result<Vec<u8>, Refusal> {
    let given = asked.headers();
    let incoming = Incoming {
        subject: subjects::SUBMIT,
        header: &|name| if name == headers::MSG_ID { None } else { given.get(name).map(str::to_owned) },
        body: asked.body(),
        stream: "",
        sequence: 0,
        stored_at_us: time::now_us(),
    };
    let read = submission::read(&incoming, &router.limits).map_err(|rejected| rejected.refusal)?;
    let decided = router.planner().decide(&read.task);
    let needs = v1::Requirements {
        required_capabilities: decided.needs.capabilities.clone(),
        preferred_worker_type: decided.needs.preferred_worker_type.clone().unwrap_or_default(),
        max_processing_time_ms: decided.needs.max_time_ms,
        memory_requirement_mb: decided.needs.memory_mb,
    };
    Ok(json::encode_route(&decided.route, &needs))
}
