//! Which documents are meant: folders become their files, files and addresses stay.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use tasklane_runtime::contract::code;

use crate::error::CliError;

/// A document to ingest.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Source {
    /// Its name in the collection: the whole path, or the address.
    pub name: String,
    /// The file; `None` for an address.
    pub file: Option<PathBuf>,
    /// It was named, and not found in a folder: what cannot be read is a failure then.
    pub asked_for: bool,
}

/// A line of the file of failures.
#[derive(Debug, Deserialize)]
struct Failed {
    source: String,
}

/// All documents, each once, in order. What folders hide (`.git`) stays hidden, and links to folders are not followed.
///
/// # Errors
/// What is not there, or cannot be listed.
pub fn gather(given: &[String]) -> Result<Vec<Source>, CliError> {
    let mut found = BTreeSet::new();
    for text in given {
        if is_address(text) {
            found.insert(Source { name: text.clone(), file: None, asked_for: true });
            continue;
        }
        let path = std::fs::canonicalize(text).map_err(|e| unreadable(Path::new(text), &e))?;
        if path.is_dir() {
            walk(&path, &mut found)?;
        } else {
            found.insert(of_file(path, true)?);
        }
    }
    // One that is named and lies in a folder too is one document, and named.
    let mut all: Vec<Source> = found.into_iter().collect();
    all.sort_by(|a, b| a.name.cmp(&b.name).then(b.asked_for.cmp(&a.asked_for)));
    all.dedup_by(|a, b| a.name == b.name);
    Ok(all)
}

/// The documents that a file of failures names, one JSON object a line.
///
/// # Errors
/// A file that is none.
pub fn failed_before(file: &Path) -> Result<Vec<String>, CliError> {
    let text = std::fs::read_to_string(file).map_err(|e| unreadable(file, &e))?;
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    let named = lines.map(|line| serde_json::from_str(line).map(|failed: Failed| failed.source));
    named.collect::<Result<_, _>>().map_err(|e| {
        CliError::usage(code::NOT_JSON, format!("{} is not what --failures writes: {e}", file.display()))
    })
}

fn is_address(text: &str) -> bool {
    let lower = text.get(..8).unwrap_or(text).to_ascii_lowercase();
    lower.starts_with("http://") || lower.starts_with("https://")
}

fn walk(folder: &Path, found: &mut BTreeSet<Source>) -> Result<(), CliError> {
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).map_err(|e| unreadable(&folder, &e))? {
            let entry = entry.map_err(|e| unreadable(&folder, &e))?;
            if entry.file_name().as_encoded_bytes().starts_with(b".") {
                continue;
            }
            let kind = entry.file_type().map_err(|e| unreadable(&entry.path(), &e))?;
            if kind.is_dir() {
                folders.push(entry.path());
            } else if kind.is_file() || (kind.is_symlink() && entry.path().is_file()) {
                found.insert(of_file(entry.path(), false)?);
            }
        }
    }
    Ok(())
}

fn of_file(path: PathBuf, asked_for: bool) -> Result<Source, CliError> {
    let Some(name) = path.to_str() else {
        let why = format!("{} has a name that is not UTF-8", path.display());
        return Err(CliError::usage(code::NOT_UTF8, why));
    };
    Ok(Source { name: name.to_owned(), file: Some(path), asked_for })
}

fn unreadable(path: &Path, e: &std::io::Error) -> CliError {
    CliError::usage(code::BAD_REFERENCE, format!("{} cannot be read: {e}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_become_their_files_once() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        std::fs::create_dir_all(root.join("a/.git")).unwrap();
        for file in ["b.md", "a/c.md", "a/.hidden", "a/.git/config"] {
            std::fs::write(root.join(file), "x").unwrap();
        }
        std::os::unix::fs::symlink(&root, root.join("a/loop")).unwrap();
        let named = root.join("a/../b.md").to_str().unwrap().to_owned();
        let given = [root.to_str().unwrap().to_owned(), named, "HTTPS://a.b/c".to_owned()];
        let found = gather(&given).unwrap();
        let names: Vec<_> =
            found.iter().map(|s| (s.name.trim_start_matches(root.to_str().unwrap()), s.asked_for)).collect();
        assert_eq!(names, [("/a/c.md", false), ("/b.md", true), ("HTTPS://a.b/c", true)]);
        assert!(
            gather(&["/none/at/all".into()]).unwrap_err().to_string().contains("/none/at/all cannot be read")
        );
    }

    #[test]
    fn failures_are_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("failures");
        std::fs::write(&file, "{\"source\":\"/a\",\"code\":\"TL2101\"}\n\n{\"source\":\"https://b\"}\n")
            .unwrap();
        assert_eq!(failed_before(&file).unwrap(), ["/a", "https://b"]);
        std::fs::write(&file, "no").unwrap();
        assert!(failed_before(&file).unwrap_err().to_string().contains("is not what --failures writes"));
    }
}
