//! A chat completion from its pieces: what a stream's chunks say together, as if the answer had come whole. Pure.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::api_error::UpstreamError;

/// More choices than this nobody gets: OpenAI allows as many.
const MOST_CHOICES: usize = 128;
/// Fields of a piece that name something and are not continued: the later one stands.
const NAMES: [&str; 5] = ["id", "type", "role", "index", "object"];

/// Why pieces make no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// A piece is no JSON object.
    #[error("a piece of the answer is no JSON object")]
    NotJson,
    /// The provider said in mid-stream what went wrong.
    #[error("the provider broke off: {}", .0.message.as_deref().unwrap_or("without a reason"))]
    Said(UpstreamError),
    /// The end is missing.
    #[error("the answer broke off before its end")]
    Short,
    /// There is too much of it.
    #[error("the answer is larger than {0} bytes or has more than {MOST_CHOICES} choices")]
    TooLarge(usize),
}

/// New text of one choice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    /// Which choice, from 0.
    pub choice: u64,
    /// What is new of it.
    pub text: String,
}

/// Pieces so far.
#[derive(Debug)]
pub struct Assembly {
    head: Map<String, Value>,
    choices: BTreeMap<u64, Map<String, Value>>,
    bytes: usize,
    most: usize,
}

impl Assembly {
    /// Nothing yet; the pieces together have at most `most` bytes.
    pub fn new(most: usize) -> Self {
        Self { head: Map::new(), choices: BTreeMap::new(), bytes: 0, most }
    }

    /// Adds the data of one event. Returns the text that is new.
    ///
    /// # Errors
    /// [`Broken`]; what was added before stays.
    pub fn add(&mut self, data: &[u8]) -> Result<Vec<Text>, Broken> {
        self.bytes = self.bytes.saturating_add(data.len());
        if self.bytes > self.most {
            return Err(Broken::TooLarge(self.most));
        }
        let Ok(Value::Object(mut chunk)) = serde_json::from_slice(data) else { return Err(Broken::NotJson) };
        if let Some(said) = UpstreamError::in_event(&Value::Object(chunk.clone())) {
            return Err(Broken::Said(said));
        }
        let choices = chunk.remove("choices");
        for (name, value) in chunk {
            // The first chunk names the answer; usage comes with the last, and is null before.
            if !value.is_null() && (name == "usage" || !self.head.contains_key(&name)) {
                self.head.insert(name, value);
            }
        }
        let Some(Value::Array(choices)) = choices else { return Ok(Vec::new()) };
        choices.into_iter().filter_map(|choice| self.add_choice(choice).transpose()).collect()
    }

    fn add_choice(&mut self, choice: Value) -> Result<Option<Text>, Broken> {
        let Value::Object(mut choice) = choice else { return Err(Broken::NotJson) };
        let index = choice.get("index").and_then(Value::as_u64).unwrap_or(0);
        if self.choices.len() >= MOST_CHOICES && !self.choices.contains_key(&index) {
            return Err(Broken::TooLarge(self.most));
        }
        let delta = choice.remove("delta").unwrap_or(Value::Null);
        let text = delta.get("content").and_then(Value::as_str).filter(|text| !text.is_empty());
        let text = text.map(|text| Text { choice: index, text: text.to_owned() });
        let so_far = self.choices.entry(index).or_default();
        merge(so_far, choice);
        if let Value::Object(delta) = delta {
            let message = so_far.entry("message").or_insert_with(|| json!({}));
            if let Value::Object(message) = message {
                merge(message, delta);
            }
        }
        Ok(text)
    }

    /// The answer so far, whether or not it has an end.
    pub fn so_far(mut self) -> Value {
        let choices = self.choices.into_values().map(Value::Object).collect();
        self.head.insert("choices".to_owned(), Value::Array(choices));
        Value::Object(self.head)
    }

    /// The answer as it would have come whole.
    ///
    /// # Errors
    /// [`Broken::Short`] where no choice says why it ended.
    pub fn finish(mut self) -> Result<Value, Broken> {
        let ended = |choice: &Map<String, Value>| choice.get("finish_reason").is_some_and(|r| !r.is_null());
        if self.choices.is_empty() || !self.choices.values().all(ended) {
            return Err(Broken::Short);
        }
        self.head.insert("object".to_owned(), json!("chat.completion"));
        let choices = self.choices.into_values().map(|mut choice| {
            if let Some(Value::Object(message)) = choice.get_mut("message") {
                message.entry("role").or_insert_with(|| json!("assistant"));
                message.entry("content").or_insert(Value::Null);
                whole_calls(message);
            }
            Value::Object(choice)
        });
        let choices = choices.collect();
        self.head.insert("choices".to_owned(), Value::Array(choices));
        Ok(Value::Object(self.head))
    }
}

/// In a whole answer the place of a tool call is its place in the list.
fn whole_calls(message: &mut Map<String, Value>) {
    let Some(Value::Array(calls)) = message.get_mut("tool_calls") else { return };
    for call in calls.iter_mut().filter_map(Value::as_object_mut) {
        call.remove("index");
    }
}

