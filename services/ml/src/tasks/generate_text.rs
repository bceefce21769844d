//! `generate_text`: a decoder goes on with a prompt or a chat. New text is told as events `chunk`; the result is whole.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Value, json};
use tasklane_runtime::{Ctx, Output, Payload, TaskError, TaskType};
use tokio::sync::mpsc::UnboundedReceiver;

use super::of_model;
use crate::error::MlError;
use crate::generate::Ending;
use crate::generate::prompt::Truncate;
use crate::models::Urgency;
use crate::models::decoder::engine::{Ended, Told};
use crate::models::decoder::voice::Prompt;
use crate::models::decoder::{Ask, Handle};
use crate::registry::InUse;

/// The task type's name.
pub const NAME: &str = "generate_text";
/// Tokens where the payload does not say.
const MAX_TOKENS: usize = 256;
/// Stop strings of one task, and characters of each.
const STOPS: (usize, usize) = (16, 256);

/// Where decoders come from.
pub trait Decoders: Send + Sync + 'static {
    /// The decoder of a name, loaded.
    fn decoder(&self, name: &str) -> impl Future<Output = Result<InUse<Handle>, MlError>> + Send;
}

/// What is asked.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    model: String,
    prompt: Option<String>,
    // Maps keep the order in which they were written: a template may write them out as JSON.
    messages: Option<Vec<minijinja::Value>>,
    max_tokens: Option<usize>,
    temperature: Option<f32>,
    top_k: Option<usize>,
    top_p: Option<f32>,
    repetition_penalty: Option<f32>,
    seed: Option<u64>,
    #[serde(default)]
    stop: Vec<String>,
    #[serde(default)]
    truncate: Truncate,
}

/// The task type, served by these decoders.
pub fn task_type<D: Decoders>(decoders: Arc<D>) -> TaskType {
    let run = move |ctx: Ctx, payload: Payload| {
        let decoders = Arc::clone(&decoders);
        async move { run(&*decoders, &ctx, &payload).await }
    };
    let description = "Goes on with a text or a chat, with a model of our own";
    TaskType::new(NAME, description, run).schema(&schema()).rule(of_model::rule("text_generation", 600_000))
}

fn schema() -> Value {
    let (stops, characters) = STOPS;
    let from_the_model =
        "where it is left out: as the model's generation_config.json says, else the likeliest token";
    let properties = json!({
        "prompt": {"type": "string", "description": "a text to go on with, as it is"},
        "messages": {
            "type": "array", "minItems": 1,
            "items": {"type": "object", "required": ["role"]},
            "description": "a chat, which the model's template makes a prompt of"
        },
        "max_tokens": {"type": "integer", "minimum": 1, "maximum": 1_000_000, "default": MAX_TOKENS},
        "temperature": {"type": "number", "minimum": 0, "maximum": 10, "description": from_the_model},
        "top_k": {"type": "integer", "minimum": 0, "description": "only so many of the likeliest; 0: all"},
        "top_p": {"type": "number", "exclusiveMinimum": 0, "maximum": 1},
        "repetition_penalty": {"type": "number", "exclusiveMinimum": 0, "maximum": 10},
        "seed": {"type": "integer", "minimum": 0, "description": "the same seed draws the same numbers"},
        "stop": {
            "type": "array", "maxItems": stops,
            "items": {"type": "string", "minLength": 1, "maxLength": characters}
        },
        "truncate": {
            "enum": ["error", "start"],
            "description": "what becomes of a prompt that is too long: the task fails, or its beginning is left out"
        }
    });
    let mut schema = of_model::schema(&[], properties);
    schema["oneOf"] = json!([{"required": ["prompt"]}, {"required": ["messages"]}]);
    schema
}

async fn run<D: Decoders>(decoders: &D, ctx: &Ctx, payload: &Payload) -> Result<Output, TaskError> {
    let wanted: Wanted = payload.json()?;
    let (model, seed) = (wanted.model.clone(), wanted.seed);
    let ask = wanted.ask()?;
    let urgency = Urgency::of(ctx);
    let decoder = decoders.decoder(&model).await?;
    let drawn = ask.seed;
    let mut writing = decoder.write(ask, urgency).await?;
    let mut text = String::new();
    let ended = loop {
        let (piece, ended) = next(&mut writing.told, &model).await;
        if !piece.is_empty() {
            ctx.event("chunk", &json!({"text": piece, "attempt": ctx.attempt()})).await;
            text += &piece;
        }
        if let Some(ended) = ended {
            break ended?;
        }
    };
    let mut result = result(&decoder, &text, ended, writing.prompt_tokens);
    if let Some(from) = writing.cut_from {
        result["truncated"] = json!({"prompt_tokens": from, "kept": writing.prompt_tokens});
    }
    if writing.picking.temperature > 0.0 && seed.is_none() {
        result["seed"] = drawn.into();
    }
    Output::json(&result)
}

