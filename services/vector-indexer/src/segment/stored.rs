//! What is only read to be shown: each row's metadata and text, in memory while a part is young, then in a file.
//!
//! A record is: whether there is a text (1 byte), the metadata's length (4), the metadata as JSON, the text.
//! The file is all records one after another, each after its length (4); where they begin is learnt when the file is
//! read for its checksum anyway.

use std::{
    fs::File,
    io::{self, Read, Write},
    os::unix::fs::FileExt,
    sync::Arc,
};

use serde_json::{Map, Value};

use crate::ops::{MOST_METADATA, MOST_TEXT};

/// One row's record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record(Arc<[u8]>);

const HEAD: usize = 5;
/// Metadata may come out a little longer than it came in: numbers and escapes are written in one form.
const MOST: usize = HEAD + 4 * MOST_METADATA + MOST_TEXT;

impl Record {
    /// Of metadata and text.
    #[must_use]
    pub fn new(metadata: &Map<String, Value>, text: Option<&str>) -> Self {
        // A map of JSON values is always JSON; were it not, no metadata are better than no point.
        let metadata = serde_json::to_vec(metadata).unwrap_or_else(|_| b"{}".to_vec());
        let text_bytes = text.unwrap_or_default().as_bytes();
        let mut bytes = Vec::with_capacity(HEAD + metadata.len() + text_bytes.len());
        bytes.push(u8::from(text.is_some()));
        bytes.extend_from_slice(&(metadata.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&metadata);
        bytes.extend_from_slice(text_bytes);
        Self(bytes.into())
    }

    fn read(bytes: Vec<u8>) -> io::Result<Self> {
        let record = Self(bytes.into());
        let whole = record.parts().is_some_and(|(_, _, text)| std::str::from_utf8(text).is_ok());
        if whole { Ok(record) } else { Err(bad("a record is none")) }
    }

    fn parts(&self) -> Option<(bool, &[u8], &[u8])> {
        let (head, rest) = self.0.split_first_chunk::<HEAD>()?;
        let [has, length @ ..] = head;
        let (metadata, text) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        Some((*has == 1, metadata, text))
    }

    /// Its metadata.
    #[must_use]
    pub fn metadata(&self) -> Map<String, Value> {
        self.parts().and_then(|(_, metadata, _)| serde_json::from_slice(metadata).ok()).unwrap_or_default()
    }

    /// Its text.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        let (has, _, text) = self.parts()?;
        if has { std::str::from_utf8(text).ok() } else { None }
    }

    /// Memory it takes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.0.len() as u64 + 32
    }
}

fn bad(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

/// The records of a part's rows.
pub enum Stored {
    /// Of a part that is not on disk yet.
    Memory(Vec<Record>),
    /// In a checked file.
    Disk {
        /// Where they are.
        file: File,
        /// Where each ends, its length before it included.
        ends: Vec<u64>,
    },
}

impl Default for Stored {
    fn default() -> Self {
        Self::Memory(Vec::new())
    }
}

impl Stored {
    /// A row's record.
    ///
    /// # Errors
    /// What the machine says, or that the file was altered since it was opened.
    pub fn get(&self, row: u32) -> io::Result<Record> {
        let row = row as usize;
        match self {
            Self::Memory(records) => records.get(row).cloned().ok_or_else(|| bad("there is no such row")),
            Self::Disk { file, ends } => {
                let from = row.checked_sub(1).and_then(|before| ends.get(before)).copied().unwrap_or(0);
                let to = ends.get(row).copied().ok_or_else(|| bad("there is no such row"))?;
                let length =
                    usize::try_from(to.saturating_sub(from + 4)).map_err(|_| bad("a record is too long"))?;
                let mut bytes = vec![0; length];
                file.read_exact_at(&mut bytes, from + 4)?;
                Record::read(bytes)
            }
        }
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Memory(records) => records.len(),
            Self::Disk { ends, .. } => ends.len(),
        }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Memory for what is not in the records themselves.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        match self {
            Self::Memory(records) => records.iter().map(Record::bytes).sum(),
            Self::Disk { ends, .. } => ends.capacity() as u64 * 8,
        }
    }
}

/// Writes records and remembers where they end.
pub struct RecordWriter<W> {
    to: W,
    at: u64,
    ends: Vec<u64>,
}

impl<W: Write> RecordWriter<W> {
    /// Writes to `to`.
    pub fn new(to: W) -> Self {
        Self { to, at: 0, ends: Vec::new() }
    }

    /// Writes the next row's record.
    ///
    /// # Errors
    /// What the writer says.
    pub fn push(&mut self, record: &Record) -> io::Result<()> {
        self.to.write_all(&(record.0.len() as u32).to_le_bytes())?;
        self.to.write_all(&record.0)?;
        self.at += 4 + record.0.len() as u64;
        self.ends.push(self.at);
        Ok(())
    }

    /// What it wrote to, and where the records end.
    pub fn finish(self) -> (W, Vec<u64>) {
        (self.to, self.ends)
    }
}

/// Reads `rows` records, and gives each to `each` with its row.
///
/// # Errors
/// When there are fewer, or something is no record.
pub fn read(from: &mut impl Read, rows: usize, mut each: impl FnMut(u32, &Record)) -> io::Result<Vec<u64>> {
    let mut ends = Vec::new();
    let mut at = 0;
    for row in 0..rows as u32 {
        let mut length = [0; 4];
        from.read_exact(&mut length)?;
        let length = u32::from_le_bytes(length) as usize;
        if !(HEAD..=MOST).contains(&length) {
            return Err(bad("a record's length is none"));
        }
        let mut bytes = vec![0; length];
        from.read_exact(&mut bytes)?;
        at += 4 + length as u64;
        ends.push(at);
        each(row, &Record::read(bytes)?);
    }
    Ok(ends)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn what_was_put_in_comes_out() {
        let Value::Object(metadata) = json!({"a": 1, "b": ["x", null]}) else { panic!("an object") };
        let records = [
            Record::new(&metadata, Some("Wörter")),
            Record::new(&Map::new(), None),
            Record::new(&Map::new(), Some("")),
        ];
        assert_eq!((records[0].metadata(), records[0].text()), (metadata, Some("Wörter")));
        assert_eq!((records[1].metadata(), records[1].text()), (Map::new(), None));
        assert_eq!(records[2].text(), Some(""));
        let mut writer = RecordWriter::new(Vec::new());
        records.iter().for_each(|record| writer.push(record).unwrap());
        let (bytes, ends) = writer.finish();
        let mut seen = Vec::new();
        let read_ends =
            read(&mut bytes.as_slice(), 3, |row, record| seen.push((row, record.clone()))).unwrap();
        assert_eq!(read_ends, ends);
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&bytes).unwrap();
        let disk = Stored::Disk { file, ends };
        for (row, record) in seen {
            assert_eq!(disk.get(row).unwrap(), record);
            assert_eq!(record, records[row as usize]);
        }
        assert!(disk.get(3).is_err());
    }

    proptest! {
        #[test]
        fn bytes_of_anybody_do_no_harm(bytes in proptest::collection::vec(any::<u8>(), 0..60), rows in 0_usize..5) {
            let mut seen = 0;
            let each = |_, record: &Record| seen += record.metadata().len() + record.text().map_or(1, str::len);
            let whole = read(&mut bytes.as_slice(), rows, each).is_ok_and(|ends| ends.len() == rows);
            prop_assert!(rows > 0 || (whole && seen == 0));
        }
    }
}
