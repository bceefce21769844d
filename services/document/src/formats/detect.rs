//! Tells a document's format by its content; names and declared types are never asked.
//!
//! Binary formats have signatures. Text formats do not: they are told by evidence, from the most to the least
//! specific - HTML, JSON, mail, separated values, Markdown - and what shows none of it is plain text.

use std::io::Cursor;

use super::{Kind, unsupported};
use crate::error::DocError;

/// How much of a text is looked at.
const HEAD: usize = 64 << 10;

/// The format of `bytes`.
///
/// # Errors
/// `Empty`, `Encrypted` (Office), `Corrupt` (a ZIP container that breaks off), `Unsupported`.
pub fn detect(bytes: &[u8]) -> Result<Kind, DocError> {
    if bytes.is_empty() {
        return Err(DocError::Empty);
    }
    // Readers accept a PDF whose header stands anywhere in its first kilobyte (PDF 1.7, implementation note 13).
    let head = &bytes[..bytes.len().min(1024)];
    if head.windows(5).any(|window| window == b"%PDF-") {
        return Ok(Kind::Pdf);
    }
    if bytes.starts_with(b"PK\x03\x04") || bytes.starts_with(b"PK\x05\x06") {
        return zip_kind(bytes);
    }
    if bytes.starts_with(b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1") {
        return compound_kind(bytes);
    }
    if let Some(found) = infer::get(bytes)
        && !matches!(found.mime_type(), "text/html" | "text/xml" | "text/x-shellscript")
        && found.mime_type() != "application/x-mach-binary"
    {
        return Err(unsupported(found.mime_type()));
    }
    let text = head_text(bytes).ok_or_else(|| unsupported("application/octet-stream"))?;
    text_kind(&text, bytes)
}

fn zip_kind(bytes: &[u8]) -> Result<Kind, DocError> {
    let archive = zip::ZipArchive::new(Cursor::new(bytes))
        .map_err(|error| DocError::corrupt("zip container", error))?;
    let has = |name: &str| archive.index_for_name(name).is_some();
    if has("word/document.xml") {
        Ok(Kind::Docx)
    } else if has("ppt/presentation.xml") {
        Ok(Kind::Pptx)
    } else if has("xl/workbook.xml") || has("xl/workbook.bin") {
        Ok(Kind::Xlsx)
    } else {
        let found = infer::get(bytes).map_or("application/zip", |found| found.mime_type());
        // Office files may name their main part otherwise; the signature still tells them.
        match found {
            "application/vnd.openxmlformats-officedocument.wordprocessingml.document" => Ok(Kind::Docx),
            "application/vnd.openxmlformats-officedocument.presentationml.presentation" => Ok(Kind::Pptx),
            "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet" => Ok(Kind::Xlsx),
            other => Err(unsupported(other)),
        }
    }
}

/// A compound file is an old Office document, of which workbooks are read, or the envelope of an encrypted new one.
fn compound_kind(bytes: &[u8]) -> Result<Kind, DocError> {
    let name = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    let has = |text: &str| {
        let wanted = name(text);
        bytes.windows(wanted.len()).any(|window| window == wanted)
    };
    if has("EncryptedPackage") {
        Err(DocError::Encrypted { format: "Office".into() })
    } else if has("__nameid_version1.0") {
        Err(unsupported("application/vnd.ms-outlook"))
    } else if has("WordDocument") {
        Err(unsupported("application/msword"))
    } else if has("PowerPoint Document") {
        Err(unsupported("application/vnd.ms-powerpoint"))
    } else if has("Workbook") || has("Book") {
        Ok(Kind::Xlsx)
    } else {
        Err(unsupported("application/x-ole-storage"))
    }
}

/// The first 64 KiB as text good enough to judge by, or `None` where the content is binary.
fn head_text(bytes: &[u8]) -> Option<String> {
    let head = &bytes[..bytes.len().min(HEAD)];
    if let Some((encoding, skip)) = encoding_rs::Encoding::for_bom(head) {
        return Some(encoding.decode_without_bom_handling(&head[skip..]).0.into_owned());
    }
    let zeros = |parity: usize| head.iter().skip(parity).step_by(2).filter(|byte| **byte == 0).count();
    let half = head.len() / 2;
    // Text of European scripts in UTF-16 without a mark has a zero in most pairs, always at the same place.
    if half >= 2 && zeros(1) * 10 >= half * 7 && zeros(0) * 20 <= half {
        return Some(encoding_rs::UTF_16LE.decode_without_bom_handling(head).0.into_owned());
    }
    if half >= 2 && zeros(0) * 10 >= half * 7 && zeros(1) * 20 <= half {
        return Some(encoding_rs::UTF_16BE.decode_without_bom_handling(head).0.into_owned());
    }
    // ESC is part of ISO-2022-JP; the rest of these never stands in text.
    let control = |byte: &u8| matches!(byte, 0..=8 | 14..=26 | 28..=31 | 127);
    let controls = head.iter().filter(|byte| control(byte)).count();
    (controls * 200 <= head.len() && !head.contains(&0)).then(|| String::from_utf8_lossy(head).into_owned())
}

