//! Separated values of any encoding: one table. The delimiter is found by how evenly it cuts the records.

use csv::{ReaderBuilder, StringRecord};

use super::sink::Sink;
use super::text::{decode, note_encoding};
use crate::error::DocError;
use crate::limits::Limits;
use crate::model::Document;

/// Delimiters that are tried, the likeliest first.
const DELIMITERS: [u8; 5] = [b',', b';', b'\t', b'|', b':'];

/// Bytes and records that the delimiter is judged by.
const SAMPLE_BYTES: usize = 64 << 10;
const SAMPLE_RECORDS: usize = 200;

/// Reads separated values.
///
/// # Errors
/// `Empty` for a file without bytes.
pub fn extract(bytes: &[u8], limits: &Limits) -> Result<Document, DocError> {
    if bytes.is_empty() {
        return Err(DocError::Empty);
    }
    let decoded = decode(bytes, None);
    let mut sink = Sink::new("csv", limits);
    note_encoding(&mut sink, &decoded);
    let (declared, text) = declared_delimiter(&decoded.text);
    let delimiter = declared.unwrap_or_else(|| sniff(text));
    sink.meta("delimiter", &char::from(delimiter).escape_default().to_string());
    let mut rows: Vec<Vec<String>> = Vec::new();
    let mut cells = 0_u64;
    for record in reader(text, delimiter).into_records() {
        let record = record.map_err(|error| DocError::corrupt("csv", error))?;
        cells += record.len() as u64;
        rows.push(record.iter().map(str::to_owned).collect());
        // The sink cuts what is too much; there is no need to read on for it.
        if cells > limits.max_cells {
            break;
        }
    }
    let header = has_header(&rows);
    sink.table(header, rows);
    Ok(sink.finish())
}

fn reader(text: &str, delimiter: u8) -> csv::Reader<&[u8]> {
    ReaderBuilder::new().delimiter(delimiter).has_headers(false).flexible(true).from_reader(text.as_bytes())
}

/// Excel's `sep=;` on the first line says the delimiter.
fn declared_delimiter(text: &str) -> (Option<u8>, &str) {
    let Some((first, rest)) = text.split_once('\n') else { return (None, text) };
    match first.trim_end().strip_prefix("sep=").map(str::as_bytes) {
        Some([delimiter]) if delimiter.is_ascii() => (Some(*delimiter), rest),
        _ => (None, text),
    }
}

/// The delimiter under which most records have the same number of fields, more fields being better evidence.
fn sniff(text: &str) -> u8 {
    let sample = &text[..text.floor_char_boundary(SAMPLE_BYTES)];
    let mut best = (0.0, b',');
    for delimiter in DELIMITERS {
        let score = evenness(sample, delimiter);
        if score > best.0 {
            best = (score, delimiter);
        }
    }
    best.1
}

fn evenness(sample: &str, delimiter: u8) -> f64 {
    let records: Vec<StringRecord> =
        reader(sample, delimiter).into_records().flatten().take(SAMPLE_RECORDS).collect();
    let mut counts: Vec<usize> = records.iter().map(StringRecord::len).collect();
    counts.sort_unstable();
    let Some(&median) = counts.get(counts.len() / 2) else { return 0.0 };
    if median < 2 {
        return 0.0;
    }
    let same = counts.iter().filter(|count| **count == median).count();
    // A square root: three fields by one delimiter beat thirty commas inside of sentences only if they fit better.
    let fit = same as f64 / counts.len() as f64;
    fit * fit * (median as f64).sqrt()
}

/// Whether the first row names the columns: every cell filled, all different, none a number or a date.
pub fn has_header(rows: &[Vec<String>]) -> bool {
    let Some((first, rest)) = rows.split_first() else { return false };
    let named = first.iter().all(|cell| !cell.trim().is_empty() && !is_value(cell));
    let mut seen = std::collections::HashSet::new();
    !rest.is_empty() && named && first.iter().all(|cell| seen.insert(cell.trim().to_lowercase()))
}

/// Whether a cell holds a number, a sum of money, a percentage, a date or a time rather than words.
pub fn is_value(cell: &str) -> bool {
    let cell = cell.trim();
    cell.bytes().any(|byte| byte.is_ascii_digit())
        && !cell.chars().any(|c| c.is_alphabetic() && !matches!(c, 'e' | 'E' | 'T' | 'Z'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::Block;

    fn table(bytes: &[u8]) -> (bool, Vec<Vec<String>>) {
        let document = extract(bytes, &Limits::default()).expect("csv");
        match document.blocks.into_iter().next().map(|placed| placed.block) {
            Some(Block::Table { header, rows }) => (header, rows),
            other => panic!("no table but {other:?}"),
        }
    }

    #[test]
    fn delimiters_quotes_and_headers() {
        let (header, rows) = table(b"name;note\nA;\"x; y\"\nB;1,5\n");
        assert!(header);
        assert_eq!(rows[1], ["A", "x; y"]);
        assert_eq!(rows[2], ["B", "1,5"]);
        assert_eq!(table(b"a\tb\n1\t2,5\n").1[1], ["1", "2,5"]);
        assert_eq!(table(b"sep=|\na,b|c\n").1[0], ["a,b", "c"]);
        assert!(!table(b"2024-01-01,3\n2024-01-02,4\n").0);
    }

    #[test]
    fn rows_may_differ_in_length_and_encoding_is_found() {
        let (_, rows) = table(
            "Stra\u{df}e,Ort,Land\nGr\u{fc}n,K\u{f6}ln\n"
                .chars()
                .map(|c| c as u8)
                .collect::<Vec<_>>()
                .as_slice(),
        );
        assert_eq!(rows[0], ["Straße", "Ort", "Land"]);
        assert_eq!(rows[1], ["Grün", "Köln"]);
    }

    proptest! {
        #[test]
        fn what_was_written_is_read_whatever_the_delimiter(
            cells in prop::collection::vec(prop::collection::vec("[a-z]{1,8}", 3), 2..20),
            delimiter in prop::sample::select(vec![b',', b';', b'\t', b'|']),
        ) {
            let mut writer = csv::WriterBuilder::new().delimiter(delimiter).from_writer(Vec::new());
            for row in &cells {
                writer.write_record(row).expect("in memory");
            }
            let (_, rows) = table(&writer.into_inner().expect("in memory"));
            prop_assert_eq!(rows, cells);
        }

        #[test]
        fn any_bytes_end_well(bytes in prop::collection::vec(any::<u8>(), 1..300)) {
            prop_assert!(extract(&bytes, &Limits::default()).is_ok());
        }
    }
}
