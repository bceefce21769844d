//! Reads an upstream's error, whatever shape it has.

use serde_json::Value;

/// The longest text that is kept, in characters: enough to say what is wrong, and no page of HTML.
const MAX_TEXT: usize = 500;

/// What an upstream said went wrong. For decisions, spans and messages; the client gets the bytes as they came.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UpstreamError {
    /// What it says, at most 500 characters.
    pub message: Option<String>,
    /// Its `type`.
    pub kind: Option<String>,
    /// The parameter at fault.
    pub param: Option<String>,
    /// Its `code`; a number is written out.
    pub code: Option<String>,
}

impl UpstreamError {
    /// Reads the body of an answer whose status says that it failed. Knows OpenAI's shape, `error` as a string, the
    /// fields at the top, `detail` as FastAPI has it, and any of these within a list. Of other text the beginning is
    /// the message. Never fails: what is not there is `None`.
    #[must_use]
    pub fn read(body: &[u8]) -> Self {
        let Ok(value) = serde_json::from_slice::<Value>(body) else {
            // A character of UTF-8 has at most four bytes.
            let beginning = &body[..body.len().min(4 * MAX_TEXT)];
            return Self { message: short(String::from_utf8_lossy(beginning).trim()), ..Self::default() };
        };
        let value = match &value {
            Value::Array(list) => list.first().unwrap_or(&Value::Null),
            other => other,
        };
        Self::in_event(value).unwrap_or_else(|| Self::of(value))
    }

    /// The error within an event or an answer that may as well have none: its `error` if that says something, or the
    /// event itself if its `type` is `error`.
    #[must_use]
    pub fn in_event(event: &Value) -> Option<Self> {
        match event.get("error") {
            Some(error @ Value::Object(_)) => Some(Self::of(error)),
            Some(Value::String(message)) => Some(Self { message: short(message), ..Self::default() }),
            _ if event.get("type").is_some_and(|t| t == "error") => Some(Self::of(event)),
            _ => None,
        }
    }

    /// Whether nothing was found.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    fn of(error: &Value) -> Self {
        let field = |name: &str| error.get(name).and_then(text);
        Self {
            message: field("message").or_else(|| field("detail")).or_else(|| text(error)),
            kind: field("type"),
            param: field("param"),
            code: field("code"),
        }
    }
}

/// Strings and numbers as text, a list by its first entry that has any, an object by its `message` or `msg`.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => short(text),
        Value::Number(number) => Some(number.to_string()),
        Value::Array(list) => list.iter().find_map(text),
        Value::Object(object) => {
            ["message", "msg"].iter().find_map(|f| object.get(*f)?.as_str()).and_then(short)
        }
        Value::Null | Value::Bool(_) => None,
    }
}

fn short(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.chars().take(MAX_TEXT).collect())
}
