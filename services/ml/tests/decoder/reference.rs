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

/// A folder that a script of `tests/reference` filled, made once; none where Python with transformers is absent.
pub fn made(script: &str, arguments: &[&str]) -> Option<PathBuf> {
    let Some(python) = tool::outside("ml-python") else {
        tool::skipped("ml-reference", "");
        return None;
    };
    let folder = tempfile::tempdir().unwrap().keep();
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/reference").join(script);
    let out = Command::new(python).arg(script).arg(&folder).args(arguments).output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    Some(folder)
}

/// The tiny models.
pub fn models() -> Option<&'static PathBuf> {
    static MADE: OnceLock<Option<PathBuf>> = OnceLock::new();
    MADE.get_or_init(|| made("decoder.py", &[])).as_ref()
}

/// What is expected of a model.
pub fn cases(model: &str) -> Option<(PathBuf, Vec<Case>)> {
    let folder = models()?.join(model);
    let text = std::fs::read(folder.join("expected.json")).unwrap();
    Some((folder, serde_json::from_slice(&text).unwrap()))
}
