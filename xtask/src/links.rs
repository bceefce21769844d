//! Relative links in Markdown files lead somewhere.

use crate::Findings;
use crate::tree::{File, Tree};

/// Every link to a file that is not there.
pub fn check(tree: &Tree) -> Findings {
    tree.with_extension("md")
        .filter(|file| !file.path.starts_with("examples/documents/"))
        .flat_map(|file| broken_in(file, tree))
        .collect()
}

fn broken_in(file: &File, tree: &Tree) -> Findings {
    let folder = file.path.rsplit_once('/').map_or("", |(folder, _)| folder);
    targets(&file.text)
        .filter(|target| {
            !target.contains("://") && !target.starts_with("mailto:") && !target.starts_with('#')
        })
        .filter_map(|target| {
            let path = target.split(['#', '?']).next().unwrap_or(target);
            let leads =
                resolve(folder, path).is_some_and(|path| path.is_empty() || tree.names.contains(&path));
            (!leads).then(|| format!("{}: the link to {target} leads nowhere", file.path))
        })
        .collect()
}

/// What stands in `](...)`, outside of fenced code. A title behind the target is cut off.
fn targets(text: &str) -> impl Iterator<Item = &str> {
    let mut fenced = false;
    text.lines()
        .filter(move |line| {
            let fence = line.trim_start().starts_with("```");
            fenced ^= fence;
            !fenced && !fence
        })
        .flat_map(|line| line.split("](").skip(1))
        .filter_map(|rest| rest.split_once(')').map(|(inside, _)| inside))
        .filter_map(|inside| inside.split_whitespace().next())
}

/// `path` seen from `folder`, without `.` and `..`; `None` if it leaves the repository.
fn resolve(folder: &str, path: &str) -> Option<String> {
    let mut parts: Vec<&str> = if path.starts_with('/') { Vec::new() } else { folder.split('/').collect() };
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop().filter(|last| !last.is_empty())?;
            }
            part => parts.push(part),
        }
    }
    parts.retain(|part| !part.is_empty());
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree;

    #[test]
    fn links_that_lead_somewhere_pass() {
        let text =
            "[a](adr/0001.md#why) [b](../README.md \"title\") [c](https://example.org) [d](#here) [e](adr/)";
        let tree =
            tree::of(&[("docs/index.md", text), ("docs/adr/0001.md", ""), ("README.md", "[docs](docs)")]);
        assert_eq!(check(&tree), Findings::new());
    }

    #[test]
    fn broken_links_are_named_and_code_is_left_alone() {
        let text = "[a](gone.md)\n```\n[b](in-code.md)\n```\n[c](../../out.md)";
        let findings = check(&tree::of(&[("docs/index.md", text)]));
        assert_eq!(
            findings,
            [
                "docs/index.md: the link to gone.md leads nowhere",
                "docs/index.md: the link to ../../out.md leads nowhere"
            ]
        );
    }
}
