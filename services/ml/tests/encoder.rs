//! Encoders against Python: tiny random ones of each architecture, and the real MiniLM.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod reference;

use std::path::Path;
use std::time::Duration;

use serde_json::json;
use tasklane_ml::batch::Meters;
use tasklane_ml::config::BatchConfig;
use tasklane_ml::manifest::{EncoderOutput, EncoderSpec, Kind, Manifest, Pooling, Precision};
use tasklane_ml::models::encoder::handle::joined;
use tasklane_ml::models::encoder::net::Packed;
use tasklane_ml::models::encoder::shape::Shape;
use tasklane_ml::models::encoder::{Handle, Truncation, load};
use tasklane_ml::models::{Loading, Settings, Urgency};
use tasklane_ml::text::{Tokenizer, Tokens};
use tasklane_ml::torch::Device;
use tasklane_ml::torch::guard::guarded;
use tasklane_ml::torch::weights::Weights;
use tasklane_runtime::telemetry::Metrics;
use tokio::time::Instant;

use reference::{json, numbers};

fn spec(output: EncoderOutput, normalise: bool, max_tokens: usize) -> EncoderSpec {
    EncoderSpec { output, pooling: Pooling::Mean, normalise, max_tokens }
}

fn open(folder: &Path, spec: EncoderSpec, precision: Precision) -> Handle {
    let manifest = Manifest {
        name: "m".into(),
        version: "1".into(),
        licence: "none".into(),
        kind: Kind::Encoder(spec),
        precision,
        files: [].into(),
        examples: Vec::new(),
    };
    let settings = Settings {
        device: Device(tch::Device::Cpu),
        threads: 2,
        precision: None,
        batch: BatchConfig::default(),
    };
    let meters = Meters::new(&Metrics::new("ml"));
    let at = Loading { folder, manifest: &manifest, settings: &settings, meters: &meters };
    Handle::load(&at).unwrap_or_else(|e| panic!("{}: {e}", folder.display()))
}

fn soon() -> Urgency {
    Urgency { priority: 1, until: Instant::now() + Duration::from_secs(120) }
}

async fn rows(handle: &Handle, texts: Vec<String>, truncation: Truncation) -> Vec<Vec<f32>> {
    let read = handle.read(texts, truncation, false).await.unwrap();
    let mut rows = Vec::new();
    for one in read {
        rows.push(joined(&one.windows, &handle.ask(one.inputs.clone(), soon()).await.unwrap()));
    }
    rows
}

/// 1 less the cosine.
fn apart(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum::<f64>();
    assert_eq!(a.len(), b.len());
    1.0 - dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

fn off(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(x, y)| (x - y).abs()).fold(0.0, f32::max)
}

#[test]
fn hidden_states_of_every_family_are_those_of_transformers() {
    let folder = tempfile::tempdir().unwrap();
    if reference::run("encoders.py", &[folder.path()]).is_none() {
        return;
    }
    for name in ["bert", "bert-tanh", "roberta", "xlm-roberta", "distilbert"] {
        let place = folder.path().join(name);
        let spec = spec(EncoderOutput::Embedding, false, 0);
        let shape = Shape::read(&std::fs::read(place.join("config.json")).unwrap(), spec.output).unwrap();
        let tokenizer = Tokenizer::load(&place).unwrap();
        let device = Device(tch::Device::Cpu);
        let weights = Weights::open(&place, device, tch::Kind::Float).unwrap();
        let expected = json(&place.join("expected.json"));
        let cases = expected.as_array().unwrap();
        assert_eq!(shape.most_tokens(), 64, "{name}");
        let texts: Vec<Tokens> = cases
            .iter()
            .map(|case| {
                let content = tokenizer.tokens(case["text"].as_str().unwrap()).unwrap();
                let room = 64 - tokenizer.template().around_one();
                let tokens = tokenizer.template().one(&content.ids[..content.ids.len().min(room)]);
                assert_eq!(json!(tokens.ids), case["ids"], "{name}: {}", case["text"]);
                tokens
            })
            .collect();
        for padded in [false, true] {
            let mut net =
                load::net(&weights, shape.clone(), &spec, device, tch::Kind::Float, padded).unwrap();
            let inputs: Vec<&Tokens> = texts.iter().collect();
            let hidden = guarded(name, || net.forward(&Packed::new(&inputs, &shape, device.0)?)).unwrap();
            let mut hidden = Vec::<f32>::try_from(hidden.flatten(0, -1)).unwrap();
            for case in cases {
                let wanted = numbers(&case["hidden"]);
                let got: Vec<f32> = hidden.drain(..wanted.len()).collect();
                let off = off(&got, &wanted);
                assert!(off < 1e-4, "{name}, padded {padded}, {}: {off}", case["text"]);
            }
            assert!(hidden.is_empty());
        }
    }
}

#[tokio::test]
async fn minilm_is_that_of_sentence_transformers() {
    let folder = tempfile::tempdir().unwrap();
    let long: String = "Lanes carry tasks to workers, and workers give results back. "
        .chars()
        .cycle()
        .take(10_000)
        .collect();
    let texts = vec![
        "The quick brown fox jumps over the lazy dog.".to_owned(),
        "Der schnelle braune Fuchs springt über den faulen Hund, während Übermut tut selten gut.".to_owned(),
        "敏捷的棕色狐狸跳过了懒狗。".to_owned(),
        "🦊 jumps over 🐶 🎉".to_owned(),
        String::new(),
        long,
        "one".to_owned(),
    ];
    let (asked, said) = (folder.path().join("texts.json"), folder.path().join("said.json"));
    std::fs::write(&asked, json!(texts).to_string()).unwrap();
    if reference::run("minilm.py", &[&asked, &said]).is_none() {
        return;
    }
    let said = json(&said);
    let model = Path::new(said["folder"].as_str().unwrap()).to_owned();
    let wanted: Vec<Vec<f32>> = said["vectors"].as_array().unwrap().iter().map(numbers).collect();
    let exact = open(&model, spec(EncoderOutput::Embedding, true, 256), Precision::F32);
    let half = open(&model, spec(EncoderOutput::Embedding, true, 256), Precision::Bf16);
    let exact = rows(&exact, texts.clone(), Truncation::End).await;
    let half = rows(&half, texts.clone(), Truncation::End).await;
    for (n, text) in texts.iter().enumerate() {
        let shown: String = text.chars().take(30).collect();
        assert!(apart(&exact[n], &wanted[n]) < 1e-5, "{shown}: {}", apart(&exact[n], &wanted[n]));
        assert!(apart(&half[n], &wanted[n]) < 1e-4, "{shown} in 16 bits: {}", apart(&half[n], &wanted[n]));
        println!(
            "{shown:32} f32 {:.1e}  bf16 {:.1e}",
            apart(&exact[n], &wanted[n]),
            apart(&half[n], &wanted[n])
        );
    }
}
