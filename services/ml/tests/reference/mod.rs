//! Python as the reference: runs the scripts beside this file, in the interpreter that `TASKLANE_TEST_ML_PYTHON` names.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tasklane_testkit::tool;

/// Runs a script; `None` where there is no such Python, which is said.
pub fn run(script: &str, arguments: &[&Path]) -> Option<()> {
    let Some(python) = std::env::var_os("TASKLANE_TEST_ML_PYTHON").filter(|python| !python.is_empty()) else {
        tool::skipped("ml-reference", "(TASKLANE_TEST_ML_PYTHON names no Python)");
        return None;
    };
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/reference").join(script);
    let output = Command::new(python).arg(path).args(arguments).output();
    let output = output.unwrap_or_else(|e| panic!("{script}: {e}"));
    assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
    Some(())
}

/// A JSON file.
pub fn json(path: &Path) -> Value {
    let bytes = std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_slice(&bytes).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Numbers of a JSON list, nested or not.
pub fn numbers(value: &Value) -> Vec<f32> {
    match value {
        Value::Array(items) => items.iter().flat_map(numbers).collect(),
        other => vec![other.as_f64().unwrap_or_else(|| panic!("{other} is no number")) as f32],
    }
}
