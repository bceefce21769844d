//! What OpenAI's endpoints answer, in miniature.

use bytes::Bytes;
use serde_json::{Value, json};

use super::script::{NAMES, Shape};
use super::shelf::Shelf;
use super::wire::Request;
use super::{chat, echo, responses};

/// The second in which everything here was created: answers to the same request are the same.
pub(super) const CREATED: u64 = 1_700_000_000;

pub(super) enum Content {
    Whole { status: u16, kind: &'static str, body: Bytes },
    Stream(Stream),
}

/// A stream before it is decided how it ends.
pub(super) struct Stream {
    pub(super) events: Vec<Bytes>,
    /// What says that it is over.
    pub(super) last: Bytes,
    /// What may come instead.
    pub(super) error: Bytes,
}

impl Content {
    pub(super) fn json(value: &Value) -> Self {
        Self::Whole { status: 200, kind: "application/json", body: value.to_string().into() }
    }

    fn failed(status: u16, message: &str, param: Option<&str>, code: Option<&str>) -> Self {
        let error =
            json!({"message": message, "type": "invalid_request_error", "param": param, "code": code});
        let body = json!({"error": error}).to_string().into();
        Self::Whole { status, kind: "application/json", body }
    }

    /// 404 for what is not there.
    pub(super) fn missing(what: &str) -> Self {
        Self::failed(404, &format!("No such {what}"), None, None)
    }
}

/// Headers that every success has.
pub(super) fn headers() -> Vec<(&'static str, String)> {
    let pairs = [
        ("x-request-id", "req_mock"),
        ("openai-processing-ms", "1"),
        ("x-ratelimit-limit-requests", "1000"),
        ("x-ratelimit-remaining-requests", "999"),
        ("x-ratelimit-reset-requests", "60ms"),
        ("x-ratelimit-limit-tokens", "100000"),
        ("x-ratelimit-remaining-tokens", "99000"),
        ("x-ratelimit-reset-tokens", "600ms"),
    ];
    pairs.map(|(name, value)| (name, value.to_owned())).to_vec()
}

/// The answer to a request; `id` is a number that no other answer has.
pub(super) fn answer(id: u64, request: &Request, json: &Value, shape: &Shape, shelf: &mut Shelf) -> Content {
    let path = request.path.split('?').next().unwrap_or_default();
    let path: Vec<&str> = path.trim_start_matches("/v1").trim_matches('/').split('/').collect();
    let generates = matches!(path[..], ["chat", "completions"] | ["responses"] | ["embeddings"]);
    if request.method == "POST" && generates && !json["model"].is_string() {
        return Content::failed(400, "you must provide a model parameter", Some("model"), None);
    }
    match (request.method.as_str(), &path[..]) {
        ("POST", ["chat", "completions"]) => chat::answer(id, json, shape),
        ("POST", ["embeddings"]) => echo::embeddings(json, shape),
        ("POST", ["moderations"]) => echo::moderations(id, json),
        ("GET", ["models"]) => Content::json(&json!({"object": "list", "data": NAMES.map(model).to_vec()})),
        ("GET", ["models", name]) => Content::json(&model(name)),
        ("POST", ["responses"]) => responses::create(id, json, shape, shelf),
        (_, ["responses", rest @ ..]) => responses::stored(&request.method, rest, shelf),
        (_, ["files", rest @ ..]) => echo::files(id, request, rest, shelf),
        (_, ["batches", rest @ ..]) => echo::batches(id, request, json, rest, shelf),
        (method, _) => Content::failed(
            404,
            &format!("Invalid URL ({method} {})", request.path),
            None,
            Some("unknown_url"),
        ),
    }
}

fn model(name: &str) -> Value {
    json!({"id": name, "object": "model", "created": CREATED, "owned_by": "mock"})
}

/// How many tokens a prompt has here: the words in all of its texts, at least 1.
pub(super) fn prompt_tokens(prompt: &Value) -> u64 {
    fn words(value: &Value, key: &str) -> usize {
        match value {
            // A role, a type or a URL is no text of the prompt.
            Value::String(text) if matches!(key, "" | "content" | "text" | "input") => {
                text.split_whitespace().count()
            }
            Value::Array(list) => list.iter().map(|entry| words(entry, key)).sum(),
            Value::Object(object) => object.iter().map(|(key, entry)| words(entry, key)).sum(),
            Value::Number(_) if key.is_empty() => 1,
            _ => 0,
        }
    }
    words(prompt, "").max(1) as u64
}

/// The text in as many pieces as asked for, by characters, none of them empty unless the text is.
pub(super) fn pieces(shape: &Shape) -> Vec<String> {
    let chars: Vec<char> = shape.text.chars().collect();
    let count = shape.pieces.clamp(1, chars.len().max(1));
    let bounds: Vec<usize> = (0..=count).map(|n| n * chars.len() / count).collect();
    bounds.windows(2).map(|bound| chars[bound[0]..bound[1]].iter().collect()).collect()
}
