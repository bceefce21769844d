//! `tasklane run`: submit a task, show how far it is, print its result.

use std::convert::Infallible;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use tasklane_runtime::bus::Bus;
use tasklane_runtime::contract::code;

use super::result;
use crate::api::Explanation;
use crate::cli::RunArgs;
use crate::error::{CliError, Exit};
use crate::format;
use crate::news::{self, Waited};
use crate::session::Session;
use crate::{deliver, format::one_line};

/// After this long it is worth asking whether anybody can do the task at all.
const QUIET: Duration = Duration::from_secs(3);

/// Submits and waits.
///
/// # Errors
/// What is wrong with the task, or NATS.
pub async fn run(args: RunArgs, session: &Session) -> Result<Exit, CliError> {
    let mut plan = deliver::plan(&args.task, None)?;
    let bus = session.bus().await?;
    let feed = news::listen(&bus, &plan.task.task_type, &plan.task.id).await?;
    let line = progress_line(&plan.task.task_type);
    let submitted = deliver::send(&bus, &mut plan).await?;
    if submitted.duplicate {
        session.note(&format!("the task {} was submitted before; this is its result", submitted.id));
    }
    line.set_message("queued");
    let patience = Some(args.timeout).filter(|timeout| !timeout.is_zero());
    let waiting = news::wait(&bus, feed, &submitted.id, patience, |kind, body| {
        line.set_message(format::result::event(kind, body));
    });
    let waited = tokio::select! {
        waited = waiting => waited,
        never = warn_if_nobody(&bus, session, &plan.task.body, &line) => match never {},
    };
    line.finish_and_clear();
    match waited? {
        Waited::Done(stored) => result::show(&bus, &stored, args.output.as_deref(), session).await,
        Waited::Interrupted => {
            eprintln!("the task {} goes on", submitted.id);
            eprintln!("  tasklane result {0} --wait 1m   or   tasklane cancel {0}", submitted.id);
            Ok(Exit::Interrupted)
        }
        Waited::TooLong => Err(CliError::new(
            code::NATS,
            Exit::Unreachable,
            format!("no result of {} after {:?}; the task goes on", submitted.id, args.timeout),
        )
        .remedy(format!(
            "tasklane result {0} --wait 10m   or   tasklane explain {1}   or   tasklane cancel {0}",
            submitted.id, submitted.task_type
        ))),
    }
}

/// One line on standard error that shows how far the task is; nothing where that is no terminal.
fn progress_line(task_type: &str) -> ProgressBar {
    let line = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {prefix}  {elapsed}  {wide_msg}") {
        line.set_style(style);
    }
    line.set_prefix(one_line(task_type));
    line.set_message("submitting");
    line.enable_steady_tick(Duration::from_millis(120));
    line
}

/// A task that nobody can do waits in silence; whoever waits for it should know. Never returns.
async fn warn_if_nobody(bus: &Bus, session: &Session, task: &bytes::Bytes, line: &ProgressBar) -> Infallible {
    tokio::time::sleep(QUIET).await;
    let asked = bus.ask("api.route.explain", Default::default(), task.clone(), session.timeout()).await;
    let warning = match asked {
        Ok((_, answer)) => serde_json::from_slice::<Explanation>(&answer)
            .ok()
            .filter(|said| matches!(said.route.pool.as_str(), "_" | ""))
            .map(|said| format!("nobody can do it now: {}; the task waits", one_line(&said.route.reason))),
        Err(e) => Some(format!("{}; the task is stored and waits", CliError::from(e))),
    };
    if let Some(warning) = warning {
        line.suspend(|| session.warn(&warning));
    }
    std::future::pending().await
}
