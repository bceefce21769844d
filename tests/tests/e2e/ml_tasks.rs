//! The ml service's task types from their user's side, against what Python says of the same models.

use std::path::Path;

use futures::StreamExt as _;
use serde_json::{Value, json};
use tasklane_bus::Outgoing;
use tasklane_contract::{headers, id};
use tasklane_testkit::ml::{self, ML, expected, metric};
use tasklane_testkit::otlp::{OtlpReceiver, children_of, tree};
use tasklane_testkit::wait::PATIENCE;
use tasklane_testkit::{Options, Stack};
use tempfile::TempDir;

/// Tokens that the reference has the decoder write.
const WRITTEN: u64 = 24;
const SAFETENSORS: &str = "application/x-safetensors";

/// A stack with the ml service and Python's models.
pub struct Served {
    pub stack: Stack,
    pub models: &'static Path,
    _cache: TempDir,
}

/// `own`: settings of the service.
pub async fn start(own: &[(&str, &str)]) -> Option<Served> {
    start_with(Options::no_workers(), own).await
}

pub async fn start_with(options: Options, own: &[(&str, &str)]) -> Option<Served> {
    let models = ml::models()?;
    let cache = TempDir::new().unwrap();
    let options = options.ml(&models.display().to_string(), cache.path(), own);
    let stack = Stack::start(options).await?;
    Some(Served { stack, models, _cache: cache })
}

impl Served {
    /// What a task returns that has to succeed.
    pub async fn run(&self, task_type: &str, payload: Value) -> Value {
        succeeded(self.stack.client.run(task_type, payload).await)
    }

    /// A number of the service's page of metrics, of one model.
    pub async fn metric(&self, name: &str, model: &str) -> f64 {
        let found =
            metric(self.stack.port(ML), &format!("tasklane_{name}"), &format!("model=\"{model}\"")).await;
        found.unwrap_or_else(|| panic!("no {name} of {model}"))
    }
}

pub fn succeeded(mut record: Value) -> Value {
    assert_eq!(record["status"], "succeeded", "{record}");
    record["result"].take()
}

pub fn numbers(list: &Value) -> Vec<f64> {
    list.as_array().unwrap_or_else(|| panic!("{list}")).iter().map(|n| n.as_f64().unwrap()).collect()
}

/// 1 less the cosine.
pub fn apart(a: &Value, b: &Value) -> f64 {
    let (a, b) = (numbers(a), numbers(b));
    assert_eq!(a.len(), b.len());
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f64>();
    1.0 - dot(&a, &b) / (dot(&a, &a) * dot(&b, &b)).sqrt()
}

fn assert_near(ours: &Value, theirs: &Value, what: &str) {
    let (ours, theirs) = (numbers(ours), numbers(theirs));
    assert_eq!(ours.len(), theirs.len(), "{what}");
    for (a, b) in ours.iter().zip(&theirs) {
        assert!((a - b).abs() < 1e-4, "{what}: {a} {b}");
    }
}

#[tokio::test]
async fn texts_become_the_vectors_of_the_reference_one_by_one_and_together() {
    let Some(ml) = start(&[]).await else { return };
    let cases = expected(ml.models, "minilm");
    let texts: Vec<&Value> = cases.as_array().unwrap().iter().map(|case| &case["text"]).collect();
    let together = ml.run("embed_text", json!({"model": "minilm", "input": texts})).await;
    assert_eq!((&together["model"], &together["version"]), (&json!("minilm@1"), &json!("1")));
    assert_eq!((&together["dimensions"], &together["truncated"]), (&json!(384), &json!([5])), "the long one");
    for (n, case) in cases.as_array().unwrap().iter().enumerate() {
        let alone = ml.run("embed_text", json!({"model": "minilm@1", "input": case["text"]})).await;
        for ours in [&alone["vectors"][0], &together["vectors"][n]] {
            let apart = apart(ours, &case["vector"]);
            assert!(apart < 1e-5, "{}: {apart}", case["text"]);
        }
    }
    // What Python says is a model's own: a short vector of it is one, too, and base64 says the same.
    let short = ml.run("embed_text", json!({"model": "minilm", "input": "a", "dimensions": 2})).await;
    let length: f64 = numbers(&short["vectors"][0]).iter().map(|x| x * x).sum();
    assert!((length - 1.0).abs() < 1e-5, "{short}");

    let all = cases.as_array().unwrap().len() * 2 + 1;
    assert_eq!(ml.metric("ml_batch_texts_sum", "minilm").await, all as f64);
    assert_eq!(ml.metric("ml_batch_wait_seconds_count", "minilm").await, all as f64);
    assert!(ml.metric("ml_batch_texts_count", "minilm").await <= all as f64);
    // On a CPU nothing is filled up.
    assert_eq!(ml.metric("ml_padding_tokens_total", "minilm").await, 0.0);
    assert!(ml.metric("ml_tokens_total", "minilm").await > 512.0);
}