fn text_kind(text: &str, bytes: &[u8]) -> Result<Kind, DocError> {
    let start = text.trim_start_matches('\u{feff}').trim_start();
    if is_html(start) {
        Ok(Kind::Html)
    } else if is_feed(start) {
        Ok(Kind::Feed)
    } else if start.starts_with("<?xml") {
        Err(unsupported("text/xml"))
    } else if is_json(start, bytes) {
        Ok(Kind::Json)
    } else if is_mail(start) {
        Ok(Kind::Eml)
    } else if is_separated(start) {
        Ok(Kind::Csv)
    } else if is_markdown(start) {
        Ok(Kind::Markdown)
    } else {
        Ok(Kind::Text)
    }
}

fn is_html(start: &str) -> bool {
    let mut rest = start;
    // What may stand before the first tag: an XML declaration and comments.
    loop {
        let end = if rest.starts_with("<!--") {
            rest.find("-->").map(|at| at + 3)
        } else if rest.starts_with("<?xml") {
            rest.find("?>").map(|at| at + 2)
        } else {
            None
        };
        match end {
            Some(end) => rest = rest[end..].trim_start(),
            None => break,
        }
    }
    let opening: String = rest.chars().take(16).collect::<String>().to_ascii_lowercase();
    if opening.starts_with("<!doctype html") {
        return true;
    }
    let Some(tag) = opening.strip_prefix('<') else { return false };
    let name: String = tag.chars().take_while(char::is_ascii_alphanumeric).collect();
    const TAGS: [&str; 24] = [
        "html", "head", "body", "title", "meta", "link", "script", "style", "div", "span", "p", "h1", "h2",
        "h3", "h4", "table", "ul", "ol", "a", "article", "section", "main", "nav", "br",
    ];
    TAGS.contains(&name.as_str())
}

/// RSS, Atom or RDF: its root element comes within the first kilobyte.
fn is_feed(start: &str) -> bool {
    let head = &start[..start.floor_char_boundary(1024)];
    start.starts_with('<') && (head.contains("<rss") || head.contains("<rdf:RDF") || head.contains("<feed"))
}

/// JSON must parse as a whole, or every one of at least two lines on its own; a bare scalar is plain text.
fn is_json(start: &str, bytes: &[u8]) -> bool {
    if !start.starts_with(['{', '[']) {
        return false;
    }
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    if bytes.len() > HEAD && start.len() < bytes.len() / 2 {
        return false;
    }
    let decoded;
    let body = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(_) if bytes.len() <= HEAD => start,
        Err(_) => {
            decoded = String::from_utf8_lossy(bytes);
            &decoded
        }
    };
    if serde_json::from_str::<serde::de::IgnoredAny>(body).is_ok() {
        return true;
    }
    let mut lines = body.lines().filter(|line| !line.trim().is_empty()).take(50).peekable();
    let single = |line: &str| serde_json::from_str::<serde::de::IgnoredAny>(line).is_ok();
    let first = lines.next().is_some_and(single);
    first && lines.peek().is_some() && lines.all(single)
}

/// At least two well-known header fields, and nothing but fields, before the first empty line.
fn is_mail(start: &str) -> bool {
    const KNOWN: [&str; 14] = [
        "from",
        "to",
        "cc",
        "subject",
        "date",
        "received",
        "message-id",
        "mime-version",
        "return-path",
        "delivered-to",
        "content-type",
        "reply-to",
        "sender",
        "x-mailer",
    ];
    let mut known = 0;
    let mut fields = 0;
    for line in start.lines() {
        if line.trim().is_empty() {
            break;
        }
        if line.starts_with([' ', '\t']) && fields > 0 {
            continue;
        }
        if fields == 0 && line.starts_with("From ") {
            continue;
        }
        let Some((name, _)) = line.split_once(':') else { return false };
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_graphic()) {
            return false;
        }
        fields += 1;
        known += usize::from(KNOWN.contains(&name.to_ascii_lowercase().as_str()));
    }
    known >= 2
}

/// One delimiter that splits every record into the same number of fields, two at least, over two records at least.
fn is_separated(start: &str) -> bool {
    // The last line of the head may be cut off.
    let whole =
        if start.len() >= HEAD / 2 { start.rsplit_once('\n').map_or(start, |(head, _)| head) } else { start };
    [',', '\t', ';', '|'].into_iter().any(|delimiter| {
        let counts = field_counts(whole, delimiter, 50);
        let Some(&first) = counts.first() else { return false };
        let same = counts.iter().filter(|count| **count == first).count();
        let prose = delimiter == ',' && first == 2 && counts.len() < 3;
        // A pipe at both ends is a Markdown table.
        let table = delimiter == '|' && whole.starts_with('|');
        first >= 2 && counts.len() >= 2 && same * 20 >= counts.len() * 19 && !prose && !table
    })
}

