//! A document as plain text and as Markdown, with the place of every block in what was rendered.

use crate::model::{Block, Document, ListItem};

/// Rendered text and where each block of the document lies in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rendered {
    /// The text; blocks are separated by one empty line.
    pub text: String,
    /// One entry a block, in order; empty ranges for blocks that render to nothing.
    pub spans: Vec<Span>,
}

/// Where a block lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// First byte.
    pub start: usize,
    /// One past the last byte, without the separating line.
    pub end: usize,
    /// The page it starts on, from 1.
    pub page: Option<u32>,
}

/// Renders `document` as plain text: cells are separated by tabs, items stand on their own lines.
pub fn to_text(document: &Document) -> Rendered {
    render(document, text_block)
}

/// Renders `document` as Markdown (`CommonMark` with pipe tables).
pub fn to_markdown(document: &Document) -> Rendered {
    render(document, markdown_block)
}

fn render(document: &Document, write: fn(&Block, &mut String)) -> Rendered {
    let mut out = Rendered { text: String::new(), spans: Vec::with_capacity(document.blocks.len()) };
    for placed in &document.blocks {
        let before = out.text.len();
        if before > 0 {
            out.text.push_str("\n\n");
        }
        let start = out.text.len();
        write(&placed.block, &mut out.text);
        let end = out.text.trim_end().len().max(start);
        out.text.truncate(if end == start { before } else { end });
        let (start, end) = if end == start { (before, before) } else { (start, end) };
        out.spans.push(Span { start, end, page: placed.page });
    }
    out
}

fn text_block(block: &Block, out: &mut String) {
    match block {
        Block::Heading { text, .. } | Block::Paragraph { text } | Block::Code { text, .. } => {
            out.push_str(text)
        }
        Block::List { items } => {
            for (item, marker) in items.iter().zip(markers(items)) {
                push_indent(out, usize::from(item.depth) * 2);
                out.push_str(&marker);
                out.push_str(&item.text);
                out.push('\n');
            }
        }
        Block::Table { rows, .. } => {
            for row in rows {
                for (index, cell) in row.iter().enumerate() {
                    if index > 0 {
                        out.push('\t');
                    }
                    push_one_line(out, cell);
                }
                out.push('\n');
            }
        }
    }
}

fn markdown_block(block: &Block, out: &mut String) {
    match block {
        Block::Heading { level, text } => {
            out.extend(std::iter::repeat_n('#', usize::from((*level).clamp(1, 6))));
            out.push(' ');
            push_one_line(out, text);
        }
        Block::Paragraph { text } => markdown_lines(out, text, 0),
        Block::List { items } => {
            for (item, marker) in items.iter().zip(markers(items)) {
                let indent = usize::from(item.depth) * 4;
                push_indent(out, indent);
                out.push_str(&marker);
                markdown_lines(out, &item.text, indent + marker.chars().count());
                out.push('\n');
            }
        }
        Block::Table { header, rows } => markdown_table(out, *header, rows),
        Block::Code { language, text } => {
            let fence = "`".repeat(longest_run(text, '`').max(2) + 1);
            out.push_str(&fence);
            out.push_str(language.as_deref().unwrap_or_default());
            out.push('\n');
            out.push_str(text.trim_end());
            out.push('\n');
            out.push_str(&fence);
        }
    }
}

/// The marker of every item: `- `, or its number at its depth.
fn markers(items: &[ListItem]) -> Vec<String> {
    let mut counts: Vec<u32> = Vec::new();
    items
        .iter()
        .map(|item| {
            counts.truncate(usize::from(item.depth) + 1);
            counts.resize(usize::from(item.depth) + 1, 0);
            let count = counts.last_mut().map_or(1, |count| {
                *count += 1;
                *count
            });
            if item.ordered { format!("{count}. ") } else { "- ".to_owned() }
        })
        .collect()
}

