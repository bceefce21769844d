//! `CommonMark` with tables, footnotes, strikethrough, task lists and front matter.

use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};

use super::flow::Flow;
use super::html;
use super::sink::Sink;
use super::text::{decode, note_encoding};
use crate::error::DocError;
use crate::limits::Limits;
use crate::model::Document;

/// Reads Markdown.
///
/// # Errors
/// None today; the signature is that of every format.
pub fn extract(bytes: &[u8], limits: &Limits) -> Result<Document, DocError> {
    let decoded = decode(bytes, None);
    let mut sink = Sink::new("markdown", limits);
    note_encoding(&mut sink, &decoded);
    let options = Options::ENABLE_TABLES
        | Options::ENABLE_FOOTNOTES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_TASKLISTS
        | Options::ENABLE_YAML_STYLE_METADATA_BLOCKS
        | Options::ENABLE_PLUSES_DELIMITED_METADATA_BLOCKS;
    let mut reader = Reader { flow: Flow::new(&mut sink), html: None, matter: None, limits };
    for event in Parser::new_ext(&decoded.text, options) {
        if reader.flow.sink().is_full() {
            break;
        }
        reader.event(event);
    }
    reader.flow.flush();
    Ok(sink.finish())
}

struct Reader<'s, 'l> {
    flow: Flow<'s, 'l>,
    /// Raw HTML under way, read as HTML at its end.
    html: Option<String>,
    /// Front matter under way.
    matter: Option<String>,
    limits: &'l Limits,
}

impl Reader<'_, '_> {
    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Start(tag) => self.start(tag),
            Event::End(tag) => self.end(tag),
            Event::Text(text) | Event::Code(text) | Event::InlineMath(text) | Event::DisplayMath(text) => {
                match &mut self.matter {
                    Some(matter) => matter.push_str(&text),
                    None => self.flow.text(&text),
                }
            }
            Event::Html(raw) => match &mut self.html {
                Some(html) => html.push_str(&raw),
                None => self.html = Some(raw.into_string()),
            },
            Event::InlineHtml(tag) if tag.to_ascii_lowercase().starts_with("<br") => self.flow.line_break(),
            Event::InlineHtml(_) | Event::FootnoteReference(_) => {}
            Event::SoftBreak => self.flow.text(" "),
            Event::HardBreak => self.flow.line_break(),
            Event::Rule => self.flow.border(),
            Event::TaskListMarker(done) => self.flow.text(if done { "[x] " } else { "[ ] " }),
        }
    }

    fn start(&mut self, tag: Tag<'_>) {
        match tag {
            Tag::Heading { level, .. } => self.flow.open_heading(level as usize),
            Tag::CodeBlock(kind) => self.flow.open_code(language(&kind)),
            Tag::List(number) => self.flow.open_list(number.is_some()),
            Tag::Item => self.flow.open_item(0),
            Tag::Table(_) => self.flow.open_table(),
            Tag::TableHead => self.flow.open_row(true),
            Tag::TableRow => self.flow.open_row(false),
            Tag::TableCell => self.flow.open_cell(false, 1, 1),
            Tag::HtmlBlock => self.html = Some(String::new()),
            Tag::MetadataBlock(_) => self.matter = Some(String::new()),
            Tag::FootnoteDefinition(name) => {
                self.flow.flush();
                self.flow.text(&format!("[{name}] "));
            }
            Tag::BlockQuote(_) => self.flow.border(),
            _ => {}
        }
    }

    fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Paragraph | TagEnd::BlockQuote(_) | TagEnd::FootnoteDefinition => self.flow.border(),
            TagEnd::Heading(_) => self.flow.close_heading(),
            TagEnd::CodeBlock => self.flow.close_code(),
            TagEnd::List(_) => self.flow.close_list(),
            TagEnd::Item => self.flow.close_item(),
            TagEnd::Table => self.flow.close_table(),
            TagEnd::TableCell => self.flow.close_cell(),
            TagEnd::HtmlBlock => {
                if let Some(raw) = self.html.take() {
                    self.flow.border();
                    html::fragment(&raw, self.limits, &mut self.flow);
                }
            }
            TagEnd::MetadataBlock(_) => {
                let matter = self.matter.take().unwrap_or_default();
                front_matter(&matter, self.flow.sink());
            }
            _ => {}
        }
    }
}

fn language(kind: &CodeBlockKind<'_>) -> Option<String> {
    match kind {
        CodeBlockKind::Fenced(info) => info.split([' ', ',', '{']).next().map(str::to_owned),
        CodeBlockKind::Indented => None,
    }
}

/// The scalars of the top level, in YAML's or TOML's notation; what is nested is left out.
fn front_matter(matter: &str, sink: &mut Sink<'_>) {
    for line in matter.lines().filter(|line| !line.starts_with([' ', '\t', '#', '-', '['])) {
        let Some((key, value)) = line.split_once([':', '=']) else { continue };
        let key = key.trim().to_lowercase().replace(['-', ' '], "_");
        sink.meta(&key, value.trim().trim_matches(['"', '\'']));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::to_markdown;

    fn read(text: &str) -> Document {
        extract(text.as_bytes(), &Limits::default()).expect("markdown")
    }

    #[test]
    fn markdown_survives_the_round_trip() {
        let text = "# Title\n\nA paragraph with code and a link.\n\n1. one\n    - inner\n2. two\n\n\
            | a | b |\n| --- | --- |\n| 1 | 2 |\n\n```rust\nfn main() {}\n```";
        assert_eq!(to_markdown(&read(text)).text, text);
    }

    #[test]
    fn front_matter_is_metadata_and_html_is_read() {
        let document = read(
            "---\ntitle: \"My Page\"\ntags:\n  - x\n---\n\n<div><p>raw <b>html</b></p></div>\n\nend<br>line\n",
        );
        assert_eq!(document.metadata.get("title").map(String::as_str), Some("My Page"));
        assert_eq!(to_markdown(&document).text, "raw html\n\nend  \nline");
    }

    #[test]
    fn loose_items_keep_their_paragraphs_together() {
        assert_eq!(to_markdown(&read("- a\n\n  b\n\n- [x] c\n")).text, "- a  \n  b\n- [x] c");
    }
}
