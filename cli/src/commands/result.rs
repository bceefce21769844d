//! `tasklane result`: show how a task ended.

use std::path::Path;

use bytes::Bytes;
use tasklane_runtime::bus::Bus;
use tasklane_runtime::contract::{code, submission};
use tasklane_runtime::domain::name;

use crate::cli::ResultArgs;
use crate::error::{CliError, Exit};
use crate::format;
use crate::news::{self, Waited};
use crate::record::{Record, Stored};
use crate::session::Session;

/// The largest result that is fetched from the object store.
const MAX_BYTES: usize = 1 << 30;

/// Shows a result, and waits for it if that was asked.
///
/// # Errors
/// There is none (yet), or NATS.
pub async fn run(args: ResultArgs, session: &Session) -> Result<Exit, CliError> {
    check_id(&args.id)?;
    let bus = session.bus().await?;
    let waited = match args.wait {
        None => news::stored(&bus, &args.id).await?.map(|stored| Waited::Done(Box::new(stored))),
        Some(patience) => {
            let feed = news::listen(&bus, "*", &args.id).await?;
            Some(news::wait(&bus, feed, &args.id, Some(patience), |_, _| {}).await?)
        }
    };
    match waited {
        Some(Waited::Done(stored)) => show(&bus, &stored, args.output.as_deref(), session).await,
        Some(Waited::Interrupted) => Ok(Exit::Interrupted),
        Some(Waited::TooLong) | None => {
            Err(CliError::new(code::NOT_FOUND, Exit::Unreachable, format!("there is no result of {}", args.id))
                .remedy("the task is not finished, its result is past its age (a day), or there never was such a task; --wait 30s waits"))
        }
    }
}

/// Refuses what cannot be a task's id.
///
/// # Errors
/// TL1012.
pub fn check_id(id: &str) -> Result<(), CliError> {
    name::check_task_id(id).map_err(|e| CliError::usage(code::BAD_ID, e.to_string()))
}

/// Prints a result and, where asked, saves what the task returned.
///
/// # Errors
/// A file that cannot be written, or NATS.
pub async fn show(
    bus: &Bus,
    stored: &Stored,
    output: Option<&Path>,
    session: &Session,
) -> Result<Exit, CliError> {
    let record = &stored.record;
    let saved = match output {
        Some(path) if record.status == "succeeded" => Some(save(bus, record, path).await?),
        _ => None,
    };
    match session.wants_json() {
        true => session.print(&format::json::indent(&stored.text))?,
        false => session.print(&format::result::summary(record, saved.as_deref(), session.paint))?,
    }
    Ok(record.exit())
}

/// What the task returned, wherever it lies.
///
/// # Errors
/// NATS, or what is not encoded as it says.
pub async fn returned(bus: &Bus, record: &Record) -> Result<Bytes, CliError> {
    match submission::split_reference(&record.result_ref) {
        Some((bucket, name)) => Ok(bus.get_object(bucket, name, MAX_BYTES).await?),
        None => Ok(record.payload()?.unwrap_or_default()),
    }
}

/// Writes what the task returned to a file, and says what was written.
async fn save(bus: &Bus, record: &Record, path: &Path) -> Result<String, CliError> {
    let bytes = returned(bus, record).await?;
    let failed =
        |e| CliError::new(code::INTERNAL, Exit::Failed, format!("{} cannot be written: {e}", path.display()));
    tokio::fs::write(path, &bytes).await.map_err(failed)?;
    Ok(format!("{} ({})", path.display(), format::bytes(bytes.len() as u64)))
}
