//! `tasklane workers`: every worker that is there, or the task types that they serve.

use crate::cli::WorkersArgs;
use crate::error::{CliError, Exit};
use crate::format::lists;
use crate::session::Session;

/// Lists workers.
///
/// # Errors
/// NATS, or the router's refusal.
pub async fn run(args: WorkersArgs, session: &Session) -> Result<Exit, CliError> {
    let bus = session.bus().await?;
    let render = if args.types { lists::task_types } else { lists::workers };
    session.show(&bus, "api.workers", &serde_json::json!({}), render).await?;
    Ok(Exit::Succeeded)
}