#[tokio::test]
async fn texts_and_tokens_are_classified_and_passages_ranked_as_the_reference_does() {
    let Some(ml) = start(&[]).await else { return };
    let cases = expected(ml.models, "sorts");
    for case in cases.as_array().unwrap() {
        let said = ml.run("classify_text", json!({"model": "sorts", "input": case["text"]})).await;
        let labels = said["results"][0]["labels"].as_array().unwrap();
        let score =
            |n: usize| labels.iter().find(|l| l["label"] == format!("class-{n}")).unwrap()["score"].clone();
        assert_near(&(0..5).map(score).collect(), &case["scores"], "sorts");
        assert!(
            labels.windows(2).all(|pair| pair[0]["score"].as_f64() >= pair[1]["score"].as_f64()),
            "{said}"
        );
    }
    let case = expected(ml.models, "names");
    let said = ml.run("classify_text", json!({"model": "names", "input": case["text"]})).await;
    let tokens = said["results"][0]["tokens"].as_array().unwrap();
    let of = |field: &str| -> Value { tokens.iter().map(|token| token[field].clone()).collect() };
    assert_eq!(of("label"), case["labels"]);
    assert_near(&of("score"), &case["scores"], "names");

    let case = expected(ml.models, "judge");
    let asked =
        json!({"model": "judge", "query": case["query"], "passages": case["passages"], "raw_scores": true});
    let said = ml.run("rerank", asked).await;
    let ranked = said["results"].as_array().unwrap();
    let score = |n: usize| ranked.iter().find(|r| r["index"] == n).unwrap()["score"].clone();
    assert_near(&(0..ranked.len()).map(score).collect(), &case["scores"], "judge");
    assert!(ranked.windows(2).all(|pair| pair[0]["score"].as_f64() >= pair[1]["score"].as_f64()), "{said}");
}

#[tokio::test]
async fn text_is_written_as_the_reference_writes_it_and_told_as_it_comes() {
    let Some(ml) = start(&[]).await else { return };
    let client = &ml.stack.client;
    let mut events = Box::pin(client.bus.listen("events.generate_text.*.chunk".to_owned()).await.unwrap());
    client.bus.flush().await.unwrap();
    let reference = expected(ml.models, "teller");
    for case in reference["cases"].as_array().unwrap() {
        let asked = json!({"model": "teller", "prompt": case["prompt"], "max_tokens": reference["max_tokens"], "temperature": 0});
        let id = client.submit("generate_text", asked).await;
        let said = succeeded(client.result(&id).await);
        assert_eq!((&said["model"], &said["version"]), (&json!("teller@1"), &json!("1")));
        assert_eq!((&said["text"], &said["finish_reason"]), (&case["text"], &json!("length")));
        assert_eq!(
            (&said["usage"]["prompt_tokens"], &said["usage"]["generated_tokens"]),
            (&case["prompt_tokens"], &reference["max_tokens"])
        );
        let (mut told, mut pieces) = (String::new(), 0);
        while told != case["text"].as_str().unwrap() {
            let (subject, _, body) = tokio::time::timeout(PATIENCE, events.next()).await.unwrap().unwrap();
            assert_eq!(subject, format!("events.generate_text.{id}.chunk"));
            let event: Value = serde_json::from_slice(&body).unwrap();
            told += event["text"].as_str().unwrap();
            pieces += 1;
            assert!(case["text"].as_str().unwrap().starts_with(&told), "{told}");
        }
        assert!(pieces > 0);
    }
    // Several at once share their steps, and each gets its own.
    let asked = |n: usize| {
        let case = &reference["cases"][n % 3];
        json!({"model": "teller", "prompt": case["prompt"], "max_tokens": reference["max_tokens"], "temperature": 0})
    };
    let runs = (0..12).map(|n| ml.run("generate_text", asked(n)));
    for (n, said) in futures::future::join_all(runs).await.iter().enumerate() {
        assert_eq!(said["text"], reference["cases"][n % 3]["text"], "{n}");
    }
    let tokens =
        |case: &Value| case["prompt_tokens"].as_u64().unwrap() + reference["max_tokens"].as_u64().unwrap();
    let all: u64 = reference["cases"].as_array().unwrap().iter().map(tokens).sum();
    assert_eq!(ml.metric("ml_batch_wait_seconds_count", "teller").await, 15.0);
    // Each case was asked five times.
    assert_eq!(ml.metric("ml_tokens_total", "teller").await, (all * 5) as f64);
    let (steps, shared) =
        (ml.metric("ml_batch_texts_count", "teller").await, ml.metric("ml_batch_texts_sum", "teller").await);
    assert!(steps < shared && shared == (15 * WRITTEN) as f64, "{shared} tokens in {steps} steps");
}

/// The tensors of a safetensors file, of 32 bits each.
fn floats(bytes: &[u8]) -> (Value, Vec<f32>) {
    let (length, rest) = bytes.split_at(8);
    let (header, data) = rest.split_at(u64::from_le_bytes(length.try_into().unwrap()) as usize);
    let of = |four: &[u8]| f32::from_le_bytes(four.try_into().unwrap());
    (serde_json::from_slice(header).unwrap(), data.chunks(4).map(of).collect())
}

