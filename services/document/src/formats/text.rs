//! Plain text of any encoding: paragraphs are separated by empty lines, form feeds by pages.

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE};

use super::sink::Sink;
use crate::error::DocError;
use crate::limits::Limits;
use crate::model::Document;

/// Bytes turned into text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decoded {
    /// The text, without byte order mark.
    pub text: String,
    /// The encoding's name as in the WHATWG Encoding Standard, such as `Shift_JIS`.
    pub encoding: &'static str,
    /// Whether bytes could not be decoded; each became U+FFFD.
    pub damaged: bool,
}

/// Decodes by byte order mark, else as `declared` (a label such as `latin1`), else as UTF-8 if it is valid,
/// else as UTF-16 if every other byte is mostly zero, else by statistics (chardetng).
pub fn decode(bytes: &[u8], declared: Option<&str>) -> Decoded {
    let declared = declared.and_then(|label| Encoding::for_label(label.trim().as_bytes()));
    let (encoding, skip) = match Encoding::for_bom(bytes) {
        Some(found) => found,
        None => match declared {
            // A file that claims another encoding and is valid UTF-8 with more than ASCII is UTF-8.
            Some(encoding) if bytes.is_ascii() || std::str::from_utf8(bytes).is_err() => (encoding, 0),
            _ => (guess(bytes), 0),
        },
    };
    let (text, damaged) = encoding.decode_without_bom_handling(bytes.get(skip..).unwrap_or_default());
    Decoded { text: text.into_owned(), encoding: encoding.name(), damaged }
}

/// How many bytes statistics look at.
const SAMPLE: usize = 256 << 10;

fn guess(bytes: &[u8]) -> &'static Encoding {
    let sample = bytes.get(..SAMPLE).unwrap_or(bytes);
    if let Some(encoding) = guess_utf16(sample) {
        return encoding;
    }
    if std::str::from_utf8(bytes).is_ok() && !looks_like_iso_2022(sample) {
        return UTF_8;
    }
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Allow);
    detector.feed(sample, sample.len() == bytes.len());
    detector.guess(None, Utf8Detection::Allow)
}

/// ISO-2022-JP is ASCII with escapes, so it is valid UTF-8 too.
fn looks_like_iso_2022(sample: &[u8]) -> bool {
    sample.windows(3).any(|bytes| bytes == b"\x1b$B" || bytes == b"\x1b$@")
}

fn guess_utf16(sample: &[u8]) -> Option<&'static Encoding> {
    let pairs = sample.len() / 2;
    if pairs < 2 {
        return None;
    }
    let zeros = |offset: usize| sample.iter().skip(offset).step_by(2).filter(|byte| **byte == 0).count();
    let (even, odd) = (zeros(0), zeros(1));
    match (even * 10 > pairs * 4, odd * 10 > pairs * 4) {
        (true, false) if odd * 20 < pairs => Some(UTF_16BE),
        (false, true) if even * 20 < pairs => Some(UTF_16LE),
        _ => None,
    }
}

/// Reads plain text.
///
/// # Errors
/// `Empty` for a file without bytes.
pub fn extract(bytes: &[u8], limits: &Limits) -> Result<Document, DocError> {
    if bytes.is_empty() {
        return Err(DocError::Empty);
    }
    let decoded = decode(bytes, None);
    let mut sink = Sink::new("text", limits);
    note_encoding(&mut sink, &decoded);
    let paged = decoded.text.trim_end().contains('\u{c}');
    for (index, page) in decoded.text.split('\u{c}').enumerate() {
        if paged && !sink.page(u32::try_from(index + 1).unwrap_or(u32::MAX)) {
            break;
        }
        paragraphs(page, &mut sink);
    }
    if paged {
        let pages = decoded.text.trim_end().matches('\u{c}').count() + 1;
        sink.page_count(u32::try_from(pages).unwrap_or(u32::MAX));
    }
    Ok(sink.finish())
}

/// Records the encoding, and warns where bytes could not be decoded.
pub fn note_encoding(sink: &mut Sink<'_>, decoded: &Decoded) {
    sink.meta("encoding", decoded.encoding);
    if decoded.damaged {
        sink.warn(&format!("some bytes are not valid {} and were replaced by U+FFFD", decoded.encoding));
    }
}

/// Splits text at empty lines into paragraphs and lists.
pub fn paragraphs(text: &str, sink: &mut Sink<'_>) {
    let mut lines: Vec<&str> = Vec::new();
    for line in text.lines().chain([""]) {
        if sink.is_full() {
            return;
        }
        if line.trim().is_empty() {
            block(&lines, sink);
            lines.clear();
        } else {
            lines.push(line);
        }
    }
    sink.close_list();
}

