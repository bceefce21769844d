//! The shapes of a slide, in their order: what each is for, and its text, table or chart.

use quick_xml::events::BytesStart;

use super::super::ooxml::{Xml, attribute, number, walk};
use super::FORMAT;
use crate::error::DocError;
use crate::limits::Limits;

/// What a shape is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The slide's title.
    Title,
    /// A placeholder whose paragraphs have bullets unless they say otherwise.
    Body,
    /// Any other text.
    Text,
    /// Dates, footers, slide numbers.
    Furniture,
}

/// A paragraph.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Paragraph {
    /// Its text.
    pub text: String,
    /// Its level, from 0.
    pub depth: usize,
    /// Whether it has a bullet or a number, where it says so itself.
    pub bullet: Option<bool>,
    /// Whether that is a number.
    pub ordered: bool,
}

/// What a shape holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// Paragraphs.
    Text(Vec<Paragraph>),
    /// A table: whether it has a header, and its rows.
    Table(bool, Vec<Vec<String>>),
    /// A chart, by the id of its relationship.
    Chart(String),
}

/// A shape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape {
    /// What it is for.
    pub role: Role,
    /// What it holds.
    pub content: Content,
}

impl Shape {
    /// All text, a line for each paragraph.
    pub fn text(&self) -> String {
        match &self.content {
            Content::Text(paragraphs) => {
                paragraphs.iter().map(|paragraph| paragraph.text.as_str()).collect::<Vec<_>>().join("\n")
            }
            _ => String::new(),
        }
    }
}

/// Reads the shapes of a slide or of a notes page.
///
/// # Errors
/// Those of `walk`.
pub fn read(xml: &str, limits: &Limits) -> Result<Vec<Shape>, DocError> {
    let mut reader = Reader::default();
    walk(FORMAT, xml, limits, |node| {
        match node {
            Xml::Open(name, _) if reader.skipping > 0 || name == "Fallback" => reader.skipping += 1,
            Xml::Close(_) if reader.skipping > 0 => reader.skipping -= 1,
            Xml::Open(name, tag) => reader.open(name, tag),
            Xml::Close(name) => reader.close(name),
            Xml::Text(text) if reader.in_text && reader.skipping == 0 => reader.paragraph.text.push_str(text),
            Xml::Text(_) => {}
        }
        true
    })?;
    Ok(reader.shapes)
}

#[derive(Default)]
struct Reader {
    shapes: Vec<Shape>,
    role: Option<Role>,
    paragraphs: Vec<Paragraph>,
    paragraph: Paragraph,
    in_text: bool,
    table: Option<(bool, Vec<Vec<String>>)>,
    /// Depth below an element that is skipped; 0 outside of one.
    skipping: usize,
}

impl Reader {
    fn open(&mut self, name: &str, tag: &BytesStart<'_>) {
        match name {
            "sp" | "graphicFrame" => {
                self.role = None;
                self.paragraphs.clear();
            }
            "ph" => self.role = Some(role(attribute(tag, "type").as_deref())),
            "p" => self.paragraph = Paragraph::default(),
            "pPr" => self.paragraph.depth = number(tag, "lvl").unwrap_or(0),
            "buNone" => self.paragraph.bullet = Some(false),
            "buChar" | "buBlip" => self.paragraph.bullet = Some(true),
            "buAutoNum" => (self.paragraph.bullet, self.paragraph.ordered) = (Some(true), true),
            "t" => self.in_text = true,
            "br" => self.paragraph.text.push('\n'),
            "tbl" => self.table = Some((false, Vec::new())),
            "tblPr" => {
                if let Some((header, _)) = &mut self.table {
                    *header = attribute(tag, "firstRow").is_some_and(|value| value == "1" || value == "true");
                }
            }
            "tr" => {
                if let Some((_, rows)) = &mut self.table {
                    rows.push(Vec::new());
                }
            }
            "tc" => self.paragraphs.clear(),
            "chart" => {
                if let Some(id) = attribute(tag, "id") {
                    self.shapes.push(Shape { role: Role::Text, content: Content::Chart(id) });
                }
            }
            _ => {}
        }
    }

    fn close(&mut self, name: &str) {
        match name {
            "t" => self.in_text = false,
            "p" => self.paragraphs.push(std::mem::take(&mut self.paragraph)),
            "tc" => {
                let lines: Vec<String> = self.paragraphs.drain(..).map(|paragraph| paragraph.text).collect();
                if let Some((_, rows)) = &mut self.table
                    && let Some(row) = rows.last_mut()
                {
                    row.push(lines.join("\n"));
                }
            }
            "tbl" => {
                if let Some((header, rows)) = self.table.take() {
                    self.shapes.push(Shape { role: Role::Text, content: Content::Table(header, rows) });
                }
            }
            "sp" => {
                let content = Content::Text(std::mem::take(&mut self.paragraphs));
                self.shapes.push(Shape { role: self.role.unwrap_or(Role::Text), content });
            }
            _ => {}
        }
    }
}

/// The role of a placeholder of this type; no type is an object's, which holds text with bullets.
fn role(kind: Option<&str>) -> Role {
    match kind {
        Some("title" | "ctrTitle") => Role::Title,
        Some("dt" | "ftr" | "hdr" | "sldNum" | "sldImg") => Role::Furniture,
        None | Some("body" | "obj") => Role::Body,
        Some(_) => Role::Text,
    }
}
