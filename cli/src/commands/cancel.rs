//! `tasklane cancel`: end a task that waits or runs.

use super::result::check_id;
use crate::api::Cancelled;
use crate::cli::IdArgs;
use crate::error::{CliError, Exit};
use crate::session::Session;

/// Cancels.
///
/// # Errors
/// NATS, or the router's refusal.
pub async fn run(args: IdArgs, session: &Session) -> Result<Exit, CliError> {
    check_id(&args.id)?;
    let bus = session.bus().await?;
    let answer = session.ask_raw(&bus, "api.task.cancel", &serde_json::json!({"id": args.id})).await?;
    let said: Cancelled = session.read("api.task.cancel", &answer)?;
    match (session.json, said.cancelled) {
        (true, _) => session.print(&String::from_utf8_lossy(&answer))?,
        (false, true) => session.print(&format!("{} is being cancelled", args.id))?,
        (false, false) => {
            let status = said.status.as_deref().unwrap_or("finished");
            session.print(&format!("{} was not cancelled: it had ended before ({status})", args.id))?;
        }
    }
    Ok(if said.cancelled { Exit::Succeeded } else { Exit::Failed })
}
