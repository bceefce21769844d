//! One model call on behalf of a job: made like any other, so that keys, limits, budgets and fallbacks hold, and counted
//! for the job's result.

use std::sync::Arc;

use serde_json::{Value, json};
use tasklane_runtime::{Ctx, TaskError};

use super::answer::{Checked, Said, checked, misfit, said};
use super::error::{MANY_CALLS, NO_MODEL, NO_ROOM, fault};
use super::prompts::Prompts;
use super::room::Room;
use super::split;
use super::structured::{Wanted, shortened};
use super::tally::Tally;
use crate::answers::{Answered, Whole};
use crate::api_error::ApiError;
use crate::body::{Body, Endpoint};
use crate::cache::Wish;
use crate::config::JobsConfig;
use crate::gateway::{Ask, Gateway};
use crate::tasks;

/// Tokens that the chat format adds around messages, with some to spare for what counts differently.
const FRAME: u64 = 32;
/// Characters of an answer that its model is shown again.
const SHOWN: usize = 32_000;

/// Makes the calls of one job.
pub struct Asker {
    gateway: Arc<Gateway>,
    ctx: Ctx,
    prompts: Arc<Prompts>,
    config: JobsConfig,
    tally: Tally,
}

/// What is asked.
#[derive(Clone, Copy)]
pub struct Asking<'a> {
    /// The template.
    pub template: &'static str,
    /// Its values.
    pub values: &'a [(&'a str, &'a str)],
    /// A route or a model.
    pub model: &'a str,
    /// Tokens of the answer, at most.
    pub most: u64,
    /// How freely the model may answer; the provider's own default where absent.
    pub temperature: Option<f64>,
}

impl Asker {
    /// An asker for one attempt of a task.
    pub fn new(gateway: Arc<Gateway>, ctx: Ctx, prompts: Arc<Prompts>, config: JobsConfig) -> Self {
        Self { gateway, ctx, prompts, config, tally: Tally::default() }
    }

    /// The task.
    pub fn ctx(&self) -> &Ctx {
        &self.ctx
    }

    /// What was used so far.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Calls at the same time, at most.
    pub fn at_once(&self) -> usize {
        self.config.concurrent_calls
    }

    /// The model that a payload names, or the operator's.
    ///
    /// # Errors
    /// TL2334 where neither is there.
    pub fn model(&self, named: Option<&str>) -> Result<String, TaskError> {
        match named.unwrap_or(&self.config.model) {
            "" => Err(TaskError::failed(
                NO_MODEL,
                "payload: there is no `model`, and the operator names none (`jobs.model`, TASKLANE_JOBS_MODEL)",
            )),
            name => Ok(name.to_owned()),
        }
    }

    /// How much a model can read and write: of a route's models, the least.
    ///
    /// # Errors
    /// TL2305 where there is no such route or model.
    pub fn room(&self, model: &str) -> Result<Room, TaskError> {
        let catalog = self.gateway.catalog();
        let route = catalog.route(model).ok_or(ApiError::UnknownModel(model.to_owned()));
        let models = route.map_err(|e| tasks::task_error(&e, false))?.as_written();
        let least = |of: fn(&crate::catalog::Model) -> u64| models.iter().map(|m| of(m)).min().unwrap_or(0);
        Ok(Room { context: least(|m| m.context_tokens), output: least(|m| m.max_output_tokens) })
    }

    /// Refuses a job that would take more calls than one may.
    ///
    /// # Errors
    /// TL2333
    pub fn affords(&self, calls: usize) -> Result<(), TaskError> {
        if calls <= self.config.max_calls as usize {
            return Ok(());
        }
        let text = format!(
            "the job would take {calls} model calls; {} are allowed (`jobs.max_calls`). Take a model with a longer \
             context, or give less text",
            self.config.max_calls
        );
        Err(TaskError::failed(MANY_CALLS, text))
    }

    /// Tokens of a prompt without the values that are still to come.
    pub fn frame(&self, template: &str, values: &[(&str, &str)]) -> u64 {
        let filled = self.prompts.fill(template, values).unwrap_or_default();
        split::tokens(filled.system.as_deref().unwrap_or_default()) + split::tokens(&filled.user) + FRAME
    }

    /// Tells how far the job is.
    pub async fn progress(&self, fraction: f64, message: &str) {
        self.ctx.progress(fraction, message).await;
    }

    /// Tells a partial result: `kind` says what it is.
    pub async fn partial(&self, kind: &str, mut body: Value) {
        body["kind"] = kind.into();
        self.ctx.event("partial", &body).await;
    }

    /// Asks for a text.
    ///
    /// # Errors
    /// Those of the call; TL2332, TL2335, TL3330.
    pub async fn text(&self, asking: &Asking<'_>) -> Result<Said, TaskError> {
        let messages = self.messages(asking, asking.values)?;
        self.call(asking, &messages, None).await
    }

