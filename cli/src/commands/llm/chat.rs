//! `tasklane llm chat`: asks a model through the task `llm_chat`, once or in a conversation.

use std::io::{BufRead as _, IsTerminal as _, Read as _, Write as _};

use tasklane_runtime::bus::{Bus, Headers};
use tasklane_runtime::contract::{code, subjects};
use tokio::sync::mpsc;

use super::args::ChatArgs;
use super::ask;
use super::completion::Completion;
use super::conversation::{Conversation, Rest, Shown};
use crate::commands::result::returned;
use crate::deliver;
use crate::error::{CliError, Exit};
use crate::format::llm::Models;
use crate::format::{self, json, one_line};
use crate::news::{self, Waited};
use crate::record::Stored;
use crate::session::Session;
use crate::task::TaskArgs;

/// The task that it is.
const TASK: &str = "llm_chat";
/// The event that brings a piece of the answer.
const CHUNK: &str = "chunk";
/// The longest prompt from standard input, in bytes; contexts are shorter.
const MAX_PROMPT: u64 = 16 << 20;

/// Who is asked, and with what.
struct Chat<'a> {
    session: &'a Session,
    bus: Bus,
    model: String,
    tenant: Option<String>,
    /// For prices; absent where nobody tells them.
    models: Option<Models>,
}

/// Asks once, or for as long as there are questions.
///
/// # Errors
/// What is wrong with the question, or NATS.
pub async fn run(args: ChatArgs, session: &Session) -> Result<Exit, CliError> {
    let stdin = std::io::stdin();
    let prompt = match args.prompt {
        Some(prompt) => Some(prompt),
        None if stdin.is_terminal() => None,
        None => {
            let mut text = String::new();
            stdin.lock().take(MAX_PROMPT).read_to_string(&mut text)?;
            Some(text)
        }
    };
    if prompt.as_deref().is_some_and(|prompt| prompt.trim().is_empty()) {
        return Err(CliError::usage(code::MISSING_FIELD, "there is nothing to ask: the prompt is empty"));
    }
    let bus = session.bus().await?;
    let models = known(session, &bus, args.tenant.as_deref()).await;
    let model = match (args.model, &models) {
        (Some(model), _) => model,
        (None, Ok(models)) => first_chat(models)?,
        (None, Err(_)) => return Err(models.err().unwrap_or(CliError::OutputClosed)),
    };
    let chat = Chat { session, bus, model, tenant: args.tenant, models: models.ok() };
    let mut talk = Conversation::new(args.system.as_deref());
    match prompt {
        Some(prompt) => chat.turn(&mut talk, &prompt).await,
        None => chat.converse(&mut talk).await,
    }
}

/// What may be asked for.
///
/// # Errors
/// NATS, or nobody who answers.
pub async fn known(session: &Session, bus: &Bus, tenant: Option<&str>) -> Result<Models, CliError> {
    let question = serde_json::json!({"tenant": tenant});
    let answer = ask(session, bus, subjects::LLM_MODELS, &question).await?;
    session.read(subjects::LLM_MODELS, &answer)
}

/// The first route for chats by name, or where there is none the first model.
pub fn first_chat(models: &Models) -> Result<String, CliError> {
    let chats = || models.aliases.iter().filter(|alias| alias.kind == "chat");
    let first = chats().find(|alias| alias.route).or_else(|| chats().next());
    first.map(|alias| alias.alias.clone()).ok_or_else(|| {
        CliError::new(code::NOT_FOUND, Exit::Failed, "there is no model to chat with").remedy(
            "name one in the providers' file (TASKLANE_PROVIDERS_FILE); `tasklane llm models` shows what there is",
        )
    })
}