/// Continues what is there: texts are put together, objects merged, lists of numbered things merged by their numbers and
/// other lists put together. Anything else is replaced.
fn merge(into: &mut Map<String, Value>, more: Map<String, Value>) {
    for (name, new) in more {
        match (into.get_mut(&name), new) {
            (Some(old), Value::Null) if !old.is_null() => {}
            (Some(Value::String(old)), Value::String(new)) if !NAMES.contains(&name.as_str()) => {
                old.push_str(&new);
            }
            (Some(Value::Object(old)), Value::Object(new)) => merge(old, new),
            (Some(Value::Array(old)), Value::Array(new)) => merge_lists(old, new),
            (_, new) => {
                into.insert(name, new);
            }
        }
    }
}

fn merge_lists(old: &mut Vec<Value>, new: Vec<Value>) {
    for entry in new {
        let number = entry.get("index").cloned();
        let same = number.and_then(|n| old.iter_mut().find(|e| e.get("index") == Some(&n)));
        match (same, entry) {
            (Some(Value::Object(old)), Value::Object(new)) => merge(old, new),
            (_, entry) => old.push(entry),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn chunk(choices: &Value) -> Vec<u8> {
        json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 7, "model": "m", "choices": choices})
            .to_string()
            .into_bytes()
    }

    fn assembled(chunks: &[Vec<u8>]) -> Result<Value, Broken> {
        let mut assembly = Assembly::new(1 << 20);
        for chunk in chunks {
            assembly.add(chunk)?;
        }
        assembly.finish()
    }

    #[test]
    fn texts_calls_and_usage_come_together() {
        let call = |n: u64, more: Value| {
            let mut call = json!({"index": n});
            call.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            json!([{"index": 0, "delta": {"tool_calls": [call]}, "finish_reason": null}])
        };
        let chunks = [
            chunk(
                &json!([{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": null}]),
            ),
            chunk(&call(
                0,
                json!({"id": "c0", "type": "function", "function": {"name": "look", "arguments": ""}}),
            )),
            chunk(&call(
                1,
                json!({"id": "c1", "type": "function", "function": {"name": "lift", "arguments": "{"}}),
            )),
            chunk(&call(0, json!({"function": {"arguments": "{\"a\":"}}))),
            chunk(&call(0, json!({"function": {"arguments": "1}"}}))),
            chunk(&call(1, json!({"function": {"arguments": "}"}}))),
            chunk(&json!([{"index": 0, "delta": {}, "finish_reason": "tool_calls"}])),
            json!({"id": "chatcmpl-1", "choices": [], "usage": {"prompt_tokens": 3}})
                .to_string()
                .into_bytes(),
        ];
        let message = json!({"role": "assistant", "content": "", "tool_calls": [
            {"id": "c0", "type": "function", "function": {"name": "look", "arguments": "{\"a\":1}"}},
            {"id": "c1", "type": "function", "function": {"name": "lift", "arguments": "{}"}},
        ]});
        let expected = json!({"id": "chatcmpl-1", "object": "chat.completion", "created": 7, "model": "m",
            "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}], "usage": {"prompt_tokens": 3}});
        assert_eq!(assembled(&chunks), Ok(expected));
    }

    #[test]
    fn what_breaks_off_is_no_answer() {
        let begun = chunk(&json!([{"index": 0, "delta": {"content": "The la"}, "finish_reason": null}]));
        assert_eq!(assembled(std::slice::from_ref(&begun)), Err(Broken::Short));
        assert_eq!(assembled(&[]), Err(Broken::Short));
        assert_eq!(assembled(&[b"[1]".to_vec()]), Err(Broken::NotJson));
        let said = assembled(&[begun.clone(), br#"{"error": {"message": "overloaded"}}"#.to_vec()]);
        assert!(
            matches!(&said, Err(Broken::Said(e)) if e.message.as_deref() == Some("overloaded")),
            "{said:?}"
        );
        let mut small = Assembly::new(begun.len());
        assert!(small.add(&begun).is_ok());
        assert_eq!(small.add(&begun), Err(Broken::TooLarge(begun.len())));
    }

    proptest! {
        /// However a text is cut and the choices' pieces lie among each other, it comes out whole, and the events say it.
        #[test]
        fn cut_texts_come_out_whole(pieces in prop::collection::vec((0u64..3, ".{0,6}"), 1..40)) {
            let mut expected: BTreeMap<u64, String> = BTreeMap::new();
            let mut told: BTreeMap<u64, String> = BTreeMap::new();
            let mut assembly = Assembly::new(1 << 20);
            for (index, text) in &pieces {
                expected.entry(*index).or_default().push_str(text);
                let piece = json!([{"index": index, "delta": {"content": text}, "finish_reason": null}]);
                for new in assembly.add(&chunk(&piece)).unwrap() {
                    told.entry(new.choice).or_default().push_str(&new.text);
                }
            }
            for index in expected.keys() {
                let end = json!([{"index": index, "delta": {}, "finish_reason": "stop"}]);
                prop_assert_eq!(assembly.add(&chunk(&end)), Ok(vec![]));
            }
            let whole = assembly.finish().unwrap();
            for choice in whole["choices"].as_array().unwrap() {
                let index = choice["index"].as_u64().unwrap();
                prop_assert_eq!(&choice["message"]["content"], &json!(expected[&index]));
                prop_assert_eq!(told.get(&index).map_or("", String::as_str), &expected[&index]);
            }
        }

        #[test]
        fn nothing_makes_it_panic(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 0..8)) {
            let mut assembly = Assembly::new(200);
            for piece in &pieces {
                drop(assembly.add(piece));
            }
            drop(assembly.finish());
        }
    }
}
