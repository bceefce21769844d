//! `tasklane dead`: tasks that were given up.

use tasklane_runtime::contract::code;
use tasklane_runtime::domain::name;

use crate::api::Replay;
use crate::cli::{DeadCommand, DeadListArgs, ReplayArgs};
use crate::error::{CliError, Exit};
use crate::format::{count, lists, one_line};
use crate::session::Session;

/// Lists, shows or replays.
///
/// # Errors
/// NATS, or the router's refusal.
pub async fn run(command: DeadCommand, session: &Session) -> Result<Exit, CliError> {
    match command {
        DeadCommand::List(args) => list(args, session).await,
        DeadCommand::Show { number } => {
            let bus = session.bus().await?;
            let request = serde_json::json!({"sequence": number});
            session.show(&bus, "api.dead.show", &request, lists::dead_letter).await?;
            Ok(Exit::Succeeded)
        }
        DeadCommand::Replay(args) => replay(args, session).await,
    }
}

/// A task type as dead letters name it.
fn task_type(given: Option<&str>) -> Result<Option<String>, CliError> {
    let normal = given.map(name::normalize_task_type).transpose();
    normal.map_err(|e| CliError::usage(code::BAD_NAME, e.to_string()))
}

async fn list(args: DeadListArgs, session: &Session) -> Result<Exit, CliError> {
    let wanted = task_type(args.task_type.as_deref())?;
    let bus = session.bus().await?;
    let request = serde_json::json!({"after": args.after, "limit": args.limit, "task_type": wanted});
    session.show(&bus, "api.dead.list", &request, lists::dead).await?;
    Ok(Exit::Succeeded)
}

async fn replay(args: ReplayArgs, session: &Session) -> Result<Exit, CliError> {
    let request = match (task_type(args.task_type.as_deref())?, args.all) {
        (Some(task_type), _) => serde_json::json!({"task_type": task_type}),
        (None, true) => serde_json::json!({"all": true}),
        (None, false) => serde_json::json!({"sequences": args.numbers}),
    };
    let bus = session.bus().await?;
    let answer = session.ask_raw(&bus, "api.dead.replay", &request).await?;
    let said: Replay = session.read("api.dead.replay", &answer)?;
    if session.json {
        session.print(&String::from_utf8_lossy(&answer))?;
    } else {
        for done in &said.replayed {
            session.print(&format!(
                "{}  {} is submitted again as {}",
                done.sequence,
                one_line(&done.task_id),
                one_line(&done.new_task_id)
            ))?;
        }
        for left in &said.refused {
            session.print(&format!("{}  not replayed: {}", left.sequence, one_line(&left.why)))?;
        }
        session.print(&format!("{} replayed", count(said.replayed.len() as u64, "dead letter")))?;
    }
    Ok(if said.refused.is_empty() { Exit::Succeeded } else { Exit::Failed })
}
