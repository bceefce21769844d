//! A request's body: what has to be known of it, and what has to be changed. Everything else passes through as it was
//! written, unknown fields too.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

/// A kind of call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Endpoint {
    /// `/chat/completions`
    Chat,
    /// `/responses`
    Responses,
    /// `/embeddings`
    Embeddings,
    /// `/moderations`
    Moderations,
}

impl Endpoint {
    /// Its path below the provider's base URL.
    pub fn path(self) -> &'static str {
        match self {
            Self::Chat => "/chat/completions",
            Self::Responses => "/responses",
            Self::Embeddings => "/embeddings",
            Self::Moderations => "/moderations",
        }
    }

    /// The operation's name in spans (OpenTelemetry's conventions for generative AI).
    pub fn operation(self) -> &'static str {
        match self {
            Self::Chat | Self::Responses => "chat",
            Self::Embeddings => "embeddings",
            Self::Moderations => "moderation",
        }
    }
}

/// A request's body.
#[derive(Debug)]
pub struct Body {
    endpoint: Endpoint,
    /// As it came, but for what is taken out below.
    fields: BTreeMap<String, Box<RawValue>>,
    /// What the client asked for: a route or a model.
    pub model: String,
    /// Whether the answer shall come in pieces.
    pub stream: bool,
    /// Whether the client itself asked for the usage at the end of a stream.
    pub wants_usage: bool,
    /// The most tokens of the answer, where the client says.
    pub max_output: Option<u64>,
}

/// Why a body cannot be used, for the client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadBody {
    /// No JSON object.
    #[error("we could not parse the JSON body of your request: {0}")]
    NotJson(String),
    /// Something is missing, or not what it has to be.
    #[error("{param}: {problem}")]
    Param {
        /// The field.
        param: &'static str,
        /// What is wrong with it.
        problem: String,
    },
}

#[derive(Deserialize, Default)]
struct StreamOptions {
    #[serde(default)]
    include_usage: bool,
}

impl Body {
    /// Reads what has to be known.
    ///
    /// # Errors
    /// [`BadBody`], for the client.
    pub fn read(endpoint: Endpoint, bytes: &[u8]) -> Result<Self, BadBody> {
        let mut fields: BTreeMap<String, Box<RawValue>> =
            serde_json::from_slice(bytes).map_err(|e| BadBody::NotJson(e.to_string()))?;
        let model = field::<String>(&fields, "model")?;
        let model = model.filter(|name| !name.is_empty()).ok_or_else(|| BadBody::Param {
            param: "model",
            problem: "you must provide a model parameter".to_owned(),
        })?;
        let stream = field::<bool>(&fields, "stream")?.unwrap_or(false);
        let options = field::<StreamOptions>(&fields, "stream_options")?.unwrap_or_default();
        let max_output = match endpoint {
            Endpoint::Chat => field(&fields, "max_completion_tokens")?.or(field(&fields, "max_tokens")?),
            Endpoint::Responses => field(&fields, "max_output_tokens")?,
            Endpoint::Embeddings | Endpoint::Moderations => Some(0),
        };
        fields.remove("model");
        Ok(Self { endpoint, fields, model, stream, wants_usage: options.include_usage, max_output })
    }

    /// Asks for the usage at the end of a stream, in the client's name.
    pub fn ask_for_usage(&mut self) {
        if !self.wants_usage
            && let Ok(options) = RawValue::from_string(r#"{"include_usage":true}"#.to_owned())
        {
            self.fields.insert("stream_options".to_owned(), options);
            self.wants_usage = true;
        }
    }

    /// Its fields but for the model, as they were written.
    pub fn fields(&self) -> &BTreeMap<String, Box<RawValue>> {
        &self.fields
    }

    /// Its kind.
    pub fn endpoint(&self) -> Endpoint {
        self.endpoint
    }

    /// The body for a provider: with its own name of the model, and with usage at the end of a chat stream, for what was
    /// used is settled by it.
    pub fn for_upstream(&self, model: &str) -> Bytes {
        let mut out = Vec::with_capacity(256);
        out.extend_from_slice(b"{\"model\":");
        out.extend_from_slice(&json_text(model));
        let adds_usage = self.endpoint == Endpoint::Chat && self.stream && !self.wants_usage;
        for (name, value) in &self.fields {
            if adds_usage && name == "stream_options" {
                continue;
            }
            out.push(b',');
            out.extend_from_slice(&json_text(name));
            out.push(b':');
            out.extend_from_slice(value.get().as_bytes());
        }
        if adds_usage {
            out.extend_from_slice(br#","stream_options":{"include_usage":true}"#);
        }
        out.push(b'}');
        out.into()
    }

    /// The texts that the model will read: what tokens are estimated from.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        let read = match self.endpoint {
            Endpoint::Chat => ["messages", "tools"],
            Endpoint::Responses => ["input", "instructions"],
            Endpoint::Embeddings | Endpoint::Moderations => ["input", ""],
        };
        read.into_iter().filter_map(|name| self.fields.get(name)).map(|value| value.get())
    }

