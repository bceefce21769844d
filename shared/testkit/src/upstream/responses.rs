//! `/v1/responses`: made, streamed as typed events, and kept.

use bytes::Bytes;
use serde_json::{Value, json};

use super::api::{CREATED, Content, Stream, pieces, prompt_tokens};
use super::script::Shape;
use super::shelf::{Kind, Shelf};

pub(super) fn create(id: u64, request: &Value, shape: &Shape, shelf: &mut Shelf) -> Content {
    let id = format!("resp_{id}");
    let item = item(&id, &shape.text, "completed");
    let whole = response(&id, request, "completed", json!([item]), usage(request, shape));
    if request["store"] != false {
        shelf.put(Kind::Response, &id, whole.clone(), Bytes::from(request["input"].to_string()));
    }
    if request["stream"] != true {
        return Content::json(&whole);
    }
    let started = response(&id, request, "in_progress", json!([]), Value::Null);
    Content::Stream(stream(&id, &started, &whole, shape))
}

/// Retrieving, cancelling, deleting, and the input.
pub(super) fn stored(method: &str, path: &[&str], shelf: &mut Shelf) -> Content {
    let Some(id) = path.first() else { return Content::missing("response") };
    let Some((response, input)) = shelf.get(Kind::Response, id) else {
        return Content::missing(&format!("response: {id}"));
    };
    match (method, &path[1..]) {
        ("GET", []) => Content::json(&response),
        ("DELETE", []) => {
            shelf.remove(Kind::Response, id);
            Content::json(&json!({"id": id, "object": "response", "deleted": true}))
        }
        ("POST", ["cancel"]) => {
            let mut response = response;
            response["status"] = json!("cancelled");
            shelf.put(Kind::Response, id, response.clone(), input);
            Content::json(&response)
        }
        ("GET", ["input_items"]) => {
            let input: Value = serde_json::from_slice(&input).unwrap_or_default();
            let items = match input {
                Value::Array(items) => items,
                text => vec![json!({"id": "msg_in", "type": "message", "role": "user",
                    "content": [{"type": "input_text", "text": text}]})],
            };
            Content::json(&json!({"object": "list", "data": items, "has_more": false}))
        }
        _ => Content::missing("path under this response"),
    }
}

fn response(id: &str, request: &Value, status: &str, output: Value, usage: Value) -> Value {
    json!({"id": id, "object": "response", "created_at": CREATED, "status": status, "error": null,
        "incomplete_details": null, "instructions": request["instructions"], "metadata": request["metadata"],
        "model": request["model"], "output": output, "parallel_tool_calls": true, "tool_choice": "auto", "tools": [],
        "temperature": 1.0, "top_p": 1.0, "usage": usage})
}

fn item(id: &str, text: &str, status: &str) -> Value {
    let content = if status == "completed" { json!([part(text)]) } else { json!([]) };
    json!({"id": format!("msg_{id}"), "type": "message", "role": "assistant", "status": status, "content": content})
}

fn part(text: &str) -> Value {
    json!({"type": "output_text", "text": text, "annotations": [], "logprobs": []})
}

fn usage(request: &Value, shape: &Shape) -> Value {
    if !shape.usage {
        return Value::Null;
    }
    let (input, output) = (prompt_tokens(&request["input"]), pieces(shape).len() as u64);
    json!({"input_tokens": input, "output_tokens": output, "total_tokens": input + output,
        "input_tokens_details": {"cached_tokens": 0}, "output_tokens_details": {"reasoning_tokens": 0}})
}

fn stream(id: &str, started: &Value, whole: &Value, shape: &Shape) -> Stream {
    let mut number = 0;
    let mut event = |kind: &str, mut body: Value| {
        body["type"] = json!(kind);
        body["sequence_number"] = json!(number);
        number += 1;
        Bytes::from(format!("event: {kind}\ndata: {body}\n\n"))
    };
    let item_id = format!("msg_{id}");
    let place = |field: &str, value: Value| {
        let mut body = json!({"item_id": item_id, "output_index": 0, "content_index": 0});
        body[field] = value;
        body
    };
    let added = json!({"output_index": 0, "item": item(id, "", "in_progress")});
    let mut events = vec![
        event("response.created", json!({"response": started})),
        event("response.in_progress", json!({"response": started})),
        event("response.output_item.added", added),
        event("response.content_part.added", place("part", part(""))),
    ];
    for piece in pieces(shape) {
        events.push(event("response.output_text.delta", place("delta", json!(piece))));
    }
    events.push(event("response.output_text.done", place("text", json!(shape.text))));
    events.push(event("response.content_part.done", place("part", part(&shape.text))));
    let done = json!({"output_index": 0, "item": item(id, &shape.text, "completed")});
    events.push(event("response.output_item.done", done));
    let last = event("response.completed", json!({"response": whole}));
    let error =
        event("error", json!({"code": "server_error", "message": "the script says so", "param": null}));
    Stream { events, last, error }
}
