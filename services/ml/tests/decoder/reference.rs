//! What transformers says.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use serde::Deserialize;
use tasklane_testkit::tool;

/// A prompt, and what follows it.
#[derive(Debug, Clone, Deserialize)]
pub struct Case {
    /// Token ids.
    pub prompt: Vec<u32>,
    /// The scores after each of them.
    pub logits: Vec<Vec<f32>>,
    /// What greedy decoding goes on with.
    pub greedy: Vec<u32>,
    /// How far the first and the second were apart where they were closest.
    pub gap: f32,
}

/// The models that the script makes.
pub const MODELS: [&str; 6] = ["llama", "llama-biased", "mistral", "qwen2", "qwen3", "qwen3-yarn"];

/// A folder that a script of `tests/reference` filled; none where Python with transformers is absent.
fn made(script: &str) -> Option<PathBuf> {
    let python = tool::outside("ml-python")?;
    let folder = tempfile::tempdir().unwrap().keep();
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/reference").join(script);
    let out = Command::new(python).arg(script).arg(&folder).output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    Some(folder)
}

/// The folder of a script, which runs once for all tests; a test that cannot have it says that it is skipped.
fn once(script: &str, made_once: &'static OnceLock<Option<PathBuf>>) -> Option<&'static PathBuf> {
    let folder = made_once.get_or_init(|| made(script)).as_ref();
    if folder.is_none() {
        tool::skipped("ml-reference", "");
    }
    folder
}

/// The tiny models.
pub fn models() -> Option<&'static PathBuf> {
    static MADE: OnceLock<Option<PathBuf>> = OnceLock::new();
    once("decoder.py", &MADE)
}

/// Chats and chances.
pub fn texts() -> Option<&'static PathBuf> {
    static MADE: OnceLock<Option<PathBuf>> = OnceLock::new();
    once("generate.py", &MADE)
}

/// What is expected of a model.
pub fn cases(model: &str) -> Option<(PathBuf, Vec<Case>)> {
    let folder = models()?.join(model);
    let text = std::fs::read(folder.join("expected.json")).unwrap();
    Some((folder, serde_json::from_slice(&text).unwrap()))
}
