//! `tasklane lanes`: every pool with its queue, and the streams.

use crate::error::{CliError, Exit};
use crate::format::lists;
use crate::session::Session;

/// Lists pools.
///
/// # Errors
/// NATS, or the router's refusal.
pub async fn run(session: &Session) -> Result<Exit, CliError> {
    let bus = session.bus().await?;
    session.show(&bus, "api.lanes", &serde_json::json!({}), lists::lanes).await?;
    Ok(Exit::Succeeded)
}