/// One paragraph, or a list where every line starts an item or is indented below one.
fn block(lines: &[&str], sink: &mut Sink<'_>) {
    let first = lines.first().and_then(|line| item(line));
    let is_list =
        first.is_some() && lines.iter().all(|line| item(line).is_some() || line.starts_with([' ', '\t']));
    if !is_list {
        sink.paragraph(&lines.join("\n"));
        return;
    }
    let margin = lines.iter().map(|line| indent(line)).min().unwrap_or(0);
    let mut open: Option<(usize, bool, String)> = None;
    for line in lines {
        match (item(line), &mut open) {
            (Some((ordered, text)), _) => {
                let next = ((indent(line) - margin) / 2, ordered, text.to_owned());
                if let Some((depth, ordered, text)) = open.replace(next) {
                    sink.item(depth, ordered, &text);
                }
            }
            (None, Some((_, _, text))) => {
                text.push(' ');
                text.push_str(line.trim());
            }
            (None, None) => {}
        }
    }
    if let Some((depth, ordered, text)) = open {
        sink.item(depth, ordered, &text);
    }
}

fn indent(line: &str) -> usize {
    line.chars().take_while(|c| c.is_whitespace()).map(|c| if c == '\t' { 4 } else { 1 }).sum()
}

/// Whether the line starts an item: if so whether it is numbered, and its text.
pub fn item(line: &str) -> Option<(bool, &str)> {
    let line = line.trim_start();
    for bullet in ["- ", "* ", "+ ", "• ", "◦ ", "▪ ", "‣ ", "· ", "– "] {
        if let Some(text) = line.strip_prefix(bullet) {
            return Some((false, text));
        }
    }
    let digits = line.bytes().take_while(u8::is_ascii_digit).count();
    let rest = line.get(digits..)?;
    let text = rest.strip_prefix(". ").or_else(|| rest.strip_prefix(") "))?;
    (1..=3).contains(&digits).then_some((true, text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::to_text;

    #[test]
    fn encodings_are_told_apart() {
        let german = "Über größere Flüsse führen schöne Brücken, für Fußgänger geöffnet.";
        let japanese = "これは日本語の文章です。文字コードを調べています。";
        let chinese = "这是一个用于测试编码检测的中文句子，请正确识别。";
        let cases = [
            (german, "windows-1252"),
            (german, "UTF-8"),
            (japanese, "Shift_JIS"),
            (japanese, "EUC-JP"),
            (japanese, "ISO-2022-JP"),
            (chinese, "GB18030"),
            ("Съешь же ещё этих мягких французских булок да выпей чаю.", "windows-1251"),
        ];
        for (text, label) in cases {
            let (bytes, _, _) = Encoding::for_label(label.as_bytes()).expect("known label").encode(text);
            let decoded = decode(&bytes, None);
            assert_eq!(decoded.text, text, "{label} was taken for {}", decoded.encoding);
            assert!(!decoded.damaged);
        }
    }

    #[test]
    fn utf16_is_read_with_and_without_a_mark() {
        for mark in ["", "\u{feff}"] {
            let text = format!("{mark}Hello, wide world");
            let little: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
            let big: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
            assert_eq!(decode(&little, None).text, "Hello, wide world");
            assert_eq!(decode(&big, None).text, "Hello, wide world");
        }
    }

    #[test]
    fn a_wrong_label_does_not_spoil_utf8() {
        assert_eq!(decode("Grüße".as_bytes(), Some("latin1")).text, "Grüße");
        assert_eq!(decode(b"Gr\xfc\xdfe", Some("latin1")).text, "Grüße");
    }

    #[test]
    fn paragraphs_lists_and_pages_are_found() {
        let text = "Title line\nsecond line\n\n- one\n  goes on\n  - inner\n- two\n\u{c}Page two\n";
        let document = extract(text.as_bytes(), &Limits::default()).expect("text");
        assert_eq!(document.page_count, Some(2));
        assert_eq!(
            to_text(&document).text,
            "Title line\nsecond line\n\n- one goes on\n  - inner\n- two\n\nPage two"
        );
        assert_eq!(document.blocks.last().and_then(|placed| placed.page), Some(2));
    }

    #[test]
    fn nothing_is_an_error() {
        assert_eq!(extract(b"", &Limits::default()), Err(DocError::Empty));
    }
}
