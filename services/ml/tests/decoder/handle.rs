//! A loaded model, asked as tasks ask it: chats and texts in, text in pieces out.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use serde::Deserialize;
use tasklane_ml::batch::Meters;
use tasklane_ml::config::BatchConfig;
use tasklane_ml::error::MlError;
use tasklane_ml::generate::Ending;
use tasklane_ml::generate::prompt::Truncate;
use tasklane_ml::manifest::{DecoderSpec, Kind, Manifest, Precision};
use tasklane_ml::models::decoder::engine::{Ended, Told};
use tasklane_ml::models::decoder::voice::Prompt;
use tasklane_ml::models::decoder::{Ask, Handle, Writing};
use tasklane_ml::models::{Loading, Settings};
use tasklane_ml::torch::Device;
use tasklane_runtime::telemetry::Metrics;

use crate::reference::{MODELS, models};
use crate::rig::calm;

#[derive(Deserialize)]
struct Said {
    messages: Vec<minijinja::Value>,
    prompt: usize,
    ids: Vec<u32>,
    ended: bool,
    text: String,
}

fn manifest(max_tokens: usize) -> Manifest {
    Manifest {
        name: "tiny".into(),
        version: "1".into(),
        licence: "none".into(),
        kind: Kind::Decoder(DecoderSpec { max_tokens }),
        precision: Precision::F32,
        files: BTreeMap::new(),
        examples: Vec::new(),
    }
}

pub fn load(folder: &Path, max_tokens: usize, batch: BatchConfig) -> Result<Handle, MlError> {
    let settings = Settings { device: Device::of("cpu").unwrap(), threads: 2, precision: None, batch };
    Handle::load(&Loading {
        folder,
        manifest: &manifest(max_tokens),
        settings: &settings,
        meters: &Meters::new(&Metrics::new("ml")),
    })
}

pub fn ask(prompt: Prompt, max_tokens: usize) -> Ask {
    Ask {
        prompt,
        truncate: Truncate::Error,
        max_tokens,
        temperature: None,
        top_k: None,
        top_p: None,
        repetition_penalty: None,
        seed: 1,
        stops: Vec::new(),
    }
}

async fn hear(mut writing: Writing) -> (Vec<String>, Result<Ended, MlError>) {
    let mut pieces = Vec::new();
    loop {
        match writing.told.recv().await.unwrap_or_else(|| panic!("it is not told how it ended")) {
            Told::Text(text) => pieces.push(text),
            Told::Ended(ended) => return (pieces, ended),
        }
    }
}

