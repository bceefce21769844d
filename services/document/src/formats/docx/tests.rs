//! Word documents made by hand, each part reduced to what its test is about.

use super::super::ooxml::tests::package;
use super::*;
use crate::render::to_markdown;

const ROOT: &str = r#"<Relationships><Relationship Id="r" Type="http://x/officeDocument" Target="word/document.xml"/></Relationships>"#;
const RELATIONS: &str = r#"<Relationships>
    <Relationship Id="1" Type="http://x/styles" Target="styles.xml"/>
    <Relationship Id="2" Type="http://x/numbering" Target="numbering.xml"/>
    <Relationship Id="3" Type="http://x/footnotes" Target="footnotes.xml"/></Relationships>"#;
const STYLES: &str = r#"<w:styles xmlns:w="w">
    <w:style w:type="paragraph" w:styleId="berschrift1"><w:name w:val="heading 1"/></w:style>
    <w:style w:type="paragraph" w:styleId="Mine"><w:name w:val="My own"/><w:basedOn w:val="berschrift1"/></w:style>
    <w:style w:type="paragraph" w:styleId="Deep"><w:name w:val="x"/><w:pPr><w:outlineLvl w:val="2"/></w:pPr></w:style>
    </w:styles>"#;
const NUMBERING: &str = r#"<w:numbering xmlns:w="w">
    <w:abstractNum w:abstractNumId="0"><w:lvl w:ilvl="0"><w:numFmt w:val="decimal"/></w:lvl>
    <w:lvl w:ilvl="1"><w:numFmt w:val="bullet"/></w:lvl></w:abstractNum>
    <w:num w:numId="5"><w:abstractNumId w:val="0"/></w:num></w:numbering>"#;
const FOOTNOTES: &str = r#"<w:footnotes xmlns:w="w"><w:footnote w:id="2"><w:p><w:r><w:t>the note</w:t></w:r></w:p></w:footnote></w:footnotes>"#;

fn read(body: &str) -> Document {
    let document = format!("<w:document xmlns:w=\"w\"><w:body>{body}</w:body></w:document>");
    let bytes = package(&[
        ("_rels/.rels", ROOT),
        ("word/document.xml", &document),
        ("word/_rels/document.xml.rels", RELATIONS),
        ("word/styles.xml", STYLES),
        ("word/numbering.xml", NUMBERING),
        ("word/footnotes.xml", FOOTNOTES),
        (
            "docProps/core.xml",
            "<c><dc:title xmlns:dc='d'>A &amp; B</dc:title><dc:creator>Me</dc:creator></c>",
        ),
    ]);
    extract(&bytes, &Limits::default()).expect("docx")
}

fn markdown(body: &str) -> String {
    to_markdown(&read(body)).text
}

fn paragraph(properties: &str, text: &str) -> String {
    format!("<w:p><w:pPr>{properties}</w:pPr><w:r><w:t xml:space=\"preserve\">{text}</w:t></w:r></w:p>")
}

#[test]
fn headings_are_told_by_style_whatever_its_id() {
    let body = [
        paragraph("<w:pStyle w:val=\"berschrift1\"/>", "One"),
        paragraph("<w:pStyle w:val=\"Mine\"/>", "Two"),
        paragraph("<w:pStyle w:val=\"Deep\"/>", "Three"),
        paragraph("<w:pStyle w:val=\"Mine\"/><w:outlineLvl w:val=\"9\"/>", "no heading"),
    ];
    assert_eq!(markdown(&body.concat()), "# One\n\n# Two\n\n### Three\n\nno heading");
}

#[test]
fn lists_are_told_by_numbering() {
    let item = |level: u32, text: &str| {
        paragraph(&format!("<w:numPr><w:ilvl w:val=\"{level}\"/><w:numId w:val=\"5\"/></w:numPr>"), text)
    };
    let none = paragraph("<w:numPr><w:numId w:val=\"0\"/></w:numPr>", "plain");
    assert_eq!(
        markdown(&[item(0, "a"), item(1, "b"), item(0, "c"), none].concat()),
        "1. a\n    - b\n2. c\n\nplain"
    );
}

#[test]
fn merged_cells_keep_their_columns() {
    let cell = |properties: &str, text: &str| {
        format!("<w:tc><w:tcPr>{properties}</w:tcPr>{}</w:tc>", paragraph("", text))
    };
    let rows = [
        [cell("<w:gridSpan w:val=\"2\"/>", "a"), cell("<w:vMerge w:val=\"restart\"/>", "b")].concat(),
        [cell("", "c"), cell("", "d"), cell("<w:vMerge/>", "")].concat(),
    ];
    let table: String = rows.iter().map(|row| format!("<w:tr>{row}</w:tr>")).collect();
    let table = format!("<w:tbl><w:tblPr><w:tblLook w:val=\"04A0\"/></w:tblPr>{table}</w:tbl>");
    assert_eq!(markdown(&table), "| a |  | b |\n| --- | --- | --- |\n| c | d |  |");
}

#[test]
fn notes_are_appended_and_deletions_dropped() {
    let body = "<w:p><w:r><w:t>Text</w:t></w:r><w:del><w:r><w:delText>gone</w:delText></w:r></w:del>\
        <w:r><w:footnoteReference w:id=\"2\"/></w:r><w:r><w:rPr><w:vanish/></w:rPr><w:t>hidden</w:t></w:r></w:p>";
    assert_eq!(markdown(body), "Text[1]\n\n[1] the note");
}

#[test]
fn pages_properties_and_text_boxes_are_read() {
    let body = "<w:p><w:r><w:t>one</w:t></w:r></w:p><w:p><w:r><w:lastRenderedPageBreak/><w:t>two</w:t>\
        <w:txbxContent><w:p><w:r><w:t>box</w:t></w:r></w:p></w:txbxContent></w:r></w:p>";
    let document = read(body);
    assert_eq!(document.page_count, Some(2));
    assert_eq!(document.metadata["title"], "A & B");
    let pages: Vec<_> = document.blocks.iter().map(|placed| placed.page).collect();
    assert_eq!(pages, [Some(1), Some(2), Some(2)]);
    assert_eq!(to_markdown(&document).text, "one\n\nbox\n\ntwo");
}

#[test]
fn a_broken_document_is_told() {
    assert_eq!(extract(b"PK\x03\x04", &Limits::default()).map_err(|error| error.code()), Err("TL2102"));
    let bytes = package(&[("word/document.xml", "<a><b></a>")]);
    assert_eq!(extract(&bytes, &Limits::default()).map_err(|error| error.code()), Err("TL2102"));
}
