//! Office Open XML packages (ECMA-376, part 2): a ZIP of XML parts, read within bounds.
//!
//! No entity but XML's own five is resolved and a document type declaration is refused, so nothing can expand;
//! what unpacks out of proportion is refused as a bomb; elements nest to `max_depth` only.

use std::collections::HashMap;
use std::io::{Cursor, Read};

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};
use zip::ZipArchive;

use super::sink::Sink;
use super::text::decode;
use crate::error::DocError;
use crate::limits::Limits;

/// Parts a package may have.
const MAX_PARTS: usize = 20_000;

/// From `RATIO_FROM` bytes on a part may unpack to at most `MAX_RATIO` times its packed size. Real sheets of
/// repeated rows reach a ratio of about 50; deflate's own bound is 1,032.
const MAX_RATIO: u64 = 250;
const RATIO_FROM: u64 = 16 << 20;

/// A package and what is left of its budget of unpacked bytes.
pub struct Package<'a> {
    format: &'static str,
    archive: ZipArchive<Cursor<&'a [u8]>>,
    limits: &'a Limits,
    unpacked: u64,
}

/// One relationship of a part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relation {
    /// The last segment of its type, such as `slide` or `hyperlink`.
    pub kind: String,
    /// The part it points to, as a path from the root of the package; an address as it stands if external.
    pub target: String,
}

impl<'a> Package<'a> {
    /// Opens the package.
    ///
    /// # Errors
    /// `Corrupt` where it is no ZIP, `Bomb` where it has too many parts.
    pub fn open(format: &'static str, bytes: &'a [u8], limits: &'a Limits) -> Result<Self, DocError> {
        let archive =
            ZipArchive::new(Cursor::new(bytes)).map_err(|error| DocError::corrupt(format, error))?;
        if archive.len() > MAX_PARTS {
            return Err(DocError::bomb(format, format!("{} parts, {MAX_PARTS} are allowed", archive.len())));
        }
        Ok(Self { format, archive, limits, unpacked: 0 })
    }

    /// Unpacks every part once and forgets it, so that a parser which knows no bounds may read them.
    ///
    /// # Errors
    /// Those of `part`.
    pub fn check_all(&mut self) -> Result<(), DocError> {
        for index in 0..self.archive.len() {
            self.unpack(index, &mut std::io::sink())?;
        }
        Ok(())
    }

    /// The text of the part called `name`; none where there is no such part.
    ///
    /// # Errors
    /// `Corrupt` where it cannot be unpacked, `Encrypted`, `Bomb`.
    pub fn part(&mut self, name: &str) -> Result<Option<String>, DocError> {
        let name = name.trim_start_matches('/');
        let Some(index) = self.archive.index_for_name(name).or_else(|| self.index_ignoring_case(name)) else {
            return Ok(None);
        };
        let mut bytes = Vec::new();
        self.unpack(index, &mut bytes)?;
        Ok(Some(String::from_utf8(bytes).unwrap_or_else(|error| decode(error.as_bytes(), None).text)))
    }

    /// The text of a part that must be there.
    ///
    /// # Errors
    /// Those of `part`, and `Corrupt` where it is missing.
    pub fn required(&mut self, name: &str) -> Result<String, DocError> {
        let format = self.format;
        self.part(name)?.ok_or_else(|| DocError::corrupt(format, format!("it has no part {name}")))
    }

    /// Part names are equal whatever their case (ECMA-376 part 2, 6.2.2.3).
    fn index_ignoring_case(&self, name: &str) -> Option<usize> {
        let found =
            self.archive.file_names().flatten().find(|known| known.eq_ignore_ascii_case(name))?.into_owned();
        self.archive.index_for_name(&found)
    }

    fn unpack(&mut self, index: usize, out: &mut dyn std::io::Write) -> Result<(), DocError> {
        let format = self.format;
        let file = self.archive.by_index(index).map_err(|error| match error {
            zip::result::ZipError::UnsupportedArchive(reason) if reason.contains("assword") => {
                DocError::Encrypted { format: format.to_owned() }
            }
            other => DocError::corrupt(format, other),
        })?;
        let packed = file.compressed_size();
        let left = self.limits.max_unpacked_bytes.saturating_sub(self.unpacked);
        let by_ratio = packed.saturating_mul(MAX_RATIO).max(RATIO_FROM);
        let room = left.min(by_ratio);
        let size =
            std::io::copy(&mut file.take(room + 1), out).map_err(|error| DocError::corrupt(format, error))?;
        self.unpacked += size;
        if size > left {
            let max = self.limits.max_unpacked_bytes;
            return Err(DocError::bomb(
                format,
                format!("it unpacks to more than {max} bytes (max_unpacked_bytes)"),
            ));
        }
        if size > by_ratio {
            return Err(DocError::bomb(
                format,
                format!("a part unpacks to more than {MAX_RATIO} times its size"),
            ));
        }
        Ok(())
    }

