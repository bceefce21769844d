//! `models list`, `models load` and `models unload`: what every ml worker is asked.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tasklane_models::{ModelName, bucket};
use tasklane_runtime::bus::Bus;
use tasklane_runtime::bus::endpoint::Patience;
use tasklane_runtime::contract::streams::{CONTROL, MODEL_KEYS};
use tasklane_runtime::contract::{code, subjects};

use super::args::{LoadArgs, ModelArgs};
use crate::error::{CliError, Exit};
use crate::format::models::{Held, Loaded, Stored, Unloaded};
use crate::format::{json, models};
use crate::session::Session;

/// How long more answers may take after one: workers answer at once, the first may have to look into its folder.
const QUIET: Duration = Duration::from_millis(400);

/// Lists what is in the store, and what the workers have.
pub async fn list(session: &Session) -> Result<Exit, CliError> {
    let bus = session.bus().await?;
    let stored: Vec<Stored> = bucket::list(&bus).await?.iter().map(Stored::of).collect();
    let answers =
        everybody(&bus, session, subjects::MODELS_LIST, &json!({}), session.timeout(), None).await?;
    if session.json {
        let workers: Vec<Value> = read(session, subjects::MODELS_LIST, &answers)?;
        let told = json!({"store": stored, "workers": workers});
        session.print(&json::indent(&told.to_string()))?;
    } else {
        let held: Vec<Held> = read(session, subjects::MODELS_LIST, &answers)?;
        session.print(&models::list(&stored, &held, session.paint))?;
    }
    Ok(Exit::Succeeded)
}

/// A decoder that some worker has loaded: the first by name.
///
/// # Errors
/// NATS, or an answer that cannot be read.
pub async fn decoder(bus: &Bus, session: &Session) -> Result<Option<String>, CliError> {
    let answers = everybody(bus, session, subjects::MODELS_LIST, &json!({}), session.timeout(), None).await?;
    let held: Vec<Held> = read(session, subjects::MODELS_LIST, &answers)?;
    Ok(held.iter().flat_map(Held::decoders).min().map(str::to_owned))
}

/// Loads a model everywhere. When one worker has it, it is switched on for those that start later.
pub async fn load(args: LoadArgs, session: &Session) -> Result<Exit, CliError> {
    let bus = session.bus().await?;
    let asked = everybody(&bus, session, subjects::MODELS_LIST, &json!({}), session.timeout(), None).await?;
    let there: Vec<Held> = read(session, subjects::MODELS_LIST, &asked)?;
    let workers: BTreeSet<String> = there.into_iter().map(|held| held.worker).collect();
    if workers.is_empty() {
        return Err(nobody());
    }
    let question = json!({"model": args.model.to_string()});
    let answers =
        everybody(&bus, session, subjects::MODELS_LOAD, &question, args.timeout, Some(workers.clone()))
            .await?;
    let loaded: Vec<Loaded> = read(session, subjects::MODELS_LOAD, &answers)?;
    if loaded.iter().any(|one| one.error.is_none()) {
        bus.bucket(CONTROL).await?.put(&key(&args.model), Bytes::from_static(b"{}")).await?;
    }
    let silent: Vec<String> =
        workers.into_iter().filter(|worker| !loaded.iter().any(|one| one.worker == *worker)).collect();
    if session.json {
        let told: Vec<Value> = read(session, subjects::MODELS_LOAD, &answers)?;
        session.print(&json::indent(&json!({"workers": told, "silent": silent}).to_string()))?;
    } else {
        session.print(&models::loaded(&args.model.to_string(), &loaded, &silent, session.paint))?;
    }
    let all = silent.is_empty() && loaded.iter().all(|one| one.error.is_none());
    Ok(if all { Exit::Succeeded } else { Exit::Failed })
}

/// Takes a model out everywhere, and then switches it off: the switch alone would do, but tells nobody what it did. Who starts
/// in between loads it for the switch, and takes it out with it.
pub async fn unload(args: ModelArgs, session: &Session) -> Result<Exit, CliError> {
    let bus = session.bus().await?;
    let question = json!({"model": args.model.to_string()});
    let answers = everybody(&bus, session, subjects::MODELS_UNLOAD, &question, session.timeout(), None).await;
    switch_off(&bus, &args.model).await?;
    let answers = answers?;
    if session.json {
        let told: Vec<Value> = read(session, subjects::MODELS_UNLOAD, &answers)?;
        session.print(&json::indent(&json!({"workers": told}).to_string()))?;
    } else {
        let unloaded: Vec<Unloaded> = read(session, subjects::MODELS_UNLOAD, &answers)?;
        session.print(&models::unloaded(&args.model.to_string(), &unloaded))?;
    }
    Ok(Exit::Succeeded)
}

/// Of a name without a version, all its switches.
async fn switch_off(bus: &Bus, model: &ModelName) -> Result<(), CliError> {
    let control = bus.bucket(CONTROL).await?;
    let meant = |key: &String| {
        let name = key.strip_prefix(MODEL_KEYS).and_then(ModelName::from_key);
        name.is_some_and(|name| name == *model || (model.version.is_none() && name.name == model.name))
    };
    for key in control.keys(&format!("{MODEL_KEYS}>"), 10_000).await?.iter().filter(|key| meant(key)) {
        control.remove(key).await?;
    }
    Ok(())
}

fn key(model: &ModelName) -> String {
    format!("{MODEL_KEYS}{}", model.key())
}

/// The answers of all workers: of those that are named, or, where nobody knows who there is, of all that come soon after each
/// other. That nobody listens is no answer.
async fn everybody(
    bus: &Bus,
    session: &Session,
    subject: &str,
    question: &Value,
    patience: Duration,
    mut of: Option<BTreeSet<String>>,
) -> Result<Vec<Bytes>, CliError> {
    let mut answers = Vec::new();
    let mut unread = None;
    let hear = |answer: Bytes| {
        let from: Result<models::From, CliError> = session.read(subject, &answer);
        answers.push(answer);
        match (from, &mut of) {
            (Err(e), _) => {
                unread = Some(e);
                Patience::Enough
            }
            (Ok(_), None) => Patience::Until(QUIET),
            (Ok(from), Some(left)) => {
                left.remove(&from.worker);
                if left.is_empty() { Patience::Enough } else { Patience::More }
            }
        }
    };
    let body = Bytes::from(question.to_string());
    match bus.ask_all(subject, body, patience, hear).await {
        Err(tasklane_runtime::bus::BusError::NoAnswer { reason, .. }) if reason == "no responders" => {}
        asked => asked?,
    }
    match unread {
        Some(e) => Err(e),
        None => Ok(answers),
    }
}

fn read<T: DeserializeOwned>(
    session: &Session,
    subject: &str,
    answers: &[Bytes],
) -> Result<Vec<T>, CliError> {
    answers.iter().map(|answer| session.read(subject, answer)).collect()
}

fn nobody() -> CliError {
    CliError::new(code::NATS, Exit::Unreachable, "no ml worker answers")
        .remedy("start one; with users of NATS, ask as `operator`")
}
