//! What cannot be computed is a typed error with its stable code, and the ml service lives.

use serde_json::{Value, json};
use tasklane_bus::Outgoing;
use tasklane_contract::{headers, id};

use crate::ml_tasks::{Served, start};

/// So many bytes are nowhere free.
const MUCH: u64 = 1 << 46;

/// Task type, payload, code, and a part of the message.
type Case = (&'static str, Value, &'static str, &'static str);

async fn fails(ml: &Served, cases: Vec<Case>) {
    let runs = cases.into_iter().map(async |(task_type, payload, code, part)| {
        let record = ml.stack.client.run(task_type, payload.clone()).await;
        assert_eq!(
            (&record["status"], &record["error"]["code"]),
            (&json!("failed"), &json!(code)),
            "{payload}: {record}"
        );
        let message = record["error"]["message"].as_str().unwrap();
        assert!(message.contains(part), "{payload}: {message}");
        assert!(record["attempts"].as_array().unwrap().len() <= 1, "it is not tried again: {record}");
    });
    futures::future::join_all(runs).await;
    // The process is the same: nobody starts another here.
    let good = ml.run("embed_text", json!({"model": "tiny", "input": "fox"})).await;
    assert_eq!(good["dimensions"], 32);
}

#[tokio::test]
async fn texts_that_cannot_be_read_are_refused() {
    let Some(ml) = start(&[("TASKLANE_BATCH_KV_MEMORY_MB", "1")]).await else { return };
    let long = "fox ".repeat(100);
    let embed = |more: Value| {
        let mut payload = json!({"model": "tiny", "input": "fox"});
        payload.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        payload
    };
    let write =
        |prompt: &str, tokens: u64| json!({"model": "teller", "prompt": prompt, "max_tokens": tokens});
    let chat = json!({"model": "teller", "messages": [{"role": "user", "content": "a"}]});
    let cases = vec![
        ("embed_text", embed(json!({"model": "nobody"})), "TL2401", "`nobody`"),
        ("embed_text", embed(json!({"model": "tiny@9"})), "TL2401", "`tiny@9`"),
        ("embed_text", embed(json!({"model": "../tiny"})), "TL2404", "../tiny"),
        ("embed_text", embed(json!({"model": "teller"})), "TL2403", "is a decoder"),
        ("embed_text", embed(json!({"model": "sorts"})), "TL2403", "is a classifier of texts"),
        ("classify_text", embed(json!({})), "TL2403", "is an encoder for embeddings"),
        ("rerank", json!({"model": "tiny", "query": "a", "passages": ["b"]}), "TL2403", "wants a reranker"),
        ("generate_text", json!({"model": "tiny", "prompt": "a"}), "TL2403", "wants a decoder"),
        ("embed_text", json!({"model": "tiny"}), "TL1010", "input"),
        ("embed_text", embed(json!({"input": [1]})), "TL1010", "input"),
        ("embed_text", embed(json!({"input": []})), "TL1010", "input"),
        ("embed_text", embed(json!({"tuncate": "end"})), "TL1010", "tuncate"),
        ("embed_text", embed(json!({"dimensions": 33})), "TL2404", "have 32"),
        (
            "embed_text",
            embed(json!({"input": ["a", long], "truncate": "error"})),
            "TL2404",
            "text 1 has 100 tokens",
        ),
        ("generate_text", json!({"model": "teller"}), "TL1010", ""),
        ("generate_text", chat, "TL2404", "template"),
        ("generate_text", write(&"fox ".repeat(9_000), 1), "TL2404", "tokens"),
        // Its context would hold this; the memory for keys and values does not.
        ("generate_text", write("fox", 8_000), "TL2405", "MB of memory"),
    ];
    fails(&ml, cases).await;
}

#[tokio::test]
async fn tensors_that_do_not_fit_and_modules_that_fail_are_told() {
    let Some(ml) = start(&[]).await else { return };
    let call = |model: &str, input: Value| json!({"model": model, "inputs": [input]});
    let cases = vec![
        ("ml_inference", call("mlp", json!([[1.0, 2.0]])), "TL2406", "mat1"),
        ("ml_inference", json!({"model": "mlp", "inputs": []}), "TL2406", "argument"),
        ("ml_inference", call("raises", json!([1.0])), "TL2406", "only negative numbers are wanted"),
        ("ml_inference", call("eats", json!(MUCH)), "TL2406", "can't allocate memory"),
        ("ml_inference", call("vast", json!([-1.0])), "TL2405", "1048576 MB of memory"),
        ("ml_inference", call("tiny", json!([1.0])), "TL2403", "wants a TorchScript module"),
        ("ml_inference", json!({"model": "mlp"}), "TL1010", "inputs"),
    ];
    fails(&ml, cases).await;
    for wrong in [
        json!("text"),
        json!([[1, 2], [3]]),
        json!({"dtype": "f99", "values": [1]}),
        json!({"shape": [3], "values": [1]}),
    ] {
        let record = ml.stack.client.run("ml_inference", call("mlp", wrong.clone())).await;
        assert_eq!(record["status"], "failed", "{wrong}: {record}");
        let code = record["error"]["code"].as_str().unwrap();
        assert!(code.starts_with("TL1") || code.starts_with("TL2"), "{wrong}: {record}");
    }
    for bytes in [&b"no safetensors"[..], &[255; 64], b""] {
        let id = id::fresh();
        let out = Outgoing::new("tasks.submit.ml_inference", bytes.to_vec())
            .header(headers::MSG_ID, &id)
            .header(headers::CONTENT_TYPE, "application/x-safetensors");
        ml.stack.client.publish(out).await;
        let record = ml.stack.client.result(&id).await;
        assert_eq!(
            (&record["status"], &record["error"]["code"]),
            (&json!("failed"), &json!("TL2404")),
            "{record}"
        );
    }
    // What was refused took no memory along, and who asks for less is served.
    let served = ml.run("ml_inference", call("raises", json!([-1.0]))).await;
    assert_eq!(served["output"]["values"], json!([-1.0]));
}
