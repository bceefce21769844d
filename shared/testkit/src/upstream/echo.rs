//! Endpoints whose answer follows from the request: embeddings, moderations, files, batches.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::{Value, json};

use super::api::{CREATED, Content, prompt_tokens};
use super::script::Shape;
use super::shelf::{Kind, Shelf};
use super::wire::{Request, find};

/// How long a vector is unless `dimensions` says so.
const DIMENSIONS: u64 = 16;

/// No longer than the largest that OpenAI makes.
const MAX_DIMENSIONS: u64 = 3_072;

pub(super) fn embeddings(request: &Value, shape: &Shape) -> Content {
    let input = &request["input"];
    // A list of numbers is one input, in tokens.
    let inputs: Vec<String> = match input {
        Value::Array(list) if !list.iter().all(Value::is_number) => {
            list.iter().map(Value::to_string).collect()
        }
        one => vec![one.to_string()],
    };
    let dimensions = request["dimensions"].as_u64().unwrap_or(DIMENSIONS).clamp(1, MAX_DIMENSIONS);
    let encode = |vector: Vec<f32>| match request["encoding_format"].as_str() {
        Some("base64") => {
            json!(STANDARD.encode(vector.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>()))
        }
        _ => json!(vector),
    };
    let entry = |(index, text): (usize, &String)| json!({"object": "embedding", "index": index, "embedding": encode(vector(text, dimensions))});
    let data: Vec<Value> = inputs.iter().enumerate().map(entry).collect();
    let mut body = json!({"object": "list", "data": data, "model": request["model"]});
    if shape.usage {
        let tokens = prompt_tokens(input);
        body["usage"] = json!({"prompt_tokens": tokens, "total_tokens": tokens});
    }
    Content::json(&body)
}

/// A vector of length 1 that depends on the text alone.
fn vector(text: &str, dimensions: u64) -> Vec<f32> {
    // FNV-1a for the seed, then Marsaglia's xorshift64.
    let seed = text
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, b| (hash ^ u64::from(b)).wrapping_mul(0x100_0000_01b3));
    let mut state = seed | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    let raw: Vec<f32> = (0..dimensions).map(|_| next()).collect();
    let length = raw.iter().map(|x| x * x).sum::<f32>().sqrt().max(f32::MIN_POSITIVE);
    raw.into_iter().map(|x| x / length).collect()
}

/// Flags each input that has the word "forbidden".
pub(super) fn moderations(id: u64, request: &Value) -> Content {
    let inputs = match &request["input"] {
        Value::Array(list) => list.clone(),
        one => vec![one.clone()],
    };
    let result = |input: &Value| {
        let flagged = input.to_string().contains("forbidden");
        json!({"flagged": flagged, "categories": {"violence": flagged, "hate": false},
            "category_scores": {"violence": if flagged { 0.99 } else { 0.01 }, "hate": 0.0}})
    };
    let results: Vec<Value> = inputs.iter().map(result).collect();
    Content::json(&json!({"id": format!("modr-{id}"), "model": request["model"], "results": results}))
}

pub(super) fn files(id: u64, request: &Request, path: &[&str], shelf: &mut Shelf) -> Content {
    match (request.method.as_str(), path) {
        ("POST", []) => {
            let id = format!("file-{id}");
            let (name, content) = part(request, "file").unwrap_or_default();
            let (_, purpose) = part(request, "purpose").unwrap_or_default();
            let file = json!({"id": id, "object": "file", "bytes": content.len(), "created_at": CREATED,
                "filename": name, "purpose": String::from_utf8_lossy(&purpose), "status": "processed"});
            shelf.put(Kind::File, &id, file.clone(), content);
            Content::json(&file)
        }
        ("GET", []) => {
            Content::json(&json!({"object": "list", "data": shelf.list(Kind::File), "has_more": false}))
        }
        (method, [id, rest @ ..]) => {
            let Some((file, content)) = shelf.get(Kind::File, id) else {
                return Content::missing(&format!("File object: {id}"));
            };
            match (method, rest) {
                ("GET", []) => Content::json(&file),
                ("GET", ["content"]) => {
                    Content::Whole { status: 200, kind: "application/octet-stream", body: content }
                }
                ("DELETE", []) => {
                    shelf.remove(Kind::File, id);
                    Content::json(&json!({"id": id, "object": "file", "deleted": true}))
                }
                _ => Content::missing("path under this file"),
            }
        }
        _ => Content::missing("path under files"),
    }
}

/// File name and content of a part of a form.
fn part(request: &Request, name: &str) -> Option<(String, Bytes)> {
    let boundary = request.header("content-type")?.split("boundary=").nth(1)?.trim_matches('"');
    let boundary = format!("--{boundary}");
    let (mut rest, wanted) = (request.body.clone(), format!("name=\"{name}\""));
    while let Some(start) = find(&rest, boundary.as_bytes()) {
        rest = rest.slice(start + boundary.len()..);
        let end = find(&rest, boundary.as_bytes())?;
        let part = rest.slice(..end);
        let Some(head) = find(&part, b"\r\n\r\n") else { continue };
        let text = String::from_utf8_lossy(&part[..head]).into_owned();
        // `filename="x"` must not be taken for `name="x"`.
        if text.contains(&format!(" {wanted}")) {
            let filename = text.split("filename=\"").nth(1).and_then(|rest| rest.split('"').next());
            let content = part.slice(head + 4..part.len().saturating_sub(2).max(head + 4));
            return Some((filename.unwrap_or_default().to_owned(), content));
        }
    }
    None
}

pub(super) fn batches(id: u64, request: &Request, json: &Value, path: &[&str], shelf: &mut Shelf) -> Content {
    match (request.method.as_str(), path) {
        ("POST", []) => {
            let id = format!("batch_{id}");
            let batch = json!({"id": id, "object": "batch", "endpoint": json["endpoint"], "errors": null,
                "input_file_id": json["input_file_id"], "completion_window": json["completion_window"],
                "status": "validating", "created_at": CREATED, "metadata": json["metadata"],
                "request_counts": {"total": 0, "completed": 0, "failed": 0}});
            shelf.put(Kind::Batch, &id, batch.clone(), Bytes::new());
            Content::json(&batch)
        }
        ("GET", []) => {
            Content::json(&json!({"object": "list", "data": shelf.list(Kind::Batch), "has_more": false}))
        }
        (method, [id, rest @ ..]) => {
            let Some((mut batch, _)) = shelf.get(Kind::Batch, id) else {
                return Content::missing(&format!("batch: {id}"));
            };
            match (method, rest) {
                ("GET", []) => Content::json(&batch),
                ("POST", ["cancel"]) => {
                    batch["status"] = json!("cancelling");
                    shelf.put(Kind::Batch, id, batch.clone(), Bytes::new());
                    Content::json(&batch)
                }
                _ => Content::missing("path under this batch"),
            }
        }
        _ => Content::missing("path under batches"),
    }
}