#[tokio::test]
async fn tensors_go_through_a_module_in_json_and_as_bytes() {
    let Some(ml) = start(&[]).await else { return };
    let client = &ml.stack.client;
    let case = expected(ml.models, "mlp");
    let said = ml.run("ml_inference", json!({"model": "mlp", "inputs": [case["input"]]})).await;
    assert_eq!(
        (&said["output"]["dtype"], &said["output"]["shape"]),
        (&json!("f32"), &json!([3, 4])),
        "{said}"
    );
    for (ours, theirs) in
        said["output"]["values"].as_array().unwrap().iter().zip(case["output"].as_array().unwrap())
    {
        assert_near(ours, theirs, "mlp");
    }
    let (id, input) = (id::fresh(), std::fs::read(ml.models.join("mlp/input.bin")).unwrap());
    let out = Outgoing::new("tasks.submit.ml_inference", input)
        .header(headers::MSG_ID, &id)
        .header(headers::CONTENT_TYPE, SAFETENSORS);
    client.publish(out).await;
    let record = client.result(&id).await;
    assert_eq!(
        (&record["status"], &record["content_type"]),
        (&json!("succeeded"), &json!(SAFETENSORS)),
        "{record}"
    );
    let (header, values) = floats(&base64(record["result"].as_str().unwrap()));
    assert_eq!(
        (&header["output"]["shape"], &header["__metadata__"]["model"]),
        (&json!([3, 4]), &json!("mlp@1"))
    );
    let wanted: Vec<f64> = case["output"].as_array().unwrap().iter().flat_map(numbers).collect();
    assert_eq!(values.len(), wanted.len());
    assert!(values.iter().zip(wanted).all(|(a, b)| (f64::from(*a) - b).abs() < 1e-4), "{values:?}");

    // What a model is, whether it is loaded or not.
    let info = ml.run("model_info", json!({"model": "mlp"})).await;
    assert_eq!(
        (&info["version"], &info["kind"], &info["state"], &info["source"]),
        (&json!("1"), &json!("torchscript"), &json!("loaded"), &json!("folder"))
    );
    let info = ml.run("model_info", json!({"model": "judge"})).await;
    assert_eq!((&info["state"], &info["output"]), (&json!("not loaded"), &json!("relevance")), "{info}");
}

/// Bytes of base64.
fn base64(text: &str) -> Vec<u8> {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digit = |c: u8| DIGITS.iter().position(|d| *d == c).unwrap() as u32;
    let mut bytes = Vec::new();
    for four in text.trim_end_matches('=').as_bytes().chunks(4) {
        let bits = (0..4).fold(0, |bits, n| bits << 6 | four.get(n).map_or(0, |c| digit(*c)));
        bytes.extend(&bits.to_be_bytes()[1..four.len()]);
    }
    bytes
}

#[tokio::test]
async fn each_task_is_one_trace_also_where_several_share_a_batch() {
    let receiver = OtlpReceiver::start().await.unwrap();
    let options = Options::no_workers()
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", &receiver.endpoint())
        .env("OTEL_BSP_SCHEDULE_DELAY", "100");
    let Some(ml) =
        start_with(options, &[("TASKLANE_BATCH_MAX_WAIT_MS", "1000"), ("TASKLANE_BATCH_MAX_ITEMS", "4")])
            .await
    else {
        return;
    };
    let embed =
        |n: usize| ml.stack.client.run("embed_text", json!({"model": "tiny", "input": format!("fox {n}")}));
    embed(0).await;
    let batches = ml.metric("ml_batch_texts_count", "tiny").await;
    let records = futures::future::join_all((1..=4).map(embed)).await;
    assert_eq!(ml.metric("ml_batch_texts_count", "tiny").await, batches + 1.0, "all four shared a batch");
    for record in records {
        let trace = record["trace_id"].as_str().unwrap().to_owned();
        let ours = |spans: &[tasklane_testkit::otlp::ReceivedSpan]| {
            spans.iter().filter(|s| s.trace_id == trace).count() >= 4
        };
        let spans = receiver.wait_for(ours, PATIENCE).await.unwrap_or_else(|e| panic!("{e}"));
        let spans: Vec<_> = spans.into_iter().filter(|s| s.trace_id == trace).collect();
        let root = spans.iter().find(|s| s.is_root()).unwrap();
        let mut under: Vec<_> = children_of(&spans, root).into_iter().map(|s| s.name.as_str()).collect();
        under.sort_unstable();
        assert_eq!(
            (root.name.as_str(), under),
            ("route embed_text", vec!["process embed_text", "queue ml"]),
            "{}",
            tree(&spans)
        );
        let work = spans.iter().find(|s| s.name == "process embed_text").unwrap();
        assert_eq!(work.service, ML);
    }
}
