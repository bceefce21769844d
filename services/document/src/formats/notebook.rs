//! Jupyter notebooks: Markdown cells, code cells and the text they printed.

use super::json::Node;
use super::markdown;
use super::sink::Sink;
use crate::error::DocError;
use crate::limits::Limits;
use crate::model::Document;

/// Whether the JSON is a notebook: it has `cells` and names its `nbformat`.
pub fn is_notebook(root: &Node) -> bool {
    root.get("nbformat").is_some() && root.get("cells").is_some()
}

/// Reads a notebook (nbformat 4: <https://nbformat.readthedocs.io/en/latest/format_description.html>).
///
/// # Errors
/// Those of Markdown.
pub fn read(root: &Node, limits: &Limits) -> Result<Document, DocError> {
    let mut sink = Sink::new("ipynb", limits);
    let meta = root.get("metadata");
    let info = |group: &str, key: &str| meta?.get(group)?.get(key)?.text();
    let language =
        info("language_info", "name").or_else(|| info("kernelspec", "language")).unwrap_or_default();
    sink.meta("language", language);
    if let Some(title) = meta.and_then(|meta| meta.get("title")).and_then(Node::text) {
        sink.meta("title", title);
    }
    for cell in root.get("cells").map(Node::elements).unwrap_or_default() {
        if sink.is_full() {
            break;
        }
        let source = joined(cell.get("source"));
        match cell.get("cell_type").and_then(Node::text) {
            Some("markdown") => sink.append(markdown::extract(source.as_bytes(), limits)?),
            Some("code") => {
                sink.code(Some(language), &source);
                for output in cell.get("outputs").map(Node::elements).unwrap_or_default() {
                    sink.code(None, &output_text(output));
                }
            }
            _ => sink.code(None, &source),
        }
    }
    Ok(sink.finish())
}

/// What a cell printed, showed as plain text, or failed with.
fn output_text(output: &Node) -> String {
    let text = joined(output.get("text"));
    let data = joined(output.get("data").and_then(|data| data.get("text/plain")));
    let error = ["ename", "evalue"].map(|key| output.get(key).and_then(Node::text).unwrap_or_default());
    match (text.is_empty(), data.is_empty(), error) {
        (false, _, _) => text,
        (_, false, _) => data,
        (_, _, [name, value]) if !name.is_empty() => format!("{name}: {value}"),
        _ => String::new(),
    }
}

/// Multi-line strings are stored as arrays of lines, or as one string.
fn joined(node: Option<&Node>) -> String {
    match node {
        Some(Node::Array(lines)) => lines.iter().filter_map(Node::text).collect(),
        Some(node) => node.text().unwrap_or_default().to_owned(),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::to_markdown;

    #[test]
    fn cells_keep_their_order_and_kind() {
        let json = r##"{"nbformat": 4, "metadata": {"kernelspec": {"language": "python"}}, "cells": [
            {"cell_type": "markdown", "source": ["# Title\n", "text"]},
            {"cell_type": "code", "source": "print(1)", "outputs": [{"output_type": "stream", "text": ["1\n"]}]}]}"##;
        let document = super::super::json::extract(json.as_bytes(), &Limits::default()).expect("notebook");
        assert_eq!(document.format, "ipynb");
        assert_eq!(to_markdown(&document).text, "# Title\n\ntext\n\n```python\nprint(1)\n```\n\n```\n1\n```");
    }
}
