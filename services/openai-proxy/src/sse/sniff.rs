//! What an event or a whole answer says about itself: usage, finish, model, id, error.
//!
//! Reads chat completions and responses, whole and streamed. Nothing here fails: what is not there, or is of an odd
//! type, is `None`. Providers that call themselves compatible differ in all of it.

use serde_json::Value;

use crate::api_error::UpstreamError;

/// The longest name or id that is kept, in characters. A provider decides how long they are.
const MAX_NAME: usize = 256;

/// How many finish reasons of one stream are kept: OpenAI allows this many choices.
const MAX_FINISH: usize = 128;

/// Tokens that a call used, as the provider counts them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Tokens of the prompt, cached ones included.
    pub input: u64,
    /// Tokens of the answer, those of reasoning included.
    pub output: u64,
    /// Tokens of the prompt that came from the provider's cache.
    pub cached: u64,
    /// Tokens of the answer that went into reasoning.
    pub reasoning: u64,
}

/// What was found in one event or answer, or, added up, in all events of a stream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sniffed {
    /// The id of the answer. Added up: the first.
    pub id: Option<String>,
    /// The model that answered, by the provider's name for it. Added up: the first.
    pub model: Option<String>,
    /// Tokens used. Added up: the most that was said of each kind, for providers that report usage along the way count
    /// upwards, and some end with zeros.
    pub usage: Option<Usage>,
    /// Why the choices ended, or how a response did (`completed`, `incomplete`, `failed`, `cancelled`). Added up: in order,
    /// at most 128.
    pub finish: Vec<String>,
    /// An error, also one in mid-stream. Added up: the first.
    pub error: Option<UpstreamError>,
    /// Characters of content, refusals, reasoning and tool arguments that are new in this event. Estimates the tokens of
    /// a stream that was cut before its usage.
    pub chars: u64,
}

impl Sniffed {
    /// Adds what the next event said.
    pub fn add(&mut self, event: Self) {
        self.id = self.id.take().or(event.id);
        self.model = self.model.take().or(event.model);
        self.error = self.error.take().or(event.error);
        self.chars = self.chars.saturating_add(event.chars);
        let room = MAX_FINISH.saturating_sub(self.finish.len());
        self.finish.extend(event.finish.into_iter().take(room));
        if let Some(new) = event.usage {
            let old = self.usage.unwrap_or_default();
            self.usage = Some(Usage {
                input: old.input.max(new.input),
                output: old.output.max(new.output),
                cached: old.cached.max(new.cached),
                reasoning: old.reasoning.max(new.reasoning),
            });
        }
    }
}

/// Looks into an event's data, or into the body of an answer. What is not JSON gives an empty result.
#[must_use]
pub fn sniff(json: &[u8]) -> Sniffed {
    serde_json::from_slice(json).map_or_else(|_| Sniffed::default(), |value| sniff_value(&value))
}

/// [`sniff`] of JSON that has been parsed.
#[must_use]
pub fn sniff_value(value: &Value) -> Sniffed {
    // Events of the responses API carry the response within; all else stands at the top.
    let envelope = value.get("response").filter(|r| r.is_object());
    let subject = envelope.unwrap_or(value);
    let is_response = envelope.is_some() || text(value, "object").is_some_and(|o| o == "response");
    let mut found = Sniffed {
        id: name(subject, "id"),
        model: name(subject, "model"),
        usage: subject.get("usage").and_then(usage),
        error: UpstreamError::in_event(value).or_else(|| UpstreamError::in_event(subject)),
        ..Sniffed::default()
    };
    for choice in list(subject, "choices").iter().take(MAX_FINISH) {
        found.finish.extend(name(choice, "finish_reason"));
        let spoken = ["delta", "message"].iter().map(|part| choice.get(part).map_or(0, chars_of_message));
        found.chars += spoken.sum::<u64>() + count(choice, "text");
    }
    if is_response {
        let status = name(subject, "status").filter(|s| s != "in_progress" && s != "queued");
        found.finish.extend(status);
    }
    // A response within an event repeats what its deltas said before.
    if is_response && envelope.is_none() {
        found.chars += list(subject, "output").iter().map(chars_of_message).sum::<u64>();
    }
    if text(value, "type").is_some_and(|t| t.ends_with(".delta")) {
        found.chars += count(value, "delta");
    }
    found
}

/// The characters of a chat message or its delta, or of an item of a response's output.
fn chars_of_message(message: &Value) -> u64 {
    let own = ["content", "refusal", "arguments"];
    // Two names for one thing, and some providers send both.
    let reasoning = count(message, "reasoning_content").max(count(message, "reasoning"));
    let parts = list(message, "content").iter().chain(list(message, "summary"));
    let calls = list(message, "tool_calls").iter().chain(std::iter::once(message));
    own.iter().map(|field| count(message, field)).sum::<u64>()
        + reasoning
        + parts.map(|part| count(part, "text") + count(part, "refusal")).sum::<u64>()
        + calls.map(chars_of_call).sum::<u64>()
}

fn chars_of_call(call: &Value) -> u64 {
    let functions = ["function", "function_call"].iter().filter_map(|field| call.get(field));
    let custom = call.get("custom").map_or(0, |custom| count(custom, "input"));
    functions.map(|function| count(function, "name") + count(function, "arguments")).sum::<u64>() + custom
}

fn usage(usage: &Value) -> Option<Usage> {
    let (input, output) =
        (either(usage, "prompt_tokens", "input_tokens"), either(usage, "completion_tokens", "output_tokens"));
    if input.is_none() && output.is_none() {
        return None;
    }
    let detail = |chat: &str, responses: &str, field: &str| {
        [chat, responses].iter().find_map(|d| usage.get(d).and_then(|d| tokens(d, field))).unwrap_or(0)
    };
    Some(Usage {
        input: input.unwrap_or(0),
        output: output.unwrap_or(0),
        cached: detail("prompt_tokens_details", "input_tokens_details", "cached_tokens"),
        reasoning: detail("completion_tokens_details", "output_tokens_details", "reasoning_tokens"),
    })
}

fn either(value: &Value, chat: &str, responses: &str) -> Option<u64> {
    tokens(value, chat).or_else(|| tokens(value, responses))
}

/// A count of tokens. Some providers write it as a float.
fn tokens(value: &Value, field: &str) -> Option<u64> {
    let number = value.get(field)?;
    // The cast saturates, and what is negative or no number is no count.
    number.as_u64().or_else(|| number.as_f64().filter(|n| *n >= 0.0).map(|n| n as u64))
}

fn text<'a>(value: &'a Value, field: &str) -> Option<&'a str> {
    value.get(field).and_then(Value::as_str)
}

fn name(value: &Value, field: &str) -> Option<String> {
    text(value, field).map(|text| text.chars().take(MAX_NAME).collect())
}

fn list<'a>(value: &'a Value, field: &str) -> &'a [Value] {
    value.get(field).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn count(value: &Value, field: &str) -> u64 {
    text(value, field).map_or(0, |text| text.chars().count() as u64)
}
