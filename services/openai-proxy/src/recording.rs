//! Prompts and answers in spans, where the operator has switched that on: as OpenTelemetry's conventions for generative AI
//! have messages, cut to a bound. Pure.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::assemble::Assembly;
use crate::body::{Body, Endpoint};

/// Where the conventions put what was asked.
pub const INPUT: &str = "gen_ai.input.messages";
/// Where they put what was answered.
pub const OUTPUT: &str = "gen_ai.output.messages";

/// What a request asks, as a list of messages in JSON; none for requests that are no conversation.
pub fn asked(body: &Body, most: usize) -> Option<String> {
    let read =
        |name: &str| body.fields().get(name).and_then(|raw| serde_json::from_str::<Value>(raw.get()).ok());
    let value = match body.endpoint() {
        Endpoint::Chat => read("messages")?,
        Endpoint::Responses => read("input")?,
        Endpoint::Embeddings | Endpoint::Moderations => return None,
    };
    let messages = match &value {
        Value::Array(list) => list.iter().map(message).collect(),
        text => vec![json!({"role": "user", "parts": parts(text)})],
    };
    Some(written(messages, most))
}

/// What a whole answer says: the choices of a chat, or the output of a response.
pub fn answered(body: &Value, most: usize) -> String {
    let list = |name: &str| body.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
    let choices = list("choices").into_iter().map(|choice| {
        let mut said = message(choice.get("message").unwrap_or(&Value::Null));
        if let (Some(said), Some(why)) = (said.as_object_mut(), choice.get("finish_reason")) {
            said.insert("finish_reason".to_owned(), why.clone());
        }
        said
    });
    let output = list("output");
    written(choices.chain(output.iter().map(message)).collect(), most)
}

/// Whole messages, as many as fit; a longer one is cut, and says so.
fn written(messages: Vec<Value>, most: usize) -> String {
    let mut out = String::from("[");
    for message in messages {
        let text = message.to_string();
        if out.len() + text.len() + 2 > most {
            let left =
                json!({"role": "system", "parts": [{"type": "text", "content": "(more is left out)"}]});
            out.push_str(if out.len() > 1 { "," } else { "" });
            out.push_str(&left.to_string());
            break;
        }
        out.push_str(if out.len() > 1 { "," } else { "" });
        out.push_str(&text);
    }
    out.push(']');
    out
}

/// A message of either API.
fn message(value: &Value) -> Value {
    let role = value.get("role").and_then(Value::as_str).unwrap_or("assistant");
    let mut all = parts(value.get("content").unwrap_or(&Value::Null));
    if role == "tool" {
        let id = value.get("tool_call_id").cloned().unwrap_or_default();
        all = vec![json!({"type": "tool_call_response", "id": id, "response": value.get("content")})];
    }
    let calls = value.get("tool_calls").and_then(Value::as_array).into_iter().flatten();
    all.extend(calls.map(|call| {
        let function = call.get("function").unwrap_or(&Value::Null);
        json!({"type": "tool_call", "id": call.get("id"), "name": function.get("name"), "arguments": function.get("arguments")})
    }));
    json!({"role": role, "parts": all})
}

/// A text, or a list of parts of which the texts are told, and of the others only what they are.
fn parts(content: &Value) -> Vec<Value> {
    match content {
        Value::String(text) => vec![json!({"type": "text", "content": text})],
        Value::Array(list) => list
            .iter()
            .map(|part| match part.get("text").and_then(Value::as_str) {
                Some(text) => json!({"type": "text", "content": text}),
                None => json!({"type": part.get("type").cloned().unwrap_or_default()}),
            })
            .collect(),
        _ => Vec::new(),
    }
}

/// What a stream says, listened to along the way.
#[derive(Debug)]
pub enum Heard {
    /// The pieces of a chat.
    Chat(Box<Assembly>),
    /// The last event of a response that holds all of it.
    Response(Option<Bytes>),
}

impl Heard {
    /// Of a stream of this endpoint, at most so many bytes.
    pub fn of(endpoint: Endpoint, most: usize) -> Self {
        match endpoint {
            Endpoint::Responses => Self::Response(None),
            _ => Self::Chat(Box::new(Assembly::new(most))),
        }
    }

