//! The modules that Python makes, once for all tests of this process.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use tempfile::TempDir;

static MADE: OnceLock<Option<TempDir>> = OnceLock::new();

/// The folder with all modules; nothing, and a word about it, where there is no Python with libtorch.
pub fn modules() -> Option<PathBuf> {
    let made = MADE.get_or_init(|| python().map(|python| make(&python)));
    if made.is_none() {
        tasklane_testkit::tool::skipped("ml-reference", "(scripts/setup.sh ml-reference)");
    }
    made.as_ref().map(|dir| dir.path().to_owned())
}

/// Python with libtorch and the libraries that we are compared with.
fn python() -> Option<PathBuf> {
    match std::env::var_os("TASKLANE_TEST_ML_PYTHON").filter(|path| !path.is_empty()) {
        Some(path) => Some(path.into()),
        None => tasklane_testkit::tool::outside("ml-reference"),
    }
}

fn make(python: &Path) -> TempDir {
    let dir = TempDir::new().unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/modules.py");
    // Its libraries are its own, not ours.
    let made =
        Command::new(python).arg(script).arg(dir.path()).env_remove("LD_LIBRARY_PATH").output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    dir
}