    /// The relationships of `part` by id; `""` stands for the package's own.
    ///
    /// # Errors
    /// Those of `part` and `walk`.
    pub fn relations(&mut self, part: &str) -> Result<HashMap<String, Relation>, DocError> {
        let (folder, name) = part.rsplit_once('/').unwrap_or(("", part));
        let prefix = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        let Some(xml) = self.part(&format!("{prefix}_rels/{name}.rels"))? else { return Ok(HashMap::new()) };
        let mut relations = HashMap::new();
        walk(self.format, &xml, self.limits, |node| {
            if let Xml::Open("Relationship", tag) = node {
                let kind = attribute(tag, "Type").unwrap_or_default();
                let target = attribute(tag, "Target").unwrap_or_default();
                let external = attribute(tag, "TargetMode").is_some_and(|mode| mode == "External");
                let relation = Relation {
                    kind: kind.rsplit('/').next().unwrap_or_default().to_owned(),
                    target: if external { target } else { resolve(folder, &target) },
                };
                relations.insert(attribute(tag, "Id").unwrap_or_default(), relation);
            }
            true
        })?;
        Ok(relations)
    }

    /// The part that the package names as its main one, else `usual`.
    ///
    /// # Errors
    /// Those of `relations`.
    pub fn main_part(&mut self, usual: &str) -> Result<String, DocError> {
        let relations = self.relations("")?;
        let main = relations.into_values().find(|relation| relation.kind == "officeDocument");
        Ok(main.map_or_else(|| usual.to_owned(), |relation| relation.target))
    }

    /// Reads the properties that Office keeps (`docProps/core.xml`, `docProps/app.xml`) into the metadata.
    ///
    /// # Errors
    /// `Bomb`; damaged properties are left out.
    pub fn properties(&mut self, sink: &mut Sink<'_>) -> Result<(), DocError> {
        for part in ["docProps/core.xml", "docProps/app.xml"] {
            let Some(xml) = self.part(part)? else { continue };
            let mut text = String::new();
            let read = walk(self.format, &xml, self.limits, |node| {
                match node {
                    Xml::Open(..) => text.clear(),
                    Xml::Text(more) => text.push_str(more),
                    Xml::Close(name) => {
                        if let Some(key) = property(name) {
                            sink.meta(key, &text);
                        }
                        text.clear();
                    }
                }
                true
            });
            if read.is_err() {
                sink.warn(&format!("{part} is damaged and was left out"));
            }
        }
        Ok(())
    }
}

fn property(element: &str) -> Option<&'static str> {
    Some(match element {
        "title" => "title",
        "creator" => "author",
        "subject" => "subject",
        "description" => "description",
        "keywords" => "keywords",
        "category" => "category",
        "language" => "language",
        "lastModifiedBy" => "last_modified_by",
        "created" => "created",
        "modified" => "modified",
        "Application" => "application",
        "Company" => "company",
        _ => return None,
    })
}

/// A path from the root, for `target` named by a part in `folder`.
fn resolve(folder: &str, target: &str) -> String {
    let absolute = target.starts_with('/');
    let mut path: Vec<&str> = if absolute { Vec::new() } else { folder.split('/').collect() };
    for segment in target.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                path.pop();
            }
            name => path.push(name),
        }
    }
    path.retain(|segment| !segment.is_empty());
    path.join("/")
}

