//! Who answers: a model of the openai-proxy, or one of our own that writes. The answer is shown as it comes.

use std::cell::Cell;
use std::io::Write as _;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};
use tasklane_runtime::bus::Headers;
use tasklane_runtime::contract::id;

use super::args::AskArgs;
use super::prompt::{self, Source};
use crate::commands::llm::chat::{first_chat, known};
use crate::commands::llm::completion::Completion;
use crate::commands::llm::conversation::{Rest, Shown};
use crate::commands::models::workers::decoder;
use crate::commands::result::returned;
use crate::deliver;
use crate::error::CliError;
use crate::format::llm::{Model, Models};
use crate::format::{count, harmless};
use crate::news::{self, Waited};
use crate::work::Work;

/// The event that brings a piece of the answer.
const CHUNK: &str = "chunk";
/// How often it is looked whether a provider that has said nothing yet fails.
const LOOK: Duration = Duration::from_secs(1);

/// Who answers.
pub struct Teller<'w> {
    work: &'w Work<'w>,
    model: String,
    /// The openai-proxy's models, where one of them is asked.
    proxy: Option<Models>,
    max_tokens: u32,
    tenant: Option<String>,
    /// Nobody named it, so that it need not be waited for.
    is_choice: bool,
}

/// What comes of asking.
pub enum Told {
    /// An answer.
    Answer(Answer),
    /// Ctrl-C.
    Interrupted,
    /// Nobody: the provider of the model that was chosen fails. The openai-proxy would try it for hours.
    Nothing,
}

