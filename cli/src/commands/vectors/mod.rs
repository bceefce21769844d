//! `tasklane vectors`: collections seen from their operator.

pub mod args;

use args::VectorsCommand;
use serde_json::{Value, json};

use crate::api::Workers;
use crate::collection::{COLLECTIONS, Listed, SEARCH};
use crate::error::{CliError, Exit};
use crate::format::{Paint, json as layout, vectors};
use crate::session::Session;
use crate::work::Work;

const SNAPSHOT: &str = "vector_snapshot";

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

/// The workers that serve searches.
async fn replicas(session: &Session) -> Result<Exit, CliError> {
    let bus = session.bus().await?;
    let answer = session.ask_raw(&bus, "api.workers", &json!({})).await?;
    if session.json {
        let mut all: Value = session.read("api.workers", &answer)?;
        let serves = |worker: &Value| {
            let types = worker["task_types"].as_array();
            types.is_some_and(|types| types.iter().any(|one| one["name"] == SEARCH))
        };
        if let Some(workers) = all["workers"].as_array_mut() {
            workers.retain(serves);
        }
        session.print(&layout::indent(&json!({"replicas": all["workers"]}).to_string()))?;
    } else {
        let mut all: Workers = session.read("api.workers", &answer)?;
        all.workers.retain(|worker| worker.task_types.iter().any(|one| one.name == SEARCH));
        session.print(&vectors::replicas(&all.workers, session.paint))?;
    }
    Ok(Exit::Succeeded)
}
