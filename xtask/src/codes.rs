//! Error codes and their pages: each code in the sources has a page, each page a code, the list has all.

use std::collections::BTreeMap;

use crate::Findings;
use crate::tree::Tree;

const FOLDER: &str = "docs/errors";

/// Tests and this crate speak of made-up codes too.
fn is_exempt(path: &str) -> bool {
    path.starts_with("xtask/")
        || path.starts_with("tests/")
        || path.contains("/tests/")
        || path.ends_with("/tests.rs")
}

/// Codes without a page, pages without a code, and entries the list lacks.
pub fn check(tree: &Tree) -> Findings {
    let mut used: BTreeMap<String, String> = BTreeMap::new();
    for file in tree.with_extension("rs").filter(|file| !is_exempt(&file.path)) {
        for code in codes_in(file.without_tests()) {
            used.entry(code).or_insert_with(|| file.path.clone());
        }
    }
    let list = tree.files.iter().find(|file| file.path == format!("{FOLDER}/README.md"));
    let listed = list.map(|file| codes_in(&file.text)).unwrap_or_default();

    let mut findings = Findings::new();
    for (code, path) in &used {
        if !tree.names.contains(&page(code)) {
            findings.push(format!("{path} uses {code}, which has no page {}", page(code)));
        }
        if !listed.contains(code) {
            findings.push(format!("{FOLDER}/README.md does not list {code} (used in {path})"));
        }
    }
    findings.extend(pages_without_code(tree, &used));
    findings.extend(
        listed
            .iter()
            .filter(|code| !used.contains_key(*code))
            .map(|code| format!("{FOLDER}/README.md lists {code}, which no source uses")),
    );
    findings
}

fn page(code: &str) -> String {
    format!("{FOLDER}/{code}.md")
}

fn pages_without_code(tree: &Tree, used: &BTreeMap<String, String>) -> Findings {
    tree.names
        .iter()
        .filter_map(|path| path.strip_prefix(FOLDER)?.strip_prefix('/')?.strip_suffix(".md"))
        .filter(|name| *name != "README" && !used.contains_key(*name))
        .map(|name| format!("{FOLDER}/{name}.md is for a code that no source uses"))
        .collect()
}

/// Every `TL` with exactly four digits behind it, in order, each once.
fn codes_in(text: &str) -> Vec<String> {
    let mut codes: Vec<String> = text
        .match_indices("TL")
        .filter_map(|(at, _)| {
            let rest = &text.as_bytes()[at + 2..];
            let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
            (digits == 4).then(|| text[at..at + 6].to_owned())
        })
        .collect();
    codes.sort();
    codes.dedup();
    codes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree;

    #[test]
    fn a_code_with_page_and_entry_passes() {
        let tree = tree::of(&[
            ("shared/contract/src/codes.rs", "\"TL1001\""),
            ("docs/errors/TL1001.md", "# TL1001"),
            ("docs/errors/README.md", "[TL1001](TL1001.md)"),
        ]);
        assert_eq!(check(&tree), Findings::new());
    }

    #[test]
    fn missing_pages_and_stale_ones_are_named() {
        let tree = tree::of(&[
            ("cli/src/main.rs", "TL1001 TL1xxx TL12345"),
            ("docs/errors/TL1002.md", ""),
            ("docs/errors/README.md", "TL1003"),
        ]);
        let findings = check(&tree).join("\n");
        for expected in ["TL1001, which has no page", "not list TL1001", "TL1002.md is for", "lists TL1003"] {
            assert!(findings.contains(expected), "{expected} in {findings}");
        }
        assert!(!findings.contains("TL1234"), "{findings}");
    }
}
