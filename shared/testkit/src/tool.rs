//! Where outside programs and our own binaries are, and what happens to a test that cannot have them.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// The root of the checkout.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A program that `scripts/setup.sh` gets: from `TASKLANE_TEST_<NAME>` or where the script says it is.
pub fn outside(name: &str) -> Option<PathBuf> {
    let variable_name = format!("TASKLANE_TEST_{}", name.to_uppercase().replace('-', "_"));
    if let Some(path) = variable(&variable_name) {
        return Some(path.into());
    }
    let asked =
        Command::new(repository().join("scripts/setup.sh")).args(["--print-path", name]).output().ok()?;
    let path = String::from_utf8(asked.stdout).ok()?;
    (asked.status.success() && !path.trim().is_empty()).then(|| path.trim().into())
}

/// One of our binaries: in `TASKLANE_TEST_BIN`, else beside the tests.
///
/// # Panics
/// Where it is not built.
pub fn ours(name: &str) -> PathBuf {
    let path = place_of_ours(name);
    assert!(
        path.is_file(),
        "{} is not built: `make test` builds it, or `cargo build --bins`; TASKLANE_TEST_BIN names another folder",
        path.display()
    );
    path
}

/// Where one of our binaries would be.
///
/// # Panics
/// Where the test does not know its own place.
pub fn place_of_ours(name: &str) -> PathBuf {
    let folder = variable("TASKLANE_TEST_BIN").map_or_else(beside_the_tests, PathBuf::from);
    folder.join(name)
}

/// Tests lie in `target/<profile>/deps`.
fn beside_the_tests() -> PathBuf {
    let this =
        std::env::current_exe().unwrap_or_else(|e| panic!("the test does not know where it lies: {e}"));
    let folder = this.parent().and_then(Path::parent);
    folder.map(Path::to_path_buf).unwrap_or_else(|| panic!("{} lies in no folder", this.display()))
}

/// Whether a skipped test is a failure.
pub fn is_strict() -> bool {
    variable("TASKLANE_STRICT").is_some_and(|value| value == "1")
}

/// The running test's name.
pub fn test_name() -> String {
    std::thread::current().name().unwrap_or("a test").to_owned()
}

/// Says that the running test is skipped, so that `scripts/test.sh` can judge it.
pub fn skipped(absent: &str, why: &str) {
    println!("SKIPPED: {}: absent: {absent} {why}", test_name());
}
