//! `tasklane submit`: store a task and print its id.

use crate::cli::SubmitArgs;
use crate::deliver;
use crate::error::{CliError, Exit};
use crate::session::Session;

/// Submits.
///
/// # Errors
/// What is wrong with the task, or NATS.
pub async fn run(args: SubmitArgs, session: &Session) -> Result<Exit, CliError> {
    let mut plan = deliver::plan(&args.task, None)?;
    let bus = session.bus().await?;
    let submitted = deliver::send(&bus, &mut plan).await?;
    if submitted.duplicate {
        session.note("a task with this id was submitted before; this one was not stored again");
    }
    match session.json {
        true => session.print(
            &serde_json::json!({"id": submitted.id, "task_type": submitted.task_type, "duplicate": submitted.duplicate})
                .to_string(),
        )?,
        false => session.print(&submitted.id)?,
    }
    Ok(Exit::Succeeded)
}