fn said(folder: &Path) -> Vec<Said> {
    serde_json::from_slice(&std::fs::read(folder.join("said.json")).unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn chats_go_on_as_in_transformers_all_at_once() {
    let Some(folder) = models() else { return };
    for model in MODELS {
        let handle = load(&folder.join(model), 0, BatchConfig::default()).unwrap();
        let mut all = Vec::new();
        for said in said(&folder.join(model)) {
            let writing =
                handle.write(ask(Prompt::Messages(said.messages.clone()), 64), calm()).await.unwrap();
            assert_eq!(writing.prompt_tokens, said.prompt);
            all.push((said, tokio::spawn(hear(writing))));
        }
        for (said, heard) in all {
            let (pieces, ended) = heard.await.unwrap();
            let ended = ended.unwrap();
            assert_eq!(pieces.concat(), said.text, "{model}");
            assert!(pieces.len() > 1 || said.ids.len() < 3, "{model}: {pieces:?}");
            assert_eq!(ended.tokens, said.ids.len());
            assert_eq!(ended.ending, if said.ended { Ending::Stop } else { Ending::Length }, "{model}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn stop_strings_end_a_text_wherever_they_lie() {
    let Some(folder) = models() else { return };
    let folder = folder.join("mistral");
    let handle = load(&folder, 0, BatchConfig::default()).unwrap();
    let said = said(&folder).into_iter().find(|said| said.text.chars().count() > 30).unwrap();
    let text: Vec<char> = said.text.chars().collect();
    for (at, length) in [(0, 1), (3, 2), (9, 5), (17, 3)] {
        let stop: String = text[at..at + length].iter().collect();
        let wanted = Ask { stops: vec![stop.clone()], ..ask(Prompt::Messages(said.messages.clone()), 64) };
        let (pieces, ended) = hear(handle.write(wanted, calm()).await.unwrap()).await;
        let expected = &said.text[..said.text.find(&stop).unwrap()];
        assert_eq!(
            (pieces.concat().as_str(), ended.unwrap().ending),
            (expected, Ending::StopString),
            "{stop}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prompt_that_is_too_long_is_refused_or_cut() {
    let Some(folder) = models() else { return };
    let handle = load(&folder.join("llama"), 40, BatchConfig::default()).unwrap();
    let long = Prompt::Text("the quick brown fox jumps over the lazy dog ".repeat(9));
    let refused = handle.write(ask(long.clone(), 10), calm()).await.err().unwrap();
    assert!(matches!(&refused, MlError::BadInput(why) if why.contains("truncate")), "{refused}");
    let cut = Ask { truncate: Truncate::Start, ..ask(long, 10) };
    let writing = handle.write(cut, calm()).await.unwrap();
    assert_eq!(writing.prompt_tokens, 30);
    assert!(writing.cut_from.unwrap() > 60);
    assert!(hear(writing).await.1.unwrap().tokens <= 10);
    let short = handle.write(ask(Prompt::Text("fox".into()), 1_000), calm()).await.unwrap();
    let (prompt, ended) = (short.prompt_tokens, hear(short).await.1.unwrap());
    assert!(ended.ending == Ending::Stop || prompt + ended.tokens == 40, "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_never_fits_and_what_comes_too_thick_is_refused_at_once() {
    let Some(folder) = models() else { return };
    // A token takes 2 x 4 layers x 2 heads x 32 numbers x 4 bytes: 512 of them a MB.
    let narrow = BatchConfig { kv_memory_mb: 1, max_items: 1, max_waiting: 2, ..BatchConfig::default() };
    let handle = load(&folder.join("qwen3"), 0, narrow).unwrap();
    let text = || Prompt::Text("fox".into());
    let mut kept = Vec::new();
    let crowded = loop {
        match handle.write(ask(text(), 400), calm()).await {
            Ok(writing) => kept.push(writing),
            Err(refused) => break refused,
        }
        assert!(kept.len() < 1_000, "nothing is ever too much");
    };
    assert_eq!(crowded, MlError::Crowded("tiny".into()));
    drop(kept);
    let narrower = BatchConfig { kv_memory_mb: 1, ..BatchConfig::default() };
    let wide = folder.join("qwen3");
    let config = std::fs::read_to_string(wide.join("config.json")).unwrap();
    let wide = copied(
        &wide,
        &config.replace("\"max_position_embeddings\": 512", "\"max_position_embeddings\": 9000"),
    );
    let handle = load(wide.path(), 0, narrower).unwrap();
    let refused = handle.write(ask(text(), 5_000), calm()).await.err().unwrap();
    assert!(matches!(refused, MlError::TooMuchMemory { has_mb: 1, .. }), "{refused}");
    let fits = handle.write(ask(text(), 3), calm()).await.unwrap();
    let heard = tokio::time::timeout(Duration::from_secs(60), hear(fits)).await.unwrap();
    assert_eq!(heard.1.unwrap().tokens, 3);
}

/// A model's folder with another `config.json`.
fn copied(folder: &Path, config: &str) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    for file in std::fs::read_dir(folder).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), copy.path().join(file.file_name())).unwrap();
    }
    std::fs::write(copy.path().join("config.json"), config).unwrap();
    copy
}

#[test]
fn a_folder_that_is_not_a_decoders_is_refused_with_a_reason() {
    let Some(folder) = models() else { return };
    let folder = folder.join("llama-biased");
    let config = std::fs::read_to_string(folder.join("config.json")).unwrap();
    for (from, to, said) in [
        ("\"hidden_size\": 64", "\"hidden_size\": 32", "[384, 64]"),
        ("\"num_hidden_layers\": 2", "\"num_hidden_layers\": 3", "no tensor `model.layers.2"),
        ("\"model_type\": \"llama\"", "\"model_type\": \"gpt2\"", "gpt2"),
    ] {
        assert!(config.contains(from), "{from}");
        let copy = copied(&folder, &config.replace(from, to));
        let refused = load(copy.path(), 0, BatchConfig::default()).err().unwrap();
        assert!(matches!(&refused, MlError::BadModel { reason, .. } if reason.contains(said)), "{refused}");
    }
    let copy = copied(&folder, &config);
    std::fs::remove_file(copy.path().join("tokenizer.json")).unwrap();
    let refused = load(copy.path(), 0, BatchConfig::default()).err().unwrap();
    assert!(refused.to_string().contains("tokenizer.json"), "{refused}");
}
