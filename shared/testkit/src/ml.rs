//! The ml service and its models: made by Python, once for a script, and kept beside the tests.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use serde_json::Value;
use tempfile::TempDir;

use crate::{Options, http, tool};

/// The service's name in a stack.
pub const ML: &str = "ml";
/// The program, which is built only where libtorch is there.
const PROGRAM: &str = "tasklane-ml";
/// What makes the models.
const SCRIPT: &str = "tests/reference/ml_models.py";

static MADE: OnceLock<Option<PathBuf>> = OnceLock::new();

/// The folder of the models that `tests/reference/ml_models.py` makes; nothing, and a word about it, where the service or
/// its reference in Python is not there.
pub fn models() -> Option<&'static Path> {
    if !tool::place_of_ours(PROGRAM).is_file() {
        tool::skipped("libtorch", "(without it the ml service is not built)");
        return None;
    }
    let made = MADE.get_or_init(|| python().map(|python| make(&python)));
    if made.is_none() {
        tool::skipped("ml-reference", "(`scripts/setup.sh ml-reference` gets it)");
    }
    made.as_deref()
}

/// Python with libtorch and the libraries that our models are compared with.
fn python() -> Option<PathBuf> {
    match std::env::var_os("TASKLANE_TEST_ML_PYTHON").filter(|path| !path.is_empty()) {
        Some(path) => Some(path.into()),
        None => tool::outside("ml-reference"),
    }
}

/// Importing its libraries takes Python many seconds: what the same script made before is taken again.
fn make(python: &Path) -> PathBuf {
    let script = tool::repository().join(SCRIPT);
    let text = std::fs::read(&script).unwrap_or_else(|e| panic!("{}: {e}", script.display()));
    let mut hash = DefaultHasher::new();
    (text, python).hash(&mut hash);
    let folder = tool::place_of_ours(&format!("ml-models-{:016x}", hash.finish()));
    if folder.is_dir() {
        return folder;
    }
    let beside = folder.parent().unwrap_or(Path::new("."));
    let new = TempDir::with_prefix_in("ml-models-new-", beside).unwrap_or_else(|e| panic!("{e}"));
    // Its libraries are its own, not ours.
    let made = Command::new(python).arg(&script).arg(new.path()).env_remove("LD_LIBRARY_PATH").output();
    let made = made.unwrap_or_else(|e| panic!("{}: {e}", python.display()));
    assert!(made.status.success(), "{SCRIPT}: {}", String::from_utf8_lossy(&made.stderr));
    match std::fs::rename(new.path(), &folder) {
        // It is not a temporary folder any more.
        Ok(()) => drop(new.keep()),
        Err(e) => assert!(folder.is_dir(), "{}: {e}", folder.display()),
    }
    folder
}

/// What Python says of a model.
///
/// # Panics
/// Where it has said nothing.
pub fn expected(models: &Path, model: &str) -> Value {
    let path = models.join(model).join("expected.json");
    let bytes = std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_slice(&bytes).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

impl Options {
    /// One more process of the ml service, with the models of a folder, a cache of its own, and variables of its own.
    #[must_use]
    pub fn ml(self, folder: &str, cache: &Path, own: &[(&str, &str)]) -> Self {
        let cache = cache.display().to_string();
        let paths = [("TASKLANE_MODELS_FOLDER", folder), ("TASKLANE_MODELS_CACHE", cache.as_str())];
        self.service(ML, PROGRAM, &[&paths[..], own].concat())
    }
}

/// A number of the service's page of metrics: the one of this name whose labels hold `label`.
pub async fn metric(port: u16, name: &str, label: &str) -> Option<f64> {
    let page = http::get(port, "/metrics").await?.body;
    let line = page.lines().find(|line| {
        line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' '])) && line.contains(label)
    })?;
    line.rsplit(' ').next()?.parse().ok()
}
