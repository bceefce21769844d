//! Presentations (ECMA-376 part 1, `PresentationML`): a slide is a page, its title a heading; then its text, tables,
//! charts, diagrams and the speaker's notes.

mod chart;
mod shapes;

use std::collections::HashMap;

use quick_xml::XmlVersion;

use self::shapes::{Content, Role, Shape};
use super::ooxml::{Package, Relation, Xml, attribute, walk};
use super::sink::Sink;
use crate::error::DocError;
use crate::limits::Limits;
use crate::model::Document;

const FORMAT: &str = "pptx";

/// Reads a presentation.
///
/// # Errors
/// `Corrupt`, `Encrypted`, `Bomb`, `TooDeep`.
pub fn extract(bytes: &[u8], limits: &Limits) -> Result<Document, DocError> {
    let mut package = Package::open(FORMAT, bytes, limits)?;
    let main = package.main_part("ppt/presentation.xml")?;
    let relations = package.relations(&main)?;
    let slides = slide_parts(&package.required(&main)?, &relations, limits)?;
    let mut sink = Sink::new(FORMAT, limits);
    package.properties(&mut sink)?;
    sink.page_count(u32::try_from(slides.len()).unwrap_or(u32::MAX));
    for (index, part) in slides.iter().enumerate() {
        if !sink.page(u32::try_from(index + 1).unwrap_or(u32::MAX)) {
            break;
        }
        let Some(xml) = package.part(part)? else {
            sink.warn(&format!("slide {} is missing in the file", index + 1));
            continue;
        };
        let relations = package.relations(part)?;
        slide(&mut package, &xml, &relations, limits, &mut sink)?;
    }
    Ok(sink.finish())
}

/// The slides' parts in the order of the presentation.
fn slide_parts(
    xml: &str,
    relations: &HashMap<String, Relation>,
    limits: &Limits,
) -> Result<Vec<String>, DocError> {
    let mut parts = Vec::new();
    walk(FORMAT, xml, limits, |node| {
        if let Xml::Open("sldId", tag) = node {
            // `id` is there twice: the slide's own number, and its relationship's id with a prefix.
            let mut attributes = tag.attributes();
            let ids = attributes.with_checks(false).flatten().filter(|found| found.key.prefix().is_some());
            let mut targets =
                ids.filter_map(|id| relations.get(id.normalized_value(XmlVersion::default()).ok()?.as_ref()));
            parts.extend(targets.next().map(|relation| relation.target.clone()));
        }
        true
    })?;
    Ok(parts)
}

