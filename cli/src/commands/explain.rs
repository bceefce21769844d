//! `tasklane explain`: who would get a task, and why. Nothing is submitted or uploaded.

use crate::api::Explanation;
use crate::cli::ExplainArgs;
use crate::deliver;
use crate::error::{CliError, Exit};
use crate::format;
use crate::session::Session;

/// Explains. Exit 1 where nobody can do it.
///
/// # Errors
/// What is wrong with the task, or NATS.
pub async fn run(args: ExplainArgs, session: &Session) -> Result<Exit, CliError> {
    let plan = deliver::plan(&args.task, Some("{}"))?;
    let bus = session.bus().await?;
    let (_, answer) =
        bus.ask("api.route.explain", Default::default(), plan.task.body, session.timeout()).await?;
    let said: Explanation = session.read("api.route.explain", &answer)?;
    match session.json {
        true => session.print(&format::json::indent(&String::from_utf8_lossy(&answer)))?,
        false => session.print(&format::lists::explanation(&said, session.paint))?,
    }
    Ok(if matches!(said.route.pool.as_str(), "_" | "") { Exit::Failed } else { Exit::Succeeded })
}