/// One step through a part. Names are local ones: prefixes differ between producers.
#[derive(Debug)]
pub enum Xml<'e> {
    /// An element begins; an empty one is closed right after.
    Open(&'e str, &'e BytesStart<'e>),
    /// An element ends.
    Close(&'e str),
    /// Text, with references resolved; one run may come in pieces.
    Text(&'e str),
}

/// Walks through a part until `visit` answers false.
///
/// # Errors
/// `Corrupt` where it is not well-formed, `Bomb` where it declares a document type, `TooDeep`.
pub fn walk(
    format: &'static str,
    xml: &str,
    limits: &Limits,
    mut visit: impl FnMut(Xml<'_>) -> bool,
) -> Result<(), DocError> {
    let mut reader = Reader::from_str(xml);
    let mut depth = 0_u32;
    loop {
        let event = reader.read_event().map_err(|error| DocError::corrupt(format, error))?;
        let more = match &event {
            Event::Start(tag) => {
                depth += 1;
                if depth > limits.max_depth {
                    return Err(DocError::TooDeep { format: format.to_owned(), limit: limits.max_depth });
                }
                visit(Xml::Open(tag.local_name().as_ref(), tag))
            }
            Event::Empty(tag) => {
                let name = tag.local_name();
                visit(Xml::Open(name.as_ref(), tag)) && visit(Xml::Close(name.as_ref()))
            }
            Event::End(tag) => {
                depth = depth.saturating_sub(1);
                visit(Xml::Close(tag.local_name().as_ref()))
            }
            Event::Text(text) => visit(Xml::Text(&text.xml10_content())),
            Event::CData(text) => visit(Xml::Text(&text.xml10_content())),
            Event::GeneralRef(reference) => {
                let resolved = match reference.resolve_char_ref() {
                    Ok(Some(found)) => Some(found.to_string()),
                    Ok(None) => {
                        quick_xml::escape::resolve_xml_entity(&reference.xml10_content()).map(str::to_owned)
                    }
                    Err(_) => None,
                };
                resolved.is_none_or(|text| visit(Xml::Text(&text)))
            }
            Event::DocType(_) => return Err(DocError::bomb(format, "it declares a document type")),
            Event::Eof => return Ok(()),
            _ => true,
        };
        if !more {
            return Ok(());
        }
    }
}

/// The value of the attribute with this local name.
pub fn attribute(tag: &BytesStart<'_>, name: &str) -> Option<String> {
    let found = tag
        .attributes()
        .with_checks(false)
        .flatten()
        .find(|found| found.key.local_name().as_ref() == name)?;
    found.normalized_value(quick_xml::XmlVersion::default()).ok().map(std::borrow::Cow::into_owned)
}

/// The value of an attribute that is a number.
pub fn number<T: std::str::FromStr>(tag: &BytesStart<'_>, name: &str) -> Option<T> {
    attribute(tag, name)?.trim().parse().ok()
}

/// Whether a property element such as `<w:b/>` or `<w:b w:val="0"/>` switches on.
pub fn is_on(tag: &BytesStart<'_>) -> bool {
    attribute(tag, "val").is_none_or(|value| !matches!(value.as_str(), "0" | "false" | "off" | "none"))
}

#[cfg(test)]
pub(crate) mod tests {
    use std::io::Write;

    use zip::write::SimpleFileOptions;

    use super::*;

    /// A package of the given parts, for the tests of the formats.
    pub fn package(parts: &[(&str, &str)]) -> Vec<u8> {
        let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
        for (name, text) in parts {
            writer.start_file(*name, SimpleFileOptions::default()).expect("in memory");
            writer.write_all(text.as_bytes()).expect("in memory");
        }
        writer.finish().expect("in memory").into_inner()
    }

    #[test]
    fn targets_are_resolved_against_their_folder() {
        assert_eq!(resolve("ppt/slides", "../notesSlides/n1.xml"), "ppt/notesSlides/n1.xml");
        assert_eq!(resolve("ppt", "/ppt/slides/s.xml"), "ppt/slides/s.xml");
        assert_eq!(resolve("", "word/document.xml"), "word/document.xml");
        assert_eq!(resolve("a", "../../../etc/passwd"), "etc/passwd");
    }

    #[test]
    fn bombs_are_refused() {
        let big = "x".repeat(18 << 20);
        let bytes = package(&[("a.xml", &big)]);
        let limits = Limits::default();
        let mut by_ratio = Package::open("docx", &bytes, &limits).expect("opens");
        assert_eq!(by_ratio.part("a.xml").map_err(|error| error.code()), Err("TL2105"));
        let limits = Limits { max_unpacked_bytes: 1 << 20, ..limits };
        let mut by_size = Package::open("docx", &bytes, &limits).expect("opens");
        assert_eq!(by_size.check_all().map_err(|error| error.code()), Err("TL2105"));
    }

    #[test]
    fn entities_and_depth_are_bounded_and_references_resolved() {
        let limits = Limits { max_depth: 3, ..Limits::default() };
        let collect = |xml: &str| {
            let mut text = String::new();
            walk("docx", xml, &limits, |node| {
                if let Xml::Text(more) = node {
                    text.push_str(more);
                }
                true
            })
            .map(|()| text)
            .map_err(|error| error.code())
        };
        assert_eq!(collect("<a>x &amp; &#228;&unknown;</a>"), Ok("x & ä".to_owned()));
        assert_eq!(collect("<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>"), Err("TL2105"));
        assert_eq!(collect("<a><a><a><a/></a></a></a>"), Ok(String::new()));
        assert_eq!(collect("<a><a><a><a>x</a></a></a></a>"), Err("TL2106"));
    }
}