fn markdown_table(out: &mut String, header: bool, rows: &[Vec<String>]) {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    if columns == 0 {
        return;
    }
    let empty = Vec::new();
    // A pipe table must have a header row: a table without one gets an empty one.
    let (head, body) = match rows.split_first() {
        Some((first, rest)) if header => (first, rest),
        _ => (&empty, rows),
    };
    markdown_row(out, head, columns);
    out.push('|');
    out.extend(std::iter::repeat_n(" --- |", columns));
    out.push('\n');
    for row in body {
        markdown_row(out, row, columns);
    }
}

fn markdown_row(out: &mut String, row: &[String], columns: usize) {
    out.push('|');
    for column in 0..columns {
        out.push(' ');
        let cell = row.get(column).map(String::as_str).unwrap_or_default();
        push_one_line(out, &cell.replace('\\', "\\\\").replace('|', "\\|"));
        out.push_str(" |");
    }
    out.push('\n');
}

/// Writes lines of prose, so that none of them turns into a heading, a list or a quote by accident.
fn markdown_lines(out: &mut String, text: &str, indent: usize) {
    for (number, line) in text.lines().enumerate() {
        if number > 0 {
            out.push_str("  \n");
            push_indent(out, indent);
        }
        let line = line.trim();
        let digits = line.bytes().take_while(u8::is_ascii_digit).count();
        let rest = &line[digits..];
        if digits > 0 && digits < 10 && (rest.starts_with(". ") || rest.starts_with(") ")) {
            out.push_str(&line[..digits]);
            out.push('\\');
            out.push_str(rest);
            continue;
        }
        let heading = line.starts_with('#') && line.trim_start_matches('#').starts_with(' ');
        let bullet = ["- ", "+ ", "* ", "> ", "```", "~~~"].iter().any(|mark| line.starts_with(mark));
        if heading || bullet {
            out.push('\\');
        }
        out.push_str(line);
    }
}

fn push_indent(out: &mut String, columns: usize) {
    out.extend(std::iter::repeat_n(' ', columns));
}

fn push_one_line(out: &mut String, text: &str) {
    for (index, word) in text.split_whitespace().enumerate() {
        if index > 0 {
            out.push(' ');
        }
        out.push_str(word);
    }
}

fn longest_run(text: &str, wanted: char) -> usize {
    let (mut longest, mut run) = (0, 0);
    for found in text.chars() {
        run = if found == wanted { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    longest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(blocks: Vec<Block>) -> Document {
        let mut document = Document::new("text");
        for (index, block) in blocks.into_iter().enumerate() {
            document.push(block, u32::try_from(index + 1).ok());
        }
        document
    }

    #[test]
    fn spans_cut_out_exactly_their_block() {
        let paragraph = |text: &str| Block::Paragraph { text: text.into() };
        let rendered = to_text(&document(vec![paragraph("one"), paragraph(""), paragraph("drei é")]));
        assert_eq!(rendered.text, "one\n\ndrei é");
        let cut: Vec<&str> = rendered.spans.iter().map(|span| &rendered.text[span.start..span.end]).collect();
        assert_eq!(cut, ["one", "", "drei é"]);
        assert_eq!(rendered.spans[2].page, Some(3));
    }

    #[test]
    fn markdown_keeps_structure_and_escapes_what_would_become_some() {
        let item = |depth, ordered, text: &str| ListItem { depth, ordered, text: text.into() };
        let rendered = to_markdown(&document(vec![
            Block::Heading { level: 2, text: "A\nB".into() },
            Block::Paragraph { text: "# not a heading\n1. not a list".into() },
            Block::List { items: vec![item(0, true, "x"), item(1, false, "y"), item(0, true, "z")] },
            Block::Table { header: true, rows: vec![vec!["a|b".into(), "c".into()], vec!["1\n2".into()]] },
            Block::Code { language: Some("rust".into()), text: "let a = \"```\";\n".into() },
        ]));
        let expected = "## A B\n\n\\# not a heading  \n1\\. not a list\n\n1. x\n    - y\n2. z\n\n\
            | a\\|b | c |\n| --- | --- |\n| 1 2 |  |\n\n````rust\nlet a = \"```\";\n````";
        assert_eq!(rendered.text, expected);
    }
}
