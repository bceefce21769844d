//! `api.dead.list`, `api.dead.show` and `api.dead.replay`.

use serde::Deserialize;
use serde_json::{Value, json};
use tasklane_bus::BusError;
use tasklane_bus::endpoint::Asked;
use tasklane_contract::{Message as _, Refusal, code, id, json as wire, streams, time, v1};
use tasklane_runtime::record;

use super::{body, json as to_json, refused};
use crate::state::Router;

/// Letters that one request lists or replays.
const MOST: usize = 1_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    #[serde(default)]
    after: u64,
    #[serde(default = "fifty")]
    limit: usize,
    #[serde(default)]
    task_type: Option<String>,
}

fn fifty() -> usize {
    50
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Show {
    sequence: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Replay {
    #[serde(default)]
    sequences: Vec<u64>,
    #[serde(default)]
    task_type: Option<String>,
    #[serde(default)]
    all: bool,
}

/// The letters after a sequence, and whether there are more.
async fn letters(
    router: &Router,
    after: u64,
    limit: usize,
) -> Result<(Vec<(u64, v1::DeadLetter)>, bool), Refusal> {
    let mut found = Vec::new();
    let mut next = after + 1;
    loop {
        match router.bus.next_on(streams::DEAD, "dead.*", next).await {
            Ok(_) if found.len() == limit => return Ok((found, true)),
            Ok(stored) => {
                next = stored.sequence + 1;
                match v1::DeadLetter::decode(stored.body) {
                    Ok(letter) => found.push((stored.sequence, letter)),
                    Err(e) => tracing::warn!(sequence = stored.sequence, "a dead letter cannot be read: {e}"),
                }
            }
            Err(BusError::NotFound(_)) => return Ok((found, false)),
            Err(e) => return Err(refused(&e)),
        }
    }
}

fn type_of(letter: &v1::DeadLetter) -> Option<&str> {
    Some(letter.story.as_ref()?.task.as_ref()?.task_type.as_str())
}

/// Letters, the oldest first, without their bodies.
///
/// # Errors
/// Where NATS does not answer.
pub async fn list(router: &Router, asked: &Asked) -> Result<Vec<u8>, Refusal> {
    let list: List = body(asked)?;
    let (letters, more) = letters(router, list.after, list.limit.min(MOST)).await?;
    let next = letters.last().map(|(sequence, _)| *sequence).filter(|_| more);
    let wanted =
        |letter: &v1::DeadLetter| list.task_type.is_none() || list.task_type.as_deref() == type_of(letter);
    let dead: Vec<Value> = letters
        .iter()
        .filter(|(_, letter)| wanted(letter))
        .map(|(sequence, letter)| {
            let mut value = wire::encode_dead(*sequence, letter);
            for long in ["payload", "raw", "attempts", "route"] {
                value.as_object_mut().map(|object| object.remove(long));
            }
            value
        })
        .collect();
    to_json(&json!({"dead": dead, "next": next}))
}

async fn letter(router: &Router, sequence: u64) -> Result<v1::DeadLetter, Refusal> {
    let stored = router.bus.message_at(streams::DEAD, sequence).await.map_err(|e| match e {
        BusError::NotFound(_) => Refusal::new(code::NOT_FOUND, format!("there is no dead letter {sequence}")),
        e => refused(&e),
    })?;
    v1::DeadLetter::decode(stored.body)
        .map_err(|e| Refusal::new(code::UNREADABLE, format!("dead letter {sequence} cannot be read: {e}")))
}

/// One letter with its whole story.
///
/// # Errors
/// TL1021 where there is none.
pub async fn show(router: &Router, asked: &Asked) -> Result<Vec<u8>, Refusal> {
    let sequence = body::<Show>(asked)?.sequence;
    to_json(&wire::encode_dead(sequence, &letter(router, sequence).await?))
}

/// Submits the tasks of letters again, each as a new task that names the old one, and removes the letters.
///
/// # Errors
/// Where the request names nothing, or NATS does not answer.
pub async fn replay(router: &Router, asked: &Asked) -> Result<Vec<u8>, Refusal> {
    let asked: Replay = body(asked)?;
    let sequences = if asked.sequences.is_empty() && (asked.all || asked.task_type.is_some()) {
        let (letters, _) = letters(router, 0, MOST).await?;
        let wanted =
            |l: &v1::DeadLetter| asked.task_type.is_none() || asked.task_type.as_deref() == type_of(l);
        letters.iter().filter(|(_, l)| wanted(l)).map(|(sequence, _)| *sequence).collect()
    } else {
        asked.sequences
    };
    if sequences.is_empty() && !asked.all && asked.task_type.is_none() {
        return Err(Refusal::new(code::BAD_REQUEST, "name `sequences`, a `task_type`, or `all`"));
    }
    let (mut replayed, mut refusals) = (Vec::new(), Vec::new());
    for sequence in sequences {
        match replay_one(router, sequence).await {
            Ok((old, new)) => {
                replayed.push(json!({"sequence": sequence, "task_id": old, "new_task_id": new}))
            }
            Err(why) => refusals.push(json!({"sequence": sequence, "why": why.to_string()})),
        }
    }
    to_json(&json!({"replayed": replayed, "refused": refusals}))
}

/// The id of the new task comes from the letter's place, so that a replay that was asked twice is stored once.
async fn replay_one(router: &Router, sequence: u64) -> Result<(String, String), Refusal> {
    let letter = letter(router, sequence).await?;
    let story = letter.story.ok_or_else(|| {
        Refusal::new(
            code::NOT_FOUND,
            "the submission could not be read, so there is no task to replay; submit it mended",
        )
    })?;
    let mut task = story.task.unwrap_or_default();
    let old = std::mem::replace(&mut task.id, id::of_stored(streams::DEAD, sequence, letter.died_at_us));
    task.labels.insert("replay_of".to_owned(), old.clone());
    task.not_before_us = 0;
    task.deadline_us = 0;
    let new = task.id.clone();
    // Not as a submission: those are bounded in size, and their encoding is that of their result.
    let routed = v1::Routed {
        task: Some(task),
        submitted_at_us: time::now_us(),
        encoding: story.encoding,
        ..v1::Routed::default()
    };
    router.bus.store(record::to_router(&routed, &new, None)).await.map_err(|e| refused(&e))?;
    router.bus.remove_message(streams::DEAD, sequence).await.map_err(|e| refused(&e))?;
    Ok((old, new))
}