    /// Listens to one event's data. What makes no sense is told by others.
    pub fn listen(&mut self, data: &Bytes) {
        match self {
            // What came before the error is what was heard.
            Self::Chat(assembly) => drop(assembly.add(data)),
            Self::Response(last) => {
                let ends =
                    [&b"\"response.completed\""[..], b"\"response.incomplete\"", b"\"response.failed\""];
                if ends.iter().any(|end| data.windows(end.len()).any(|window| window == *end)) {
                    *last = Some(data.clone());
                }
            }
        }
    }

    /// What was said.
    pub fn told(self, most: usize) -> String {
        let all = match self {
            Self::Chat(assembly) => assembly.so_far(),
            Self::Response(last) => last
                .and_then(|data| serde_json::from_slice::<Value>(&data).ok())
                .and_then(|mut event| event.get_mut("response").map(Value::take))
                .unwrap_or_default(),
        };
        answered(&all, most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked_of(text: &str, most: usize) -> Value {
        let endpoint = if text.contains("messages") { Endpoint::Chat } else { Endpoint::Responses };
        let body = Body::read(endpoint, text.as_bytes()).unwrap();
        serde_json::from_str(&asked(&body, most).unwrap()).unwrap()
    }

    #[test]
    fn messages_have_roles_and_parts() {
        let chat = r#"{"model":"m","messages":[{"role":"system","content":"Be brief."},
            {"role":"user","content":[{"type":"text","text":"What is it?"},{"type":"image_url","image_url":{"url":"data:..."}}]},
            {"role":"assistant","tool_calls":[{"id":"c","function":{"name":"look","arguments":"{}"}}]},
            {"role":"tool","tool_call_id":"c","content":"a lamp"}]}"#;
        let expected = json!([
            {"role": "system", "parts": [{"type": "text", "content": "Be brief."}]},
            {"role": "user", "parts": [{"type": "text", "content": "What is it?"}, {"type": "image_url"}]},
            {"role": "assistant", "parts": [{"type": "tool_call", "id": "c", "name": "look", "arguments": "{}"}]},
            {"role": "tool", "parts": [{"type": "tool_call_response", "id": "c", "response": "a lamp"}]},
        ]);
        assert_eq!(asked_of(chat, 4_096), expected);
        let respond = asked_of(r#"{"model":"m","input":"What is it?"}"#, 4_096);
        assert_eq!(respond, json!([{"role": "user", "parts": [{"type": "text", "content": "What is it?"}]}]));
    }

    #[test]
    fn what_is_too_much_is_left_out_and_it_says_so() {
        let long = "x".repeat(500);
        let chat = format!(
            r#"{{"model":"m","messages":[{{"role":"user","content":"short"}},{{"role":"user","content":"{long}"}}]}}"#
        );
        let cut = asked_of(&chat, 300);
        assert_eq!(cut[0]["parts"][0]["content"], "short");
        assert_eq!(cut[1]["parts"][0]["content"], "(more is left out)");
    }

    #[test]
    fn streams_are_heard() {
        let mut chat = Heard::of(Endpoint::Chat, 1_000);
        for piece in [
            r#"{"choices":[{"index":0,"delta":{"content":"a la"}}]}"#,
            "junk",
            r#"{"choices":[{"index":0,"delta":{"content":"mp"}}]}"#,
        ] {
            chat.listen(&Bytes::from_static(piece.as_bytes()));
        }
        let said: Value = serde_json::from_str(&chat.told(1_000)).unwrap();
        assert_eq!(said[0]["parts"][0]["content"], "a lamp");
        let mut response = Heard::of(Endpoint::Responses, 1_000);
        let end = r#"{"type":"response.completed","response":{"output":[{"type":"message","role":"assistant","content":[{"type":"output_text","text":"a lens"}]}]}}"#;
        response.listen(&Bytes::from_static(br#"{"type":"response.created","response":{"output":[]}}"#));
        response.listen(&Bytes::copy_from_slice(end.as_bytes()));
        let said: Value = serde_json::from_str(&response.told(1_000)).unwrap();
        assert_eq!(said[0]["parts"][0]["content"], "a lens");
    }
}
