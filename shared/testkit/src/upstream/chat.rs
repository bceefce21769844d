//! `/v1/chat/completions`.

use bytes::Bytes;
use serde_json::{Value, json};

use super::api::{CREATED, Content, Stream, pieces, prompt_tokens};
use super::script::Shape;
use super::tools;

pub(super) fn answer(id: u64, request: &Value, shape: &Shape) -> Content {
    let usage = usage(request, shape);
    // As many choices as asked for, all the same.
    let choices = request["n"].as_u64().unwrap_or(1).clamp(1, 128);
    let base = |object: &str| {
        json!({"id": format!("chatcmpl-{id}"), "object": object, "created": CREATED, "model": request["model"],
            "service_tier": "default", "system_fingerprint": "fp_mock"})
    };
    if request["stream"] == true {
        return Content::Stream(stream(&base("chat.completion.chunk"), request, shape, usage, choices));
    }
    let said = tools::said(request, shape);
    let choice = |index| json!({"index": index, "message": said.message, "logprobs": null, "finish_reason": said.finish});
    let mut body = base("chat.completion");
    body["choices"] = (0..choices).map(choice).collect();
    if shape.usage {
        body["usage"] = usage;
    }
    Content::json(&body)
}

fn usage(request: &Value, shape: &Shape) -> Value {
    let (input, output) = (prompt_tokens(&request["messages"]), pieces(shape).len() as u64);
    json!({"prompt_tokens": input, "completion_tokens": output, "total_tokens": input + output,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0}})
}

/// With `include_usage` every chunk has a `usage`, null but for one more chunk at the end, which has no choices.
fn stream(base: &Value, request: &Value, shape: &Shape, usage: Value, choices: u64) -> Stream {
    let with_usage = shape.usage && request["stream_options"]["include_usage"] == true;
    let chunk = |choices: Value, usage: Value| {
        let mut chunk = base.clone();
        chunk["choices"] = choices;
        if with_usage {
            chunk["usage"] = usage;
        }
        data(&chunk)
    };
    let say = |delta: Value, finish: Value| {
        let choice =
            |index| json!({"index": index, "delta": delta, "logprobs": null, "finish_reason": finish});
        chunk((0..choices).map(choice).collect(), Value::Null)
    };
    let said = tools::said(request, shape);
    let mut events: Vec<Bytes> = said.deltas.into_iter().map(|delta| say(delta, Value::Null)).collect();
    events.push(say(json!({}), json!(said.finish)));
    if with_usage {
        events.push(chunk(json!([]), usage));
    }
    let error = json!({"message": "the script says so", "type": "server_error", "param": null, "code": null});
    Stream { events, last: Bytes::from_static(b"data: [DONE]\n\n"), error: data(&json!({"error": error})) }
}

fn data(value: &Value) -> Bytes {
    format!("data: {value}\n\n").into()
}