    /// Asks for JSON of a schema. `also` finds what the schema cannot say. The model is told once what is wrong; what is
    /// then still wrong beyond the schema is left to the caller.
    ///
    /// # Errors
    /// TL2330, or TL2331 where the answer was cut off, and those of [`Asker::text`].
    pub async fn json(
        &self,
        asking: &Asking<'_>,
        wanted: &Wanted,
        also: &(dyn Fn(&Value) -> Vec<String> + Send + Sync),
    ) -> Result<Checked, TaskError> {
        let schema = wanted.text();
        let values: Vec<(&str, &str)> =
            asking.values.iter().copied().chain([("schema", schema.as_str())]).collect();
        let mut messages = self.messages(asking, &values)?;
        let format = wanted.format();
        let said = self.call(asking, &messages, Some(&format)).await?;
        let first = checked(&said, wanted, also);
        let mistakes = match &first {
            Ok(good) if good.left.is_empty() => return first.map_err(|_| fault("a good answer")),
            Ok(left) => left.left.clone(),
            Err(mistakes) => mistakes.clone(),
        };
        tracing::debug!(template = asking.template, "an answer is to be repaired: {}", mistakes.join("; "));
        self.tally.repaired();
        let list: String = mistakes.iter().map(|mistake| format!("- {mistake}\n")).collect();
        let repair = self.filled("structured/repair", &[("mistakes", &list), ("schema", &schema)])?;
        messages.push(json!({"role": "assistant", "content": shortened(&said.text, SHOWN)}));
        messages.push(json!({"role": "user", "content": repair.user}));
        let again = self.call(asking, &messages, Some(&format)).await?;
        match (checked(&again, wanted, also), first) {
            (Ok(good), _) => Ok(good),
            // What fitted before is better than what does not fit now.
            (Err(_), Ok(before)) => Ok(before),
            (Err(mistakes), Err(_)) => Err(misfit(asking, &again, &mistakes)),
        }
    }

    fn messages(&self, asking: &Asking<'_>, values: &[(&str, &str)]) -> Result<Vec<Value>, TaskError> {
        let filled = self.filled(asking.template, values)?;
        let mut messages = Vec::new();
        if let Some(system) = filled.system.filter(|text| !text.is_empty()) {
            messages.push(json!({"role": "system", "content": system}));
        }
        messages.push(json!({"role": "user", "content": filled.user}));
        Ok(messages)
    }

    fn filled(&self, template: &str, values: &[(&str, &str)]) -> Result<super::template::Filled, TaskError> {
        let edition = self.prompts.edition(template).zip(self.prompts.fill(template, values));
        let (edition, filled) = edition.ok_or_else(|| fault(format!("there is no template {template}")))?;
        self.tally.used_template(template, edition);
        Ok(filled)
    }

    async fn call(
        &self,
        asking: &Asking<'_>,
        messages: &[Value],
        format: Option<&Value>,
    ) -> Result<Said, TaskError> {
        let room = self.room(asking.model)?;
        let most = asking.most.min(room.output).max(1);
        let texts = messages.iter().filter_map(|m| m["content"].as_str());
        // Counting a long prompt takes a while; other tasks go on meanwhile.
        let input = tokio::task::block_in_place(|| texts.map(split::tokens).sum::<u64>()) + FRAME;
        if input + most > room.context {
            let text = format!(
                "`{}` reads and writes {} tokens at once; this step needs {input} for its prompt and {most} for the \
                 answer. Give less text, or take a model with a longer context",
                asking.model, room.context
            );
            return Err(TaskError::failed(NO_ROOM, text));
        }
        let mut request = json!({"model": asking.model, "messages": messages, "max_completion_tokens": most});
        if let Some(format) = format {
            request["response_format"] = format.clone();
        }
        if let Some(temperature) = asking.temperature {
            request["temperature"] = temperature.into();
        }
        let whole = self.answered(&request.to_string()).await?;
        said(&whole, asking)
    }

    /// The answer; where a limit opens soon enough, after a wait.
    async fn answered(&self, request: &str) -> Result<Whole, TaskError> {
        // An attempt that comes after this one goes on where this one was: what was answered is asked for again and
        // found. The same question asked twice in a job wants two answers.
        let within = format!("{}/{}", self.ctx.task_id(), self.tally.times_asked(request));
        let cache = if tasks::wish(&self.ctx) == Wish::Off { Wish::Off } else { Wish::On };
        loop {
            if !self.tally.may_call(self.config.max_calls) {
                return Err(self
                    .affords(self.config.max_calls as usize + 1)
                    .err()
                    .unwrap_or_else(|| fault("calls")));
            }
            let body = Body::read(Endpoint::Chat, request.as_bytes()).map_err(|e| fault(e.to_string()))?;
            let ask = Ask {
                body,
                tenant: self.ctx.tenant().to_owned(),
                trace: self.ctx.trace().cloned(),
                patience: self.ctx.remaining(),
                waits: false,
                cache,
                within: Some(within.clone()),
            };
            match self.gateway.call(ask).await {
                Ok(Answered::Whole(whole)) => {
                    if let Some(used) = whole.used {
                        self.tally.called(&whole.model, used);
                    }
                    return tasks::accepted(whole);
                }
                Ok(Answered::Pieces(_)) => {
                    return Err(fault("an answer came in pieces that were not asked for"));
                }
                Err(ApiError::RateLimited { retry_in, .. })
                    if retry_in.as_millis() <= u128::from(self.config.wait_ms)
                        && retry_in < self.ctx.remaining() =>
                {
                    self.tally.not_called();
                    tokio::time::sleep(retry_in.max(std::time::Duration::from_millis(10))).await;
                }
                Err(e) => return Err(tasks::task_error(&e, tasks::queues(&self.gateway, &self.ctx))),
            }
        }
    }
}
