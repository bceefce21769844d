//! `tasklane watch`: events and results as they come.

use futures::StreamExt as _;
use tasklane_runtime::contract::code;
use tasklane_runtime::domain::name;

use super::result::check_id;
use crate::cli::WatchArgs;
use crate::error::{CliError, Exit};
use crate::format::{self, one_line};
use crate::news::{self, Feed, News};
use crate::record::Stored;
use crate::session::Session;

/// Shows news until Ctrl-C; of one task until its result.
///
/// # Errors
/// NATS.
pub async fn run(args: WatchArgs, session: &Session) -> Result<Exit, CliError> {
    let wanted = args.task_type.as_deref().map(name::normalize_task_type).transpose();
    let wanted = wanted.map_err(|e| CliError::usage(code::BAD_NAME, e.to_string()))?;
    args.id.as_deref().map_or(Ok(()), check_id)?;
    let bus = session.bus().await?;
    let feed =
        news::listen(&bus, wanted.as_deref().unwrap_or("*"), args.id.as_deref().unwrap_or("*")).await?;
    if let Some(id) = &args.id
        && let Some(stored) = news::stored(&bus, id).await?
    {
        result(&stored, session)?;
        return Ok(stored.record.exit());
    }
    tokio::select! {
        ended = follow(feed, wanted.as_deref(), args.id.is_some(), session) => ended,
        Ok(()) = tokio::signal::ctrl_c() => Ok(Exit::Succeeded),
    }
}

async fn follow(
    mut feed: Feed,
    wanted: Option<&str>,
    one: bool,
    session: &Session,
) -> Result<Exit, CliError> {
    while let Some(news) = feed.next().await {
        match news {
            News::Result(stored) if wanted.is_none_or(|wanted| wanted == stored.record.task_type) => {
                result(&stored, session)?;
                if one {
                    return Ok(stored.record.exit());
                }
            }
            News::Result(_) => {}
            News::Event { task_type, task_id, kind, body } => {
                let line = match session.json {
                    true => serde_json::json!({
                        "event": kind, "task_type": task_type, "task_id": task_id, "body": body
                    })
                    .to_string(),
                    false => format!(
                        "{}  {}  {}  {}",
                        "· running  ",
                        one_line(&task_type),
                        session.paint.dim(&one_line(&task_id)),
                        format::result::event(&kind, &body)
                    ),
                };
                session.print(&line)?;
            }
        }
    }
    Err(CliError::new(code::NATS, Exit::Unreachable, "the connection to NATS is closed"))
}

/// A result on one line: for people, or the record as it was stored.
fn result(stored: &Stored, session: &Session) -> Result<(), CliError> {
    match session.json {
        // The stored record has no line breaks outside of strings, and inside they are escaped.
        true => session.print(&stored.text.replace('\n', " ")),
        false => session.print(&format::result::line(&stored.record, session.paint)),
    }
}
