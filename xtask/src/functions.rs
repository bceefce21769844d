//! Advice on functions too long to take in at a glance. Advice, not a rule: a flat table may be long.

use crate::Findings;
use crate::tree::{File, Tree};

/// Lines from `fn` to its closing brace that are still taken in at a glance.
const LONG: usize = 60;

/// Functions outside of tests that are longer, by file and line.
pub fn over_length(tree: &Tree) -> Findings {
    tree.with_extension("rs").filter(|file| !file.path.contains("/tests/")).flat_map(long_in).collect()
}

/// Relies on rustfmt: a function ends at the first line that is its indentation and a brace.
fn long_in(file: &File) -> Findings {
    let lines: Vec<&str> = file.without_tests().lines().collect();
    let mut findings = Findings::new();
    for (at, line) in lines.iter().enumerate().filter(|(_, line)| is_function(line)) {
        let indent = line.len() - line.trim_start().len();
        let end = format!("{}}}", " ".repeat(indent));
        let Some(length) = lines[at..].iter().position(|line| *line == end) else { continue };
        if length + 1 > LONG {
            findings.push(format!("{}:{} is a function of {} lines", file.path, at + 1, length + 1));
        }
    }
    findings
}

fn is_function(line: &str) -> bool {
    let mut rest = line.trim_start();
    for word in ["pub(crate) ", "pub(super) ", "pub ", "const ", "async ", "unsafe "] {
        rest = rest.strip_prefix(word).unwrap_or(rest);
    }
    rest.starts_with("fn ") && line.ends_with(['{', '('])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree;

    #[test]
    fn only_the_long_one_is_named() {
        let text = format!(
            "fn short() {{\n}}\n\n    pub async fn long() {{\n{}    }}\n",
            "        x();\n".repeat(60)
        );
        let findings = over_length(&tree::of(&[("a.rs", &text)]));
        assert_eq!(findings, ["a.rs:4 is a function of 62 lines"]);
    }
}