fn slide(
    package: &mut Package<'_>,
    xml: &str,
    relations: &HashMap<String, Relation>,
    limits: &Limits,
    sink: &mut Sink<'_>,
) -> Result<(), DocError> {
    let shapes = shapes::read(xml, limits)?;
    for shape in shapes.iter().filter(|shape| shape.role == Role::Title) {
        sink.heading(1, &shape.text());
    }
    for shape in shapes {
        match &shape.content {
            Content::Text(_) => write_text(&shape, sink),
            Content::Table(header, rows) => sink.table(*header, rows.clone()),
            Content::Chart(id) => {
                let part = relations.get(id).map(|relation| relation.target.clone());
                if let Some(xml) = part.map_or(Ok(None), |part| package.part(&part))? {
                    chart::write(&xml, limits, sink)?;
                }
            }
        }
    }
    for (kind, part) in related(relations) {
        match (kind, package.part(part)?) {
            ("diagramData", Some(xml)) => diagram(&xml, limits, sink)?,
            ("notesSlide", Some(xml)) => {
                let notes = shapes::read(&xml, limits)?;
                let body = notes.iter().filter(|shape| shape.role == Role::Body).map(Shape::text);
                let text = body.collect::<Vec<_>>().join("\n");
                if !text.trim().is_empty() {
                    sink.paragraph(&format!("Notes: {text}"));
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// Diagrams first, then notes, each in the order of their parts' names.
fn related(relations: &HashMap<String, Relation>) -> Vec<(&str, &str)> {
    let wanted =
        relations.values().filter(|relation| matches!(relation.kind.as_str(), "diagramData" | "notesSlide"));
    let mut parts: Vec<(&str, &str)> =
        wanted.map(|found| (found.kind.as_str(), found.target.as_str())).collect();
    parts.sort_unstable();
    parts
}

fn write_text(shape: &Shape, sink: &mut Sink<'_>) {
    let Content::Text(paragraphs) = &shape.content else { return };
    let filled = || paragraphs.iter().filter(|paragraph| !paragraph.text.trim().is_empty());
    // A body's text has bullets by default, but one paragraph alone is no list.
    let default = shape.role == Role::Body && filled().count() > 1;
    match shape.role {
        Role::Title | Role::Furniture => return,
        Role::Body | Role::Text => {}
    }
    for paragraph in filled() {
        match paragraph.bullet {
            Some(true) => sink.item(paragraph.depth, paragraph.ordered, &paragraph.text),
            None if default => sink.item(paragraph.depth, false, &paragraph.text),
            _ => sink.paragraph(&paragraph.text),
        }
    }
    sink.close_list();
}

/// The texts of a diagram's nodes.
fn diagram(xml: &str, limits: &Limits, sink: &mut Sink<'_>) -> Result<(), DocError> {
    let (mut text, mut in_text, mut is_node) = (String::new(), false, true);
    walk(FORMAT, xml, limits, |node| {
        match node {
            Xml::Open("pt", tag) => {
                text.clear();
                is_node = attribute(tag, "type").is_none_or(|kind| kind == "node" || kind == "asst");
            }
            Xml::Close("pt") if is_node => sink.item(0, false, &text),
            Xml::Open("t", tag) => in_text = tag.name().as_ref().starts_with("a:"),
            Xml::Close("t") => in_text = false,
            Xml::Close("p") => text.push(' '),
            Xml::Text(more) if in_text => text.push_str(more),
            _ => {}
        }
        !sink.is_full()
    })?;
    sink.close_list();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::ooxml::tests::package;
    use super::*;
    use crate::render::to_markdown;

    const PRESENTATION: &str = r#"<p:presentation xmlns:p="p" xmlns:r="r"><p:sldIdLst><p:sldId id="256" r:id="b"/>
        <p:sldId id="257" r:id="a"/></p:sldIdLst></p:presentation>"#;
    const RELATIONS: &str = r#"<Relationships><Relationship Id="a" Type="x/slide" Target="slides/slide1.xml"/>
        <Relationship Id="b" Type="x/slide" Target="slides/slide2.xml"/></Relationships>"#;
    const SLIDE_RELATIONS: &str = r#"<Relationships><Relationship Id="n" Type="x/notesSlide" Target="../notesSlides/n.xml"/></Relationships>"#;

    fn shape(kind: &str, paragraphs: &str) -> String {
        format!("<p:sp><p:nvSpPr><p:nvPr>{kind}</p:nvPr></p:nvSpPr><p:txBody>{paragraphs}</p:txBody></p:sp>")
    }

    fn slide(shapes: &[String]) -> String {
        format!(
            "<p:sld xmlns:p='p' xmlns:a='a'><p:cSld><p:spTree>{}</p:spTree></p:cSld></p:sld>",
            shapes.concat()
        )
    }

    fn paragraph(properties: &str, text: &str) -> String {
        format!("<a:p>{properties}<a:r><a:t>{text}</a:t></a:r></a:p>")
    }

    #[test]
    fn slides_keep_their_order_titles_bullets_tables_and_notes() {
        let title = |text: &str| shape("<p:ph type='title'/>", &paragraph("", text));
        let bullets = [paragraph("", "one"), paragraph("<a:pPr lvl='1'/>", "two")].concat();
        let cell = |text: &str| format!("<a:tc><a:txBody>{}</a:txBody></a:tc>", paragraph("", text));
        let table = format!(
            "<p:graphicFrame><a:tbl><a:tblPr firstRow='1'/><a:tr>{}{}</a:tr><a:tr>{}{}</a:tr></a:tbl></p:graphicFrame>",
            cell("h"),
            cell("i"),
            cell("1"),
            cell("2")
        );
        let number = shape("<p:ph type='sldNum'/>", &paragraph("", "7"));
        let first = slide(&[shape("<p:ph idx='1'/>", &bullets), title("First"), number]);
        let second = slide(&[title("Second"), shape("", &paragraph("", "box")), table]);
        let bytes = package(&[
            ("ppt/presentation.xml", PRESENTATION),
            ("ppt/_rels/presentation.xml.rels", RELATIONS),
            ("ppt/slides/slide2.xml", &first),
            ("ppt/slides/slide1.xml", &second),
            ("ppt/slides/_rels/slide2.xml.rels", SLIDE_RELATIONS),
            ("ppt/notesSlides/n.xml", &slide(&[shape("<p:ph type='body'/>", &paragraph("", "say this"))])),
        ]);
        let document = extract(&bytes, &Limits::default()).expect("pptx");
        assert_eq!(document.page_count, Some(2));
        assert_eq!(
            to_markdown(&document).text,
            "# First\n\n- one\n    - two\n\nNotes: say this\n\n# Second\n\nbox\n\n| h | i |\n| --- | --- |\n| 1 | 2 |"
        );
        assert_eq!(document.blocks.last().and_then(|placed| placed.page), Some(2));
    }

    #[test]
    fn slides_beyond_the_limit_are_left_out() {
        let bytes = package(&[
            ("ppt/presentation.xml", PRESENTATION),
            ("ppt/_rels/presentation.xml.rels", RELATIONS),
            ("ppt/slides/slide2.xml", &slide(&[shape("", &paragraph("", "kept"))])),
            ("ppt/slides/slide1.xml", &slide(&[shape("", &paragraph("", "left out"))])),
        ]);
        let limits = Limits { max_pages: 1, ..Limits::default() };
        let document = extract(&bytes, &limits).expect("pptx");
        assert!(document.truncated);
        assert_eq!(to_markdown(&document).text, "kept");
    }
}