/// What a decoder answers to the input of an example: the result of a task, without the model's name.
///
/// # Errors
/// An input that is none, or the model's failure.
pub async fn example(handle: &Handle, input: &Value, urgency: Urgency) -> Result<Value, MlError> {
    let mut input = input.clone();
    input["model"] = handle.name().into();
    let wanted: Wanted = of_model::input(&input)?;
    let mut writing = handle.write(wanted.ask()?, urgency).await?;
    let mut text = String::new();
    loop {
        let (piece, ended) = next(&mut writing.told, handle.name()).await;
        text += &piece;
        if let Some(ended) = ended {
            return Ok(result(handle, &text, ended?, writing.prompt_tokens));
        }
    }
}

fn result(decoder: &Handle, text: &str, ended: Ended, prompt_tokens: usize) -> Value {
    let seconds = ended.took.as_secs_f64().max(1e-6);
    json!({
        "model": format!("{}@{}", decoder.name(), decoder.version()),
        "version": decoder.version(),
        "text": text,
        "finish_reason": Ending::word(ended.ending),
        "usage": {"prompt_tokens": prompt_tokens, "generated_tokens": ended.tokens},
        "tokens_per_second": (ended.tokens as f64 / seconds * 100.0).round() / 100.0,
    })
}

/// A seed that every reader of JSON gives back as it is: it has at most 53 bits.
fn draw() -> u64 {
    rand::random::<u64>() >> 11
}

/// The text that is told next, and how it ended where it did. Pieces that came while nobody listened are told together: an
/// event each would cost more than it is worth.
async fn next(told: &mut UnboundedReceiver<Told>, model: &str) -> (String, Option<Result<Ended, MlError>>) {
    let mut text = String::new();
    let mut one = told.recv().await;
    loop {
        match one {
            Some(Told::Text(piece)) => text += &piece,
            Some(Told::Ended(ended)) => return (text, Some(ended)),
            None => return (text, Some(Err(MlError::Gone(model.to_owned())))),
        }
        match told.try_recv() {
            Ok(more) => one = Some(more),
            // An end that is not told is found by waiting for it.
            Err(_) => return (text, None),
        }
    }
}

impl Wanted {
    /// # Errors
    /// What is out of bounds: the schema says the same, but who calls without a router is held to it, too.
    fn ask(self) -> Result<Ask, MlError> {
        let bad = |what: &str| Err(MlError::BadInput(what.to_owned()));
        let prompt = match (self.prompt, self.messages) {
            (Some(text), None) => Prompt::Text(text),
            (None, Some(messages)) if !messages.is_empty() => Prompt::Messages(messages),
            _ => return bad("give either \"prompt\" or \"messages\""),
        };
        let within = |value: Option<f32>, from: f32, to: f32| value.is_none_or(|v| (from..=to).contains(&v));
        if !within(self.temperature, 0.0, 10.0) {
            return bad("\"temperature\" must be 0 to 10");
        }
        if !within(self.top_p, f32::MIN_POSITIVE, 1.0) {
            return bad("\"top_p\" must be above 0 and at most 1");
        }
        if !within(self.repetition_penalty, f32::MIN_POSITIVE, 10.0) {
            return bad("\"repetition_penalty\" must be above 0 and at most 10");
        }
        let max_tokens = self.max_tokens.unwrap_or(MAX_TOKENS);
        if !(1..=1_000_000).contains(&max_tokens) {
            return bad("\"max_tokens\" must be 1 to 1000000");
        }
        let (stops, characters) = STOPS;
        if self.stop.len() > stops || self.stop.iter().any(|s| s.is_empty() || s.chars().count() > characters)
        {
            return bad("\"stop\" takes at most 16 strings of 1 to 256 characters");
        }
        Ok(Ask {
            prompt,
            truncate: self.truncate,
            max_tokens,
            temperature: self.temperature,
            top_k: self.top_k,
            top_p: self.top_p,
            repetition_penalty: self.repetition_penalty,
            seed: self.seed.unwrap_or_else(draw),
            stops: self.stop,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(payload: Value) -> Result<Ask, String> {
        let wanted: Wanted = serde_json::from_value(payload).map_err(|e| e.to_string())?;
        wanted.ask().map_err(|e| e.to_string())
    }

    #[test]
    fn a_payload_is_read_and_what_is_out_of_bounds_is_named() {
        let good = ask(json!({"model": "m", "prompt": "a", "stop": ["\n"], "seed": 7, "top_k": 3})).unwrap();
        assert_eq!((good.max_tokens, good.seed, good.top_k, good.temperature), (256, 7, Some(3), None));
        for (more, said) in [
            (json!({}), "either"),
            (json!({"prompt": "a", "messages": [{"role": "user"}]}), "either"),
            (json!({"messages": []}), "either"),
            (json!({"prompt": "a", "temperature": -1}), "temperature"),
            (json!({"prompt": "a", "top_p": 0}), "top_p"),
            (json!({"prompt": "a", "repetition_penalty": 0}), "repetition_penalty"),
            (json!({"prompt": "a", "max_tokens": 0}), "max_tokens"),
            (json!({"prompt": "a", "stop": [""]}), "stop"),
            (json!({"prompt": "a", "n": 2}), "unknown field `n`"),
            (json!({"prompt": "a", "truncate": "end"}), "`end`"),
        ] {
            let mut payload = json!({"model": "m"});
            payload.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            let refused = ask(payload).unwrap_err();
            assert!(refused.contains(said), "{more}: {refused}");
        }
    }
}
