//! `tasklane vectors`: collections seen from their operator.

pub mod args;

use std::time::Duration;

use args::VectorsCommand;
use bytes::Bytes;
use serde_json::{Value, json};
use tasklane_runtime::bus::BusError;
use tasklane_runtime::bus::endpoint::Patience;
use tasklane_runtime::contract::subjects;

use crate::collection::{COLLECTIONS, Listed};
use crate::error::{CliError, Exit};
use crate::format::{Paint, json as layout, vectors};
use crate::session::Session;
use crate::work::Work;

const SNAPSHOT: &str = "vector_snapshot";
/// How long more answers may take after one.
const QUIET: Duration = Duration::from_millis(400);

/// Does what was asked.
///
/// # Errors
/// There is no such collection, nobody answers, or NATS.
pub async fn run(command: VectorsCommand, session: &Session) -> Result<Exit, CliError> {
    let (task, payload) = match &command {
        VectorsCommand::Replicas => return replicas(session).await,
        VectorsCommand::List => (COLLECTIONS, json!({"action": "list"})),
        VectorsCommand::Describe(args) => {
            (COLLECTIONS, json!({"action": "describe", "collection": args.collection}))
        }
        VectorsCommand::Drop(args) => (COLLECTIONS, json!({"action": "drop", "collection": args.collection})),
        VectorsCommand::Alias(args) => {
            (COLLECTIONS, json!({"action": "alias", "alias": args.alias, "collection": args.collection}))
        }
        VectorsCommand::Unalias { alias } => (COLLECTIONS, json!({"action": "unalias", "alias": alias})),
        VectorsCommand::Snapshot(args) => {
            (SNAPSHOT, json!({"action": "take", "collection": args.collection}))
        }
        VectorsCommand::Snapshots(args) => {
            (SNAPSHOT, json!({"action": "list", "collection": args.collection}))
        }
        VectorsCommand::Restore(args) => {
            let mut payload =
                json!({"action": "restore", "collection": args.collection, "snapshot": args.snapshot});
            if let Some(into) = &args.into {
                payload["into"] = into.as_str().into();
            }
            (SNAPSHOT, payload)
        }
    };
    let work = Work::new(session).await?;
    let answer = work.ask(task, &payload, None).await?;
    let text = match (session.json, &command) {
        (true, _) => layout::indent(&String::from_utf8_lossy(&answer)),
        (false, VectorsCommand::List) => {
            vectors::list(&session.read::<Listed>(task, &answer)?.collections, session.paint)
        }
        (false, command) => said(command, &session.read(task, &answer)?, session.paint),
    };
    session.print(&text)?;
    Ok(Exit::Succeeded)
}

fn said(command: &VectorsCommand, answer: &Value, paint: Paint) -> String {
    match command {
        VectorsCommand::Drop(args) => format!("{} is gone", args.collection),
        VectorsCommand::Alias(args) => format!("{} is {} now", args.alias, args.collection),
        VectorsCommand::Unalias { alias } => format!("{alias} is no name any more"),
        VectorsCommand::Snapshots(_) => vectors::rows(answer, "snapshots", paint),
        _ => vectors::facts(answer, paint),
    }
}

/// How far every vector indexer is with every collection.
async fn replicas(session: &Session) -> Result<Exit, CliError> {
    let bus = session.bus().await?;
    let mut heard: Vec<Bytes> = Vec::new();
    let hear = |answer| {
        heard.push(answer);
        Patience::Until(QUIET)
    };
    match bus.ask_all(subjects::VECTORS_REPLICAS, Bytes::new(), session.timeout(), hear).await {
        // That nobody listens is what there is to say.
        Ok(()) | Err(BusError::NoAnswer { .. }) => {}
        Err(e) => return Err(e.into()),
    }
    let read = heard.iter().map(|answer| session.read(subjects::VECTORS_REPLICAS, answer));
    let mut all: Vec<Value> = read.collect::<Result<_, CliError>>()?;
    all.sort_by_key(|one| one["worker"].to_string());
    if session.json {
        session.print(&layout::indent(&json!({"replicas": all}).to_string()))?;
    } else {
        session.print(&vectors::replicas(&all, session.paint))?;
    }
    Ok(Exit::Succeeded)
}
