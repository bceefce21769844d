//! Source files: each begins by saying what it is for, none is too long, and none names this or that machine.

use crate::Findings;
use crate::tree::{File, Tree};

/// The most lines a source file may have outside of tests.
const MAX_LINES: usize = 500;

/// What every source file and text is asked.
pub fn check(tree: &Tree) -> Findings {
    let mut findings = Findings::new();
    for file in tree.with_extension("rs") {
        findings.extend(head(file));
        findings.extend(length(file));
    }
    findings.extend(tree.files.iter().flat_map(forbidden));
    findings
}

fn head(file: &File) -> Option<String> {
    let says =
        file.text.lines().find(|line| !line.trim().is_empty()).is_some_and(|line| line.starts_with("//! "));
    (!says).then(|| format!("{} does not begin with a `//!` line that says what it is for", file.path))
}

fn length(file: &File) -> Option<String> {
    if file.path.starts_with("tests/") || file.path.contains("/tests/") || file.path.ends_with("/tests.rs") {
        return None;
    }
    let lines = file.without_tests().lines().count();
    (lines > MAX_LINES).then(|| {
        format!(
            "{} has {lines} lines without its tests, the limit is {MAX_LINES}: it has more than one subject",
            file.path
        )
    })
}

/// Text that binds the repository to one machine or one registry. Built from halves, so that this file passes.
fn forbidden_words() -> Vec<(String, &'static str)> {
    let host = |name: &str, end: &str| format!("{name}.{end}");
    let registry = "a registry's host: name the package, the ordinary client knows where it is";
    let home = "a path of one machine: use a relative path or a variable";
    vec![
        (host("files.pythonhosted", "org"), registry),
        (host("registry.npmjs", "org"), registry),
        (host("proxy.golang", "org"), registry),
        (host("sum.golang", "org"), registry),
        (host("index.crates", "io"), registry),
        (host("static.crates", "io"), registry),
        (host("repo.maven.apache", "org"), registry),
        (host("deb.debian", "org"), registry),
        (host("//pypi", "org"), registry),
        (format!("/{}/", "root"), home),
        (format!("/{}/main", "work"), home),
        (format!("/{}/shared", "work"), home),
        (format!("/{}/runner/", "home"), home),
        (format!("/{}/", "Users"), home),
    ]
}

fn forbidden(file: &File) -> Findings {
    // The lock file names the registry as cargo writes it; nobody reads a host out of it.
    if file.path == "Cargo.lock" {
        return Findings::new();
    }
    let words = forbidden_words();
    let mut findings = Findings::new();
    for (number, line) in file.text.lines().enumerate() {
        for (word, why) in &words {
            if line.contains(word.as_str()) {
                findings.push(format!("{}:{} has {word}, {why}", file.path, number + 1));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree;

    #[test]
    fn a_file_with_a_head_passes() {
        assert_eq!(
            check(&tree::of(&[("cli/src/main.rs", "//! The command.\n\nfn main() {}\n")])),
            Findings::new()
        );
    }

    #[test]
    fn a_file_without_a_head_is_named() {
        assert!(check(&tree::of(&[("cli/src/main.rs", "use std;\n")]))[0].contains("does not begin"));
    }

    #[test]
    fn lines_of_tests_do_not_count() {
        let body = "//! Head.\n".to_owned() + &"fn x() {}\n".repeat(MAX_LINES - 1);
        let tests = "#[cfg(test)]\n".to_owned() + &"fn y() {}\n".repeat(100);
        assert_eq!(check(&tree::of(&[("a.rs", &(body.clone() + &tests))])), Findings::new());
        assert!(check(&tree::of(&[("a.rs", &(body + "fn z() {}\n"))]))[0].contains("501 lines"));
    }

    #[test]
    fn hosts_and_homes_are_refused_with_their_line() {
        let text = format!("fine\n//{}.org/simple\n/{}/x", "pypi", "root");
        let findings = check(&tree::of(&[("notes.md", &text)]));
        assert_eq!(findings.len(), 2, "{findings:?}");
        assert!(findings[0].starts_with("notes.md:2"), "{findings:?}");
        assert!(findings[1].starts_with("notes.md:3"), "{findings:?}");
    }
}
