//! PDF, read with PDFium: its characters and their places are PDFium's, the layout is ours.
//!
//! A page goes through these rooms in turn: `glyphs` (characters to words), `lines` (words to fragments of lines),
//! `order` (fragments to columns in reading order), `table` (which lines of a column are a table), and, once every
//! page is there and the body's font is known, `structure` (headings, paragraphs, lists).

mod forms;
mod geometry;
mod glyphs;
pub mod library;
mod lines;
mod order;
mod structure;
mod table;

use pdfium_render::prelude::{
    PdfDocument, PdfDocumentMetadataTagType as Tag, PdfPage, PdfiumError, PdfiumInternalError,
};

use self::geometry::Rect;
use crate::error::DocError;
use crate::limits::Limits;
use crate::model::Document;

/// What a page's layout yields, in reading order.
#[derive(Debug)]
enum Piece {
    /// Lines of one column.
    Lines(Vec<lines::Line>),
    /// A table.
    Table(Vec<Vec<String>>),
}

/// Reads a PDF.
///
/// # Errors
/// `Encrypted` where a password is needed, `Corrupt` where PDFium cannot open it, `Empty` where it has no page,
/// `Unavailable` where the library is missing.
pub fn extract(bytes: &[u8], limits: &Limits) -> Result<Document, DocError> {
    let pdf =
        library::get()?.load_pdf_from_byte_slice(bytes, None).map_err(|error| open_error(&error, bytes))?;
    let mut document = Document::new("pdf");
    metadata(&pdf, &mut document);
    let count = u32::try_from(pdf.pages().len()).unwrap_or(0);
    if count == 0 {
        return Err(DocError::Empty);
    }
    document.page_count = Some(count);
    if count > limits.max_pages {
        let wanted = limits.max_pages;
        document.cut(format!("only the first {wanted} of {count} pages were read (`limits.max_pages`)"));
    }
    let is_form = pdf.form().is_some();
    let mut pages = Vec::new();
    let mut budget = limits.max_text_bytes;
    let mut without_text = 0;
    for number in 1..=count.min(limits.max_pages) {
        let index = i32::try_from(number - 1).unwrap_or(i32::MAX);
        let words = match pdf.pages().get(index).and_then(|page| read_page(&page, is_form)) {
            Ok(words) => words,
            Err(error) => {
                document.warnings.push(format!("page {number} cannot be read: {}", describe(&error)));
                continue;
            }
        };
        without_text += u32::from(words.is_empty());
        let bytes: u64 = words.iter().map(|word| word.text.len() as u64 + 1).sum();
        if bytes > budget {
            document
                .cut(format!("the text after page {} was left out (`limits.max_text_bytes`)", number - 1));
            break;
        }
        budget -= bytes;
        pages.push((number, lay_out(words)));
    }
    if without_text > 0 {
        document.warnings.push(format!("{without_text} pages hold no text; they may be scanned images"));
    }
    structure::assemble(pages, &mut document);
    Ok(document)
}

fn read_page(page: &PdfPage, is_form: bool) -> Result<Vec<glyphs::Word>, PdfiumError> {
    let everywhere = Rect { x0: f32::MIN, x1: f32::MAX, y0: f32::MIN, y1: f32::MAX };
    let visible = page.boundaries().bounding().map_or(everywhere, |shown| glyphs::downwards(&shown.bounds));
    let mut words = glyphs::read(&page.text()?, visible)?;
    if is_form {
        words.extend(forms::values(page));
    }
    Ok(words)
}

/// From a page's words to its pieces.
fn lay_out(words: Vec<glyphs::Word>) -> Vec<Piece> {
    let mut pieces = Vec::new();
    for direction in glyphs::by_direction(words) {
        for column in order::columns(lines::fragments(direction)) {
            pieces.extend(table::split(column));
        }
    }
    pieces
}

fn metadata(pdf: &PdfDocument, document: &mut Document) {
    const TAGS: [(Tag, &str); 8] = [
        (Tag::Title, "title"),
        (Tag::Author, "author"),
        (Tag::Subject, "subject"),
        (Tag::Keywords, "keywords"),
        (Tag::Creator, "creator"),
        (Tag::Producer, "producer"),
        (Tag::CreationDate, "created"),
        (Tag::ModificationDate, "modified"),
    ];
    for (tag, name) in TAGS {
        let Some(found) = pdf.metadata().get(tag) else { continue };
        let value = found.value().trim().to_owned();
        if value.is_empty() {
            continue;
        }
        let date = matches!(tag, Tag::CreationDate | Tag::ModificationDate);
        let value = if date { iso_date(&value).unwrap_or(value) } else { value };
        document.metadata.insert(name.to_owned(), value);
    }
}

/// `D:20240131120000+01'00'` (PDF 1.7, 7.9.4) as `2024-01-31T12:00:00+01:00`.
fn iso_date(pdf: &str) -> Option<String> {
    let rest = pdf.strip_prefix("D:").unwrap_or(pdf);
    let digits: String = rest.chars().take_while(char::is_ascii_digit).take(14).collect();
    if digits.len() < 4 {
        return None;
    }
    let part = |from: usize, default: &'static str| digits.get(from..from + 2).unwrap_or(default).to_owned();
    let date = format!("{}-{}-{}", digits.get(..4)?, part(4, "01"), part(6, "01"));
    let time = format!("{}:{}:{}", part(8, "00"), part(10, "00"), part(12, "00"));
    let zone: String =
        rest[digits.len()..].chars().filter(|c| c.is_ascii_digit() || "+-Z".contains(*c)).collect();
    let zone = match zone.len() {
        5 => format!("{}:{}", zone.get(..3)?, zone.get(3..)?),
        3 => format!("{zone}:00"),
        _ if zone.starts_with('Z') => "Z".to_owned(),
        _ => String::new(),
    };
    Some(format!("{date}T{time}{zone}"))
}

fn open_error(error: &PdfiumError, bytes: &[u8]) -> DocError {
    match error {
        PdfiumError::PdfiumLibraryInternalError(
            PdfiumInternalError::PasswordError | PdfiumInternalError::SecurityError,
        ) => DocError::Encrypted { format: "pdf".into() },
        other => {
            let tail = &bytes[bytes.len().saturating_sub(2048)..];
            let ended = tail.windows(5).any(|window| window == b"%%EOF");
            let hint = if ended { "" } else { ", and its end is missing" };
            DocError::corrupt("pdf", format!("{}{hint}", describe(other)))
        }
    }
}

fn describe(error: &PdfiumError) -> String {
    match error {
        PdfiumError::PdfiumLibraryInternalError(PdfiumInternalError::FormatError) => {
            "its structure cannot be read".into()
        }
        PdfiumError::PdfiumLibraryInternalError(PdfiumInternalError::PageError) => {
            "the page is damaged".into()
        }
        PdfiumError::PdfiumLibraryInternalError(_) => "the PDF library refuses it".into(),
        other => format!("{other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::iso_date;

    #[test]
    fn dates_become_iso() {
        let cases = [
            ("D:20240131120501+01'00'", Some("2024-01-31T12:05:01+01:00")),
            ("D:20240131120501Z", Some("2024-01-31T12:05:01Z")),
            ("D:2024", Some("2024-01-01T00:00:00")),
            ("yesterday", None),
        ];
        for (pdf, iso) in cases {
            assert_eq!(iso_date(pdf).as_deref(), iso, "{pdf}");
        }
    }
}
