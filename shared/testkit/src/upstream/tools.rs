//! What a chat answers: a text, or the call of a tool where the request brings tools.

use serde_json::{Value, json};

use super::api::pieces;
use super::script::Shape;

/// The arguments of every call, JSON as models write it.
const ARGUMENTS: &str = r#"{"city": "Zürich", "days": 2}"#;

/// An answer, whole and in pieces.
pub(super) struct Said {
    /// The message of a choice.
    pub(super) message: Value,
    /// What a stream brings of it, one delta an event.
    pub(super) deltas: Vec<Value>,
    /// Why it ends.
    pub(super) finish: &'static str,
}

/// A tool is called once: who sends its result gets a text.
pub(super) fn said(request: &Value, shape: &Shape) -> Said {
    let last = request["messages"].as_array().and_then(|messages| messages.last());
    let answered = last.is_some_and(|message| message["role"] == "tool");
    let tool = request["tools"].as_array().and_then(|tools| tools.first());
    match tool.filter(|_| !answered && request["tool_choice"] != "none") {
        Some(tool) => called(&tool["function"]["name"]),
        None => spoken(shape),
    }
}

fn spoken(shape: &Shape) -> Said {
    let message = json!({"role": "assistant", "content": shape.text, "refusal": null, "annotations": []});
    let mut deltas = vec![json!({"role": "assistant", "content": "", "refusal": null})];
    deltas.extend(pieces(shape).into_iter().map(|piece| json!({"content": piece})));
    Said { message, deltas, finish: "stop" }
}

fn called(name: &Value) -> Said {
    let call = |arguments: &str| json!({"id": "call_mock", "type": "function", "function": {"name": name, "arguments": arguments}});
    let message =
        json!({"role": "assistant", "content": null, "refusal": null, "tool_calls": [call(ARGUMENTS)]});
    let mut begun = call("");
    begun["index"] = json!(0);
    let mut deltas = vec![json!({"role": "assistant", "content": null, "tool_calls": [begun]})];
    let arguments = Shape { text: ARGUMENTS.to_owned(), pieces: 4, ..Shape::default() };
    for piece in pieces(&arguments) {
        deltas.push(json!({"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}));
    }
    Said { message, deltas, finish: "tool_calls" }
}