/// Fields of each of the first `limit` records, with quotes honoured.
fn field_counts(text: &str, delimiter: char, limit: usize) -> Vec<usize> {
    let mut counts = Vec::new();
    let (mut fields, mut quoted, mut any) = (1, false, false);
    for found in text.chars() {
        match found {
            '"' => quoted = !quoted,
            '\n' if !quoted => {
                if any {
                    counts.push(fields);
                }
                if counts.len() == limit {
                    return counts;
                }
                (fields, any) = (1, false);
            }
            found if found == delimiter && !quoted => {
                fields += 1;
                any = true;
            }
            found => any |= !found.is_whitespace(),
        }
    }
    if any && !quoted {
        counts.push(fields);
    }
    counts
}

/// Enough marks of Markdown: one unmistakable, or two different weaker ones.
fn is_markdown(start: &str) -> bool {
    let (mut strong, mut lists, mut links, mut emphasis, mut setext) = (0, 0, 0, 0, 0);
    let mut previous = "";
    let mut lines = 0;
    for line in start.lines().take(400) {
        lines += 1;
        let trimmed = line.trim_start();
        let hashes = trimmed.bytes().take_while(|byte| *byte == b'#').count();
        let heading = (1..=6).contains(&hashes) && trimmed[hashes..].starts_with(' ');
        // A comment in a script starts like a heading; its next line is code. Headings stand alone.
        strong += usize::from(heading && (hashes > 1 || previous.trim().is_empty()));
        strong += usize::from(trimmed.starts_with("```") || trimmed.starts_with("~~~"));
        strong += usize::from(is_table_rule(trimmed) && previous.contains('|'));
        lists += usize::from(["- ", "* ", "+ "].iter().any(|mark| trimmed.starts_with(mark)));
        links += usize::from(line.contains("](") && line.contains('['));
        emphasis += usize::from(line.matches("**").count() >= 2);
        let rule = trimmed.trim_end();
        let underline =
            rule.len() >= 3 && (rule.bytes().all(|b| b == b'=') || rule.bytes().all(|b| b == b'-'));
        setext += usize::from(underline && !previous.trim().is_empty());
        previous = line;
    }
    let weak = [lists >= 2, links >= 1, emphasis >= 1, setext >= 1];
    lines > 0 && (strong >= 1 && !start.starts_with("#!") || weak.iter().filter(|found| **found).count() >= 2)
}

fn is_table_rule(line: &str) -> bool {
    let line = line.trim();
    line.contains('|')
        && line.contains("--")
        && line.bytes().all(|byte| matches!(byte, b'|' | b'-' | b':' | b' '))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_formats_are_told_by_evidence() {
        let cases: [(&str, Kind); 18] = [
            ("<!DOCTYPE html><html></html>", Kind::Html),
            ("\n<!-- x --><HTML><body>", Kind::Html),
            ("<?xml version=\"1.0\"?>\n<!DOCTYPE html PUBLIC \"x\">", Kind::Html),
            ("{\"a\": [1, 2]}", Kind::Json),
            ("{\"a\":1}\n{\"a\":2}\n", Kind::Json),
            ("{not json} at all", Kind::Text),
            ("From: a@b.c\r\nTo: d@e.f\r\nSubject: x\r\n\r\nhello", Kind::Eml),
            ("From: here\nto there it goes", Kind::Text),
            ("a,b,c\n1,2,3\n4,5,6\n", Kind::Csv),
            ("a;b\n\"1;2\n3\";4\n5;6\n", Kind::Csv),
            ("name\tage\nx\t1\n", Kind::Csv),
            ("# Title\n\nSome text\n", Kind::Markdown),
            ("| a | b |\n|---|---|\n| 1 | 2 |\n", Kind::Markdown),
            ("See [this](http://x.y) and **that**.\n", Kind::Markdown),
            ("Just words, and more words.\nNothing, else, here.\n", Kind::Text),
            ("#!/bin/sh\n# a comment\necho\n", Kind::Text),
            ("42", Kind::Text),
            ("<?xml version=\"1.0\"?><rss version=\"2.0\"><channel/></rss>", Kind::Feed),
        ];
        for (text, kind) in cases {
            assert_eq!(detect(text.as_bytes()), Ok(kind), "{text:?}");
        }
    }

    #[test]
    fn text_in_other_encodings_is_text_and_binary_is_not() {
        let utf16: Vec<u8> = "Guten Tag, Welt".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(detect(&utf16), Ok(Kind::Text));
        assert_eq!(detect(b"caf\xe9 au lait"), Ok(Kind::Text));
        assert_eq!(detect(b"").unwrap_err().code(), "TL2100");
        let noise: Vec<u8> = (0..=255u8).cycle().take(999).collect();
        assert_eq!(detect(&noise).unwrap_err().code(), "TL2101");
        assert_eq!(detect(b"\x89PNG\r\n\x1a\n0000").unwrap_err().code(), "TL2101");
        assert_eq!(detect(b"PK\x03\x04broken").unwrap_err().code(), "TL2102");
    }
}
