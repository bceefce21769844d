//! Word documents (ECMA-376 part 1, `WordprocessingML`): headings by style, lists by numbering, tables, notes.
//!
//! Comments, deleted text, headers and footers are not content and are left out.

mod math;
mod styles;
mod table;

use std::collections::HashMap;

use quick_xml::events::BytesStart;

use self::math::Math;
use self::styles::{Properties, Role, Styles};
use self::table::Table;
use super::ooxml::{Package, Xml, attribute, is_on, number, walk};
use super::sink::Sink;
use crate::error::DocError;
use crate::limits::Limits;
use crate::model::Document;

const FORMAT: &str = "docx";

/// Elements whose content is not part of the text: deletions, what properties were before a change, the fallback
/// beside what is shown, field codes, ruby.
const SKIPPED: [&str; 9] =
    ["del", "moveFrom", "Fallback", "instrText", "delText", "rt", "pPrChange", "rPrChange", "tcPrChange"];

/// Reads a Word document.
///
/// # Errors
/// `Corrupt`, `Encrypted`, `Bomb`, `TooDeep`.
pub fn extract(bytes: &[u8], limits: &Limits) -> Result<Document, DocError> {
    let mut package = Package::open(FORMAT, bytes, limits)?;
    let main = package.main_part("word/document.xml")?;
    let relations = package.relations(&main)?;
    let mut related = |kind: &str| -> Result<Option<String>, DocError> {
        let found =
            relations.values().find(|relation| relation.kind == kind).map(|relation| relation.target.clone());
        found.map_or(Ok(None), |target| package.part(&target))
    };
    let styles = Styles::read(related("styles")?.as_deref(), related("numbering")?.as_deref(), limits)?;
    let notes = [related("footnotes")?, related("endnotes")?];
    let mut sink = Sink::new(FORMAT, limits);
    package.properties(&mut sink)?;
    let xml = package.required(&main)?;
    let mut reader = Reader::new(&mut sink, &styles, xml.contains("lastRenderedPageBreak"));
    walk(FORMAT, &xml, limits, |node| reader.node(node))?;
    let (references, pages) = (std::mem::take(&mut reader.references), reader.page);
    if let Some(page) = pages {
        sink.page_count(page);
    }
    write_notes(&references, &notes, limits, &mut sink)?;
    Ok(sink.finish())
}

/// A paragraph under way.
#[derive(Debug, Default)]
struct Paragraph {
    text: String,
    properties: Properties,
}

struct Reader<'s, 'l> {
    sink: &'s mut Sink<'l>,
    styles: &'s Styles,
    /// More than one where a text box stands inside of a paragraph.
    paragraphs: Vec<Paragraph>,
    tables: Vec<Table>,
    /// Depth below an element that is skipped; 0 outside of one.
    skipping: usize,
    in_text: bool,
    hidden: bool,
    in_properties: bool,
    math: Math,
    /// The numbering of the list under way.
    numbering: Option<u32>,
    /// Notes referred to, in order: whether it is an endnote, and its id.
    references: Vec<(bool, String)>,
    /// Pages by the breaks that Word noted when it last laid the text out; else by manual breaks.
    rendered: bool,
    page: Option<u32>,
}

impl<'s, 'l> Reader<'s, 'l> {
    fn new(sink: &'s mut Sink<'l>, styles: &'s Styles, rendered: bool) -> Self {
        if rendered {
            sink.page(1);
        }
        Self {
            sink,
            styles,
            paragraphs: Vec::new(),
            tables: Vec::new(),
            skipping: 0,
            in_text: false,
            hidden: false,
            in_properties: false,
            math: Math::default(),
            numbering: None,
            references: Vec::new(),
            rendered,
            page: rendered.then_some(1),
        }
    }

    fn node(&mut self, node: Xml<'_>) -> bool {
        match node {
            Xml::Open(name, _) if self.skipping > 0 || SKIPPED.contains(&name) => self.skipping += 1,
            Xml::Close(_) if self.skipping > 0 => self.skipping -= 1,
            Xml::Text(_) if self.skipping > 0 => {}
            Xml::Text(text) => {
                if self.in_text && !self.hidden {
                    self.write(text);
                }
            }
            Xml::Open(name, tag) => {
                if !self.open_property(name, tag) && !self.open_table_part(name, tag) {
                    self.open(name, tag);
                }
            }
            Xml::Close(name) => self.close(name),
        }
        !self.sink.is_full()
    }

    fn write(&mut self, text: &str) {
        if let Some(paragraph) = self.paragraphs.last_mut() {
            paragraph.text.push_str(text);
        }
    }

    /// What stands in `pPr`, and the properties of runs that matter.
    fn open_property(&mut self, name: &str, tag: &BytesStart<'_>) -> bool {
        if name == "vanish" && !self.in_properties {
            self.hidden = is_on(tag);
            return true;
        }
        if name == "pPr" {
            self.in_properties = true;
            return true;
        }
        let Some(Paragraph { properties, .. }) = self.paragraphs.last_mut().filter(|_| self.in_properties)
        else {
            return false;
        };
        match name {
            "pStyle" => properties.style = attribute(tag, "val"),
            "outlineLvl" => properties.outline = number(tag, "val"),
            "numId" => properties.num_id = number(tag, "val"),
            "ilvl" => properties.level = number(tag, "val"),
            _ => {}
        }
        true
    }

