//! What a Word paragraph is by its style and its numbering: heading, item, or neither.
//!
//! Style ids are localised (`berschrift1`), so a heading is told by the outline level, else by the style's name,
//! which Word keeps in English for its own styles.

use std::collections::HashMap;

use super::super::ooxml::{Xml, attribute, number, walk};
use super::FORMAT;
use crate::error::DocError;
use crate::limits::Limits;

/// How far `basedOn` is followed; Word itself nests less deep.
const MAX_CHAIN: usize = 16;

/// One style of `styles.xml`.
#[derive(Debug, Default, Clone)]
struct Style {
    name: String,
    based_on: Option<String>,
    outline: Option<usize>,
    num_id: Option<u32>,
    level: Option<usize>,
}

/// The styles and the numbering of a document.
#[derive(Debug, Default)]
pub struct Styles {
    styles: HashMap<String, Style>,
    default: Option<String>,
    /// Number formats by numbering id and level.
    formats: HashMap<u32, HashMap<usize, String>>,
}

/// What a paragraph says of itself.
#[derive(Debug, Default, Clone)]
pub struct Properties {
    /// Its style's id.
    pub style: Option<String>,
    /// Its outline level, from 0; 9 is body text.
    pub outline: Option<usize>,
    /// Its numbering's id; 0 takes it out of any.
    pub num_id: Option<u32>,
    /// Its level in that numbering, from 0.
    pub level: Option<usize>,
}

/// What a paragraph is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Role {
    /// A heading of this level, from 1.
    Heading(usize),
    /// An item: its depth from 0, whether it is numbered, and its numbering.
    Item(usize, bool, u32),
    /// Neither.
    Plain,
}

impl Styles {
    /// Reads `styles.xml` and `numbering.xml`, either of which may be missing.
    ///
    /// # Errors
    /// Those of `walk`.
    pub fn read(styles: Option<&str>, numbering: Option<&str>, limits: &Limits) -> Result<Self, DocError> {
        let mut read = Self::default();
        if let Some(xml) = styles {
            read.read_styles(xml, limits)?;
        }
        if let Some(xml) = numbering {
            read.read_numbering(xml, limits)?;
        }
        Ok(read)
    }

    /// What a paragraph with these properties is.
    pub fn role(&self, own: &Properties) -> Role {
        if let Some(level) = self.heading(own) {
            return Role::Heading(level);
        }
        let chain = || self.chain(own.style.as_deref());
        let num_id = own.num_id.or_else(|| chain().find_map(|style| style.num_id)).unwrap_or(0);
        let level = own.level.or_else(|| chain().find_map(|style| style.level)).unwrap_or(0);
        if num_id == 0 {
            return Role::Plain;
        }
        match self.formats.get(&num_id).and_then(|levels| levels.get(&level)).map(String::as_str) {
            Some("none") => Role::Plain,
            Some("bullet") | None => Role::Item(level, false, num_id),
            Some(_) => Role::Item(level, true, num_id),
        }
    }

    fn heading(&self, own: &Properties) -> Option<usize> {
        if let Some(outline) = own.outline {
            return (outline < 9).then_some(outline + 1);
        }
        for style in self.chain(own.style.as_deref()) {
            if let Some(level) = heading_name(&style.name) {
                return Some(level);
            }
            if let Some(outline) = style.outline {
                return (outline < 9).then_some(outline + 1);
            }
        }
        // A document without styles.xml still names them.
        let id = own.style.as_deref()?;
        if self.styles.contains_key(id) {
            None
        } else {
            heading_name(&id.to_lowercase().replace("heading", "heading "))
        }
    }

    fn chain(&self, id: Option<&str>) -> impl Iterator<Item = &Style> {
        let first = id.or(self.default.as_deref()).and_then(|id| self.styles.get(id));
        std::iter::successors(first, |style| self.styles.get(style.based_on.as_deref()?)).take(MAX_CHAIN)
    }

    fn read_styles(&mut self, xml: &str, limits: &Limits) -> Result<(), DocError> {
        let mut open: Option<(String, Style)> = None;
        walk(FORMAT, xml, limits, |node| {
            match node {
                Xml::Open("style", tag) => {
                    let id = attribute(tag, "styleId").unwrap_or_default();
                    let paragraph = attribute(tag, "type").is_none_or(|kind| kind == "paragraph");
                    if paragraph
                        && attribute(tag, "default").is_some_and(|value| value == "1" || value == "true")
                    {
                        self.default = Some(id.clone());
                    }
                    open = paragraph.then(|| (id, Style::default()));
                }
                Xml::Open(name, tag) => {
                    if let Some((_, style)) = &mut open {
                        match name {
                            "name" => style.name = attribute(tag, "val").unwrap_or_default().to_lowercase(),
                            "basedOn" => style.based_on = attribute(tag, "val"),
                            "outlineLvl" => style.outline = number(tag, "val"),
                            "numId" => style.num_id = number(tag, "val"),
                            "ilvl" => style.level = number(tag, "val"),
                            _ => {}
                        }
                    }
                }
                Xml::Close("style") => {
                    if let Some((id, style)) = open.take() {
                        self.styles.insert(id, style);
                    }
                }
                _ => {}
            }
            true
        })
    }

    fn read_numbering(&mut self, xml: &str, limits: &Limits) -> Result<(), DocError> {
        let mut abstracts: HashMap<u32, HashMap<usize, String>> = HashMap::new();
        let (mut abstract_id, mut num_id, mut level) = (None, None, 0_usize);
        walk(FORMAT, xml, limits, |node| {
            match node {
                Xml::Open("abstractNum", tag) => abstract_id = number::<u32>(tag, "abstractNumId"),
                Xml::Close("abstractNum") => abstract_id = None,
                Xml::Open("num", tag) => num_id = number::<u32>(tag, "numId"),
                Xml::Open("lvl", tag) => level = number(tag, "ilvl").unwrap_or(0),
                Xml::Open("numFmt", tag) => {
                    let format = attribute(tag, "val").unwrap_or_default();
                    let levels = match (abstract_id, num_id) {
                        (Some(id), _) => Some(abstracts.entry(id).or_default()),
                        // An override inside of a num.
                        (None, Some(id)) => Some(self.formats.entry(id).or_default()),
                        (None, None) => None,
                    };
                    if let Some(levels) = levels {
                        levels.insert(level, format);
                    }
                }
                Xml::Open("abstractNumId", tag) => {
                    let levels = number(tag, "val").and_then(|id: u32| abstracts.get(&id));
                    if let (Some(id), Some(levels)) = (num_id, levels) {
                        self.formats.insert(id, levels.clone());
                    }
                }
                _ => {}
            }
            true
        })
    }
}

/// The level that a style's English name speaks of.
fn heading_name(name: &str) -> Option<usize> {
    if name == "title" {
        return Some(1);
    }
    let level: usize = name.strip_prefix("heading ")?.trim().parse().ok()?;
    (1..=9).contains(&level).then_some(level)
}
