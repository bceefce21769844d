//! The files of the repository: what git keeps and what it would keep, read once.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

/// One text file.
pub struct File {
    /// Relative to the root, with `/`.
    pub path: String,
    pub text: String,
}

impl File {
    /// True for a file whose name ends in `.<extension>`.
    pub fn has_extension(&self, extension: &str) -> bool {
        self.path.rsplit_once('.').is_some_and(|(_, end)| end == extension)
    }

    /// The text of a source file up to its unit tests.
    pub fn without_tests(&self) -> &str {
        self.text.split_once("\n#[cfg(test)]").map_or(&self.text, |(before, _)| before)
    }
}

/// Every text file, and the names of all files and folders.
#[derive(Default)]
pub struct Tree {
    pub files: Vec<File>,
    /// Files and folders, text or not: what a link may point at.
    pub names: BTreeSet<String>,
}

impl Tree {
    /// The text files with one extension.
    pub fn with_extension<'a>(&'a self, extension: &'a str) -> impl Iterator<Item = &'a File> {
        self.files.iter().filter(move |file| file.has_extension(extension))
    }

    /// Adds one file, and the folders it lies in.
    pub fn add(&mut self, path: &str, text: Option<String>) {
        for (end, _) in path.match_indices('/') {
            self.names.insert(path[..end].to_owned());
        }
        self.names.insert(path.to_owned());
        if let Some(text) = text {
            self.files.push(File { path: path.to_owned(), text });
        }
    }
}

/// Reads the tree as git lists it: tracked files and new ones that are not ignored.
pub fn load(root: &Path) -> Result<Tree, String> {
    let output = Command::new("git")
        .current_dir(root)
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .output()
        .map_err(|error| format!("cannot run 'git ls-files': {error}"))?;
    if !output.status.success() {
        return Err(format!("'git ls-files' failed: {}", String::from_utf8_lossy(&output.stderr)));
    }
    let mut tree = Tree::default();
    for path in output.stdout.split(|byte| *byte == 0).filter(|path| !path.is_empty()) {
        let path = String::from_utf8_lossy(path);
        // A tracked file that was deleted but not yet committed is no longer part of the tree.
        let Ok(bytes) = std::fs::read(root.join(path.as_ref())) else { continue };
        tree.add(&path, String::from_utf8(bytes).ok());
    }
    Ok(tree)
}

/// A tree out of names and texts, for the tests of the checks.
#[cfg(test)]
pub fn of(files: &[(&str, &str)]) -> Tree {
    let mut tree = Tree::default();
    for (path, text) in files {
        tree.add(path, Some((*text).to_owned()));
    }
    tree
}

#[cfg(test)]
mod tests {
    #[test]
    fn folders_are_names_too() {
        let tree = super::of(&[("docs/errors/README.md", "")]);
        assert!(
            ["docs", "docs/errors", "docs/errors/README.md"].iter().all(|name| tree.names.contains(*name))
        );
    }
}