    fn open_table_part(&mut self, name: &str, tag: &BytesStart<'_>) -> bool {
        if name == "tbl" {
            self.tables.push(Table::default());
            return true;
        }
        let Some(table) = self.tables.last_mut() else { return false };
        match name {
            "tr" => table.row(),
            "tc" => table.open_cell(),
            "gridSpan" => table.span = number(tag, "val").unwrap_or(1),
            "gridBefore" => table.skip(number(tag, "val").unwrap_or(0)),
            "vMerge" => table.merged = attribute(tag, "val").is_none_or(|value| value == "continue"),
            "hMerge" => table.merged = attribute(tag, "val").is_none_or(|value| value == "continue"),
            "tblHeader" => table.header |= table.in_first_row() && is_on(tag),
            "tblLook" => {
                let bits =
                    attribute(tag, "val").and_then(|value| u32::from_str_radix(&value, 16).ok()).unwrap_or(0);
                // Bit 0x20: the first row is formatted as a header (ECMA-376 part 1, 17.4.55).
                table.header |= attribute(tag, "firstRow")
                    .map_or(bits & 0x20 != 0, |value| value == "1" || value == "true");
            }
            _ => return false,
        }
        true
    }

    fn open(&mut self, name: &str, tag: &BytesStart<'_>) {
        match name {
            "p" => self.paragraphs.push(Paragraph::default()),
            "t" => self.in_text = true,
            "tab" | "ptab" => self.write("\t"),
            "cr" => self.write("\n"),
            "noBreakHyphen" => self.write("-"),
            "br" => match attribute(tag, "type").as_deref() {
                Some("page") if !self.rendered => self.next_page(),
                Some("page" | "column") => {}
                _ => self.write("\n"),
            },
            "lastRenderedPageBreak" => self.next_page(),
            "footnoteReference" | "endnoteReference" => {
                let id = attribute(tag, "id").unwrap_or_default();
                self.references.push((name == "endnoteReference", id));
                self.write(&format!("[{}]", self.references.len()));
            }
            _ => {
                if let Some(paragraph) = self.paragraphs.last_mut() {
                    self.math.open(name, &mut paragraph.text);
                }
            }
        }
    }

    fn close(&mut self, name: &str) {
        match name {
            "p" => self.end_paragraph(),
            "t" => self.in_text = false,
            "r" => self.hidden = false,
            "pPr" => self.in_properties = false,
            "tc" => {
                if let Some(table) = self.tables.last_mut() {
                    table.close_cell();
                }
            }
            "tbl" => self.end_table(),
            _ => {
                if let Some(paragraph) = self.paragraphs.last_mut() {
                    self.math.close(name, &mut paragraph.text);
                }
            }
        }
    }

    fn next_page(&mut self) {
        let page = self.page.unwrap_or(1).saturating_add(1);
        self.page = Some(page);
        // A break in the middle of a paragraph takes effect after it.
        if self.paragraphs.last().is_none_or(|paragraph| paragraph.text.trim().is_empty())
            && self.tables.is_empty()
        {
            self.sink.page(page);
        }
    }

    fn end_paragraph(&mut self) {
        let Some(Paragraph { text, properties }) = self.paragraphs.pop() else { return };
        if let Some(table) = self.tables.last_mut() {
            if !text.trim().is_empty() {
                table.paragraph(text.trim());
            }
            return;
        }
        match self.styles.role(&properties) {
            Role::Heading(level) => self.sink.heading(level, &text),
            Role::Item(depth, ordered, numbering) => {
                if depth == 0 && self.numbering.replace(numbering) != Some(numbering) {
                    self.sink.close_list();
                }
                self.sink.item(depth, ordered, &text);
            }
            Role::Plain => self.sink.paragraph(&text),
        }
        self.follow_page();
    }

    fn end_table(&mut self) {
        let Some(table) = self.tables.pop() else { return };
        match self.tables.last_mut() {
            Some(outer) => {
                let text = table.into_text();
                outer.paragraph(&text);
            }
            None => table.finish(self.sink),
        }
        self.follow_page();
    }

    fn follow_page(&mut self) {
        if let Some(page) = self.page
            && self.sink.current_page() != Some(page)
            && self.paragraphs.is_empty()
            && self.tables.is_empty()
        {
            self.sink.page(page);
        }
    }
}

/// Appends the notes that the text refers to, numbered as there.
fn write_notes(
    references: &[(bool, String)],
    parts: &[Option<String>; 2],
    limits: &Limits,
    sink: &mut Sink<'_>,
) -> Result<(), DocError> {
    if references.is_empty() {
        return Ok(());
    }
    let mut texts = HashMap::new();
    for (endnotes, part) in [(false, &parts[0]), (true, &parts[1])] {
        if let Some(xml) = part {
            read_notes(xml, endnotes, limits, &mut texts)?;
        }
    }
    for (index, reference) in references.iter().enumerate() {
        if let Some(text) = texts.get(reference) {
            sink.paragraph(&format!("[{}] {}", index + 1, text.trim()));
        }
    }
    Ok(())
}

fn read_notes(
    xml: &str,
    endnotes: bool,
    limits: &Limits,
    texts: &mut HashMap<(bool, String), String>,
) -> Result<(), DocError> {
    let (mut id, mut text, mut in_text) = (String::new(), String::new(), false);
    walk(FORMAT, xml, limits, |node| {
        match node {
            Xml::Open("footnote" | "endnote", tag) => {
                id = attribute(tag, "id").unwrap_or_default();
                text.clear();
            }
            Xml::Close("footnote" | "endnote") => {
                texts.insert((endnotes, std::mem::take(&mut id)), std::mem::take(&mut text));
            }
            Xml::Open("t", _) => in_text = true,
            Xml::Close("t") => in_text = false,
            Xml::Close("p") => text.push(' '),
            Xml::Text(more) if in_text => text.push_str(more),
            _ => {}
        }
        true
    })
}

#[cfg(test)]
mod tests;