impl Chat<'_> {
    /// Questions from the terminal until Ctrl-D.
    async fn converse(&self, talk: &mut Conversation) -> Result<Exit, CliError> {
        self.session.note(&format!("{}; Ctrl-D ends the conversation", one_line(&self.model)));
        let mut lines = lines();
        loop {
            eprint!("{}", self.session.paint_error.bold("> "));
            let line = tokio::select! {
                line = lines.recv() => line,
                // Once a turn has listened for it, it no longer ends the process by itself.
                Ok(()) = tokio::signal::ctrl_c() => {
                    eprintln!();
                    return Ok(Exit::Interrupted);
                }
            };
            let Some(line) = line else { break };
            if line.trim().is_empty() {
                continue;
            }
            match self.turn(talk, &line).await {
                Err(e @ CliError::OutputClosed) => return Err(e),
                // The conversation goes on; the question may be asked again.
                Err(e) => self.session.warn(&e.to_string()),
                Ok(_) => {}
            }
        }
        eprintln!();
        Ok(Exit::Succeeded)
    }

    /// One question and its answer.
    async fn turn(&self, talk: &mut Conversation, question: &str) -> Result<Exit, CliError> {
        let payload = talk.ask(&self.model, question);
        let turn = self.ask(&payload).await;
        match &turn {
            Ok((_, Some(text))) => talk.answered(text),
            _ => talk.take_back(),
        }
        turn.map(|(exit, _)| exit)
    }

    /// Submits the question and prints the answer as it comes. Returns what was said.
    async fn ask(&self, payload: &serde_json::Value) -> Result<(Exit, Option<String>), CliError> {
        let args =
            TaskArgs { task_type: TASK.to_owned(), tenant: self.tenant.clone(), ..TaskArgs::default() };
        let mut plan = deliver::plan(&args, Some(&payload.to_string()))?;
        let feed = news::listen(&self.bus, TASK, &plan.task.id).await?;
        let submitted = deliver::send(&self.bus, &mut plan).await?;
        let mut shown = Shown::default();
        let mut closed = None;
        let waited = news::wait(&self.bus, feed, &submitted.id, None, |kind, body| {
            let piece = body.get("text").and_then(serde_json::Value::as_str).filter(|_| kind == CHUNK);
            if let Some(piece) = piece.filter(|_| !self.session.json && closed.is_none()) {
                shown.add(piece);
                closed = print(&self.shown(piece)).err();
            }
        });
        match waited.await? {
            _ if closed.is_some() => Err(closed.map_or(CliError::OutputClosed, CliError::from)),
            Waited::Done(stored) => self.answered(&stored, &shown).await,
            // Nobody waits for it any more, and it costs money.
            Waited::Interrupted | Waited::TooLong => {
                let id = serde_json::json!({"id": submitted.id}).to_string();
                let told =
                    self.bus.ask("api.task.cancel", Headers::new(), id.into(), self.session.timeout()).await;
                if let Err(e) = told {
                    self.session.warn(&format!("{} goes on: {}", submitted.id, CliError::from(e)));
                }
                eprintln!();
                Ok((Exit::Interrupted, None))
            }
        }
    }

    /// What a model says as a terminal may have it; as it is for a file.
    fn shown(&self, text: &str) -> String {
        if self.session.terminal { format::harmless(text) } else { text.to_owned() }
    }

    async fn answered(&self, stored: &Stored, shown: &Shown) -> Result<(Exit, Option<String>), CliError> {
        let record = &stored.record;
        if let Some(e) = record.failure() {
            return Err(e);
        }
        let bytes = returned(&self.bus, record).await?;
        let completion: Completion = self.session.read(TASK, &bytes)?;
        let text = completion.text();
        if self.session.json {
            self.session.print(&json::indent(&String::from_utf8_lossy(&bytes)))?;
        } else {
            match shown.rest(&text) {
                Rest::End(end) => self.session.print(&format!("{}\n", self.shown(end)))?,
                Rest::Whole(whole) => {
                    self.session.warn("\nwhat came in pieces is not the answer; this is:");
                    self.session.print(&format!("{}\n", self.shown(whole)))?;
                }
            }
        }
        self.session.note(&one_line(&completion.summary(&self.model, self.models.as_ref())));
        Ok((Exit::Succeeded, Some(text)))
    }
}

fn print(piece: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(piece.as_bytes())?;
    out.flush()
}

/// The lines of standard input. A thread of its own reads them: reading cannot be given up.
fn lines() -> mpsc::Receiver<String> {
    let (out, lines) = mpsc::channel(1);
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines() {
            let Ok(line) = line else { break };
            if out.blocking_send(line).is_err() {
                break;
            }
        }
    });
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_name_the_first_route_for_chats_is_asked() {
        let models = |aliases: &str| -> Models {
            serde_json::from_str(&format!(r#"{{"aliases":[{aliases}]}}"#)).unwrap()
        };
        let a = r#"{"alias":"a","kind":"chat","route":false}"#;
        let vectors = r#"{"alias":"b","kind":"embedding","route":true}"#;
        let fast = r#"{"alias":"fast","kind":"chat","route":true}"#;
        assert_eq!(first_chat(&models(&[a, vectors, fast].join(","))).unwrap(), "fast");
        assert_eq!(first_chat(&models(&[vectors, a].join(","))).unwrap(), "a");
        assert!(first_chat(&models(vectors)).unwrap_err().to_string().contains("no model to chat with"));
    }
}