    /// How many answers a chat asks for.
    pub fn answers(&self) -> u64 {
        field::<u64>(&self.fields, "n").ok().flatten().unwrap_or(1).max(1)
    }
}

fn json_text(text: &str) -> Vec<u8> {
    serde_json::Value::from(text).to_string().into_bytes()
}

fn field<'a, T: Deserialize<'a>>(
    fields: &'a BTreeMap<String, Box<RawValue>>,
    param: &'static str,
) -> Result<Option<T>, BadBody> {
    match fields.get(param).map(|value| value.get()) {
        None | Some("null") => Ok(None),
        Some(text) => {
            serde_json::from_str(text).map(Some).map_err(|e| BadBody::Param { param, problem: e.to_string() })
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(endpoint: Endpoint, body: &Value) -> Body {
        Body::read(endpoint, body.to_string().as_bytes()).unwrap()
    }

    fn sent(body: &Body, model: &str) -> Value {
        serde_json::from_slice(&body.for_upstream(model)).unwrap()
    }

    #[test]
    fn only_the_model_changes_and_unknown_fields_pass() {
        let body = json!({"model": "fast", "messages": [{"role": "user", "content": "hi \u{fc} \\"}],
            "unknown": {"deep": [1, 2.50, null]}, "temperature": 0.1});
        let read = read(Endpoint::Chat, &body);
        assert_eq!((read.model.as_str(), read.stream, read.max_output), ("fast", false, None));
        let mut expected = body;
        expected["model"] = "gpt \"x\"".into();
        assert_eq!(sent(&read, "gpt \"x\""), expected);
    }

    #[test]
    fn numbers_keep_the_digits_they_were_written_with() {
        let read = Body::read(
            Endpoint::Chat,
            br#"{"model":"m","messages":[],"seed":12345678901234567890123,"p":1.0}"#,
        );
        let sent = String::from_utf8(read.unwrap().for_upstream("m").to_vec()).unwrap();
        assert!(sent.contains(r#""seed":12345678901234567890123"#) && sent.contains(r#""p":1.0"#), "{sent}");
    }

    #[test]
    fn a_chat_stream_ends_with_its_usage_whether_asked_or_not() {
        for (options, wants) in
            [(json!(null), false), (json!({}), false), (json!({"include_usage": true}), true)]
        {
            let body = json!({"model": "m", "messages": [], "stream": true, "stream_options": options});
            let read = read(Endpoint::Chat, &body);
            assert_eq!(read.wants_usage, wants);
            assert_eq!(sent(&read, "m")["stream_options"], json!({"include_usage": true}), "{options}");
        }
        let whole = read(Endpoint::Chat, &json!({"model": "m", "messages": []}));
        assert_eq!(sent(&whole, "m").get("stream_options"), None);
    }

    #[test]
    fn the_bound_of_the_answer_is_known_under_each_name() {
        let of = |endpoint, body: Value| read(endpoint, &body).max_output;
        assert_eq!(of(Endpoint::Chat, json!({"model": "m", "max_tokens": 5})), Some(5));
        assert_eq!(
            of(Endpoint::Chat, json!({"model": "m", "max_completion_tokens": 6, "max_tokens": 5})),
            Some(6)
        );
        assert_eq!(of(Endpoint::Responses, json!({"model": "m", "max_output_tokens": 7})), Some(7));
        assert_eq!(of(Endpoint::Embeddings, json!({"model": "m", "input": "x"})), Some(0));
    }

    #[test]
    fn what_cannot_be_read_is_said() {
        for (body, param) in [
            (r#"{"messages":[]}"#, "model"),
            (r#"{"model":""}"#, "model"),
            (r#"{"model":7}"#, "model"),
            (r#"{"model":"m","stream":"yes"}"#, "stream"),
            (r#"{"model":"m","max_tokens":-1}"#, "max_tokens"),
        ] {
            let Err(BadBody::Param { param: named, .. }) = Body::read(Endpoint::Chat, body.as_bytes()) else {
                panic!("{body}")
            };
            assert_eq!(named, param, "{body}");
        }
        for body in ["", "[]", "{", "\"x\"", "\u{0}"] {
            assert!(
                matches!(Body::read(Endpoint::Chat, body.as_bytes()), Err(BadBody::NotJson(_))),
                "{body}"
            );
        }
    }
}