/// What was said.
pub struct Answer {
    /// By whom.
    pub model: String,
    /// All of it.
    pub text: String,
    /// What it used and cost.
    pub summary: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Written {
    model: String,
    text: String,
    finish_reason: String,
    usage: Used,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Used {
    prompt_tokens: u64,
    generated_tokens: u64,
}

/// Whether none of the models behind a name answers now.
fn fails(models: &Models, name: &str) -> bool {
    let behind = models.aliases.iter().filter(|alias| alias.alias == name).flat_map(|alias| &alias.models);
    let mut behind = behind.filter_map(|model| models.models.get(model)).peekable();
    behind.peek().is_some() && !behind.any(Model::is_ready)
}

impl<'w> Teller<'w> {
    /// The model that is named; or the openai-proxy's first that chats, unless its provider fails.
    pub async fn find(work: &'w Work<'w>, args: &AskArgs) -> Option<Self> {
        let models = known(work.session, &work.bus, args.tenant.as_deref()).await.ok();
        let is_choice = args.model.is_none();
        let (model, proxy) = match (&args.model, models) {
            (Some(model), models) => {
                let is_there = |models: &Models| models.aliases.iter().any(|alias| alias.alias == *model);
                (model.clone(), models.filter(is_there))
            }
            (None, models) => {
                let models = models?;
                let first = first_chat(&models).ok().filter(|first| !fails(&models, first))?;
                (first, Some(models))
            }
        };
        Some(Self { is_choice, ..Self::new(work, args, model, proxy) })
    }

    /// A model of our own that writes, if one is loaded.
    ///
    /// # Errors
    /// NATS.
    pub async fn own(work: &'w Work<'w>, args: &AskArgs) -> Result<Option<Self>, CliError> {
        let model = decoder(&work.bus, work.session).await?;
        Ok(model.map(|model| Self::new(work, args, model, None)))
    }

    fn new(work: &'w Work<'w>, args: &AskArgs, model: String, proxy: Option<Models>) -> Self {
        let (max_tokens, tenant) = (args.max_tokens, args.tenant.clone());
        Self { work, model, proxy, max_tokens, tenant, is_choice: false }
    }

    /// Its name.
    pub fn model(&self) -> &str {
        &self.model
    }

    /// Asks, and shows the answer as it comes.
    ///
    /// # Errors
    /// The task failed, or NATS.
    pub async fn ask(&self, question: &str, sources: &[Source]) -> Result<Told, CliError> {
        let messages = prompt::messages(question, sources);
        if self.proxy.is_some() {
            return self
                .tell("llm_chat", &json!({"model": self.model, "messages": messages, "stream": true}))
                .await;
        }
        let payload =
            |key: &str, value: Value| json!({"model": self.model, key: value, "max_tokens": self.max_tokens});
        match self.tell("generate_text", &payload("messages", messages)).await {
            // A model that was not trained for chats goes on with a text.
            Err(CliError::Told { message, .. }) if message.contains("no chat template") => {
                let whole = prompt::whole(question, sources);
                self.tell("generate_text", &payload("prompt", whole.into())).await
            }
            told => told,
        }
    }

    async fn tell(&self, task: &str, payload: &Value) -> Result<Told, CliError> {
        let Work { session, bus } = self.work;
        let mut plan = deliver::of(task, payload, &id::fresh(), self.tenant.as_deref())?;
        let feed = news::listen(bus, task, &plan.task.id).await?;
        let submitted = deliver::send(bus, &mut plan).await?;
        let (mut shown, mut closed) = (Shown::default(), None);
        let begun = Cell::new(false);
        let waited = news::wait(bus, feed, &submitted.id, None, |kind, body| {
            begun.set(begun.get() || kind == CHUNK);
            let piece = body.get("text").and_then(Value::as_str).filter(|_| kind == CHUNK && !session.json);
            if let Some(piece) = piece.filter(|_| closed.is_none()) {
                shown.add(piece);
                closed = print(&self.readable(piece)).err();
            }
        });
        let waited = tokio::select! {
            waited = waited => Some(waited?),
            () = self.failed(&begun) => None,
        };
        if let Some(e) = closed {
            return Err(e.into());
        }
        let Some(Waited::Done(stored)) = waited else {
            // Nobody waits for it any more, and it costs money or time.
            let id = json!({"id": submitted.id}).to_string();
            if let Err(e) = bus.ask("api.task.cancel", Headers::new(), id.into(), session.timeout()).await {
                session.warn(&format!("{} goes on: {}", submitted.id, CliError::from(e)));
            }
            return Ok(if waited.is_some() { Told::Interrupted } else { Told::Nothing });
        };
        if let Some(e) = stored.record.failure() {
            return Err(e);
        }
        let answer = self.read(&returned(bus, &stored.record).await?)?;
        if !session.json {
            match shown.rest(&answer.text) {
                Rest::End(end) => session.print(&format!("{}\n", self.readable(end)))?,
                Rest::Whole(whole) => {
                    session.warn("\nwhat came in pieces is not the answer; this is:");
                    session.print(&format!("{}\n", self.readable(whole)))?;
                }
            }
        }
        Ok(Told::Answer(answer))
    }

    /// Ends when the provider fails of a model that we chose, and that has not begun to answer.
    async fn failed(&self, begun: &Cell<bool>) {
        while self.is_choice && self.proxy.is_some() && !begun.get() {
            tokio::time::sleep(LOOK).await;
            let known = known(self.work.session, &self.work.bus, self.tenant.as_deref()).await;
            if known.is_ok_and(|models| fails(&models, &self.model)) && !begun.get() {
                return;
            }
        }
        std::future::pending().await
    }

    fn read(&self, bytes: &[u8]) -> Result<Answer, CliError> {
        if let Some(models) = &self.proxy {
            let completion: Completion = self.work.session.read("llm_chat", bytes)?;
            let summary = completion.summary(&self.model, Some(models));
            return Ok(Answer { model: self.model.clone(), text: completion.text(), summary });
        }
        let written: Written = self.work.session.read("generate_text", bytes)?;
        let (prompt, new) = (written.usage.prompt_tokens, written.usage.generated_tokens);
        let mut summary = format!("{} · {} in, {new} out", written.model, count(prompt, "token"));
        if written.finish_reason == "length" {
            summary += " · cut short: it reached the longest answer";
        }
        Ok(Answer { model: written.model, text: written.text, summary })
    }

    /// What a model says as a terminal may have it; as it is for a file.
    fn readable(&self, text: &str) -> String {
        if self.work.session.terminal { harmless(text) } else { text.to_owned() }
    }
}

fn print(piece: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(piece.as_bytes())?;
    out.flush()
}
