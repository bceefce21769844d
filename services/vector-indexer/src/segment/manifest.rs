//! What of a collection's folder is live: which segments, which of their rows are deleted, and up to which sequence of
//! the log that is. Replacing this one file is what makes a change last.
//!
//! A length (4), so much JSON, then the deleted rows of each segment as roaring bitmaps, in the order of the JSON.

use std::{
    io::{self, Read, Write},
    path::Path,
    sync::Arc,
};

use roaring::RoaringBitmap;
use serde::{Deserialize, Serialize};

use super::file::{Checked, Unread, Writer};

const NAME: &str = "manifest";
const KIND: [u8; 4] = *b"mani";
const VERSION: u32 = 1;
const MOST_JSON: u32 = 16 << 20;

/// A collection as it is on disk.
#[derive(Clone, Debug, PartialEq)]
pub struct Manifest {
    /// What the collection is: with another identity nothing here may be used.
    pub identity: String,
    /// Every operation up to this one is in it, and none after.
    pub sequence: u64,
    /// After damage, the sequence up to which a replay passes through states that never were; else `sequence`.
    pub settled: u64,
    /// No segment had this number yet, nor one above.
    pub next: u64,
    /// Its segments.
    pub segments: Vec<Entry>,
}

/// A segment that is live.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Names its folder.
    pub number: u64,
    /// How many rows it has, with the deleted ones.
    pub rows: u32,
    /// The sequence of its oldest row.
    pub first: u64,
    /// Rows that are deleted at the manifest's sequence.
    pub deleted: Arc<RoaringBitmap>,
}

#[derive(Serialize, Deserialize)]
struct Written {
    version: u32,
    identity: String,
    sequence: u64,
    settled: u64,
    next: u64,
    segments: Vec<WrittenEntry>,
}

#[derive(Serialize, Deserialize)]
struct WrittenEntry {
    number: u64,
    rows: u32,
    first: u64,
    deleted: u64,
}

impl Manifest {
    /// Replaces the manifest of a folder; when this returns, it lasts.
    ///
    /// # Errors
    /// What the machine says. Then the one before is there, or this one.
    pub fn write(&self, folder: &Path) -> io::Result<()> {
        let entry = |entry: &Entry| WrittenEntry {
            number: entry.number,
            rows: entry.rows,
            first: entry.first,
            deleted: entry.deleted.serialized_size() as u64,
        };
        let json = serde_json::to_vec(&Written {
            version: VERSION,
            identity: self.identity.clone(),
            sequence: self.sequence,
            settled: self.settled,
            next: self.next,
            segments: self.segments.iter().map(entry).collect(),
        })?;
        let length = u32::try_from(json.len()).ok().filter(|length| *length <= MOST_JSON);
        let length =
            length.ok_or_else(|| io::Error::new(io::ErrorKind::FileTooLarge, "the manifest is too long"))?;
        let mut writer = Writer::new(&folder.join(NAME))?;
        writer.write_all(&length.to_le_bytes())?;
        writer.write_all(&json)?;
        for entry in &self.segments {
            entry.deleted.serialize_into(&mut writer)?;
        }
        writer.finish(KIND)?;
        super::file::sync_folder(folder)
    }

    /// Reads the manifest of a folder.
    ///
    /// # Errors
    /// When there is none or it is damaged, or the machine refuses.
    pub fn read(folder: &Path) -> Result<Self, Unread> {
        let path = folder.join(NAME);
        let checked = Checked::open(&path, KIND)?;
        let mut from = checked.read().map_err(|why| Unread::from_io(&path, why))?;
        Self::parse(&mut from).map_err(|why| Unread::from_io(&path, why))
    }

    fn parse(from: &mut impl Read) -> io::Result<Self> {
        let bad = |why| io::Error::new(io::ErrorKind::InvalidData, why);
        let mut length = [0; 4];
        from.read_exact(&mut length)?;
        let length = u32::from_le_bytes(length);
        if length > MOST_JSON {
            return Err(bad("it is too long"));
        }
        let mut json = Vec::new();
        from.by_ref().take(u64::from(length)).read_to_end(&mut json)?;
        let written: Written = serde_json::from_slice(&json)?;
        if written.version != VERSION {
            return Err(bad("another version wrote it"));
        }
        let mut segments = Vec::new();
        for entry in &written.segments {
            let mut bytes = Vec::new();
            from.by_ref().take(entry.deleted).read_to_end(&mut bytes)?;
            let deleted = RoaringBitmap::deserialize_from(bytes.as_slice())?;
            if entry.number >= written.next || deleted.max().is_some_and(|row| row >= entry.rows) {
                return Err(bad("it contradicts itself"));
            }
            let &WrittenEntry { number, rows, first, .. } = entry;
            segments.push(Entry { number, rows, first, deleted: deleted.into() });
        }
        let Written { identity, sequence, settled, next, .. } = written;
        Ok(Self { identity, sequence, settled, next, segments })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn sample() -> Manifest {
        let entry =
            |number, deleted: RoaringBitmap| Entry { number, rows: 100, first: 3, deleted: deleted.into() };
        let segments = vec![entry(1, RoaringBitmap::new()), entry(4, (10..60).collect())];
        Manifest { identity: "docs 1".into(), sequence: 77, settled: 77, next: 5, segments }
    }

    #[test]
    fn what_was_written_is_read() {
        let folder = tempfile::tempdir().unwrap();
        sample().write(folder.path()).unwrap();
        assert_eq!(Manifest::read(folder.path()).unwrap(), sample());
        let mut newer = sample();
        newer.segments.remove(0);
        newer.write(folder.path()).unwrap();
        assert_eq!(Manifest::read(folder.path()).unwrap(), newer);
    }

    #[test]
    fn damage_is_seen_everywhere() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(Manifest::read(folder.path()), Err(Unread::Damaged { .. })));
        sample().write(folder.path()).unwrap();
        let path = folder.path().join(NAME);
        let whole = fs::read(&path).unwrap();
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x10;
            fs::write(&path, &bytes).unwrap();
            assert!(Manifest::read(folder.path()).is_err());
            fs::write(&path, &whole[..at]).unwrap();
            assert!(Manifest::read(folder.path()).is_err());
            assert!(
                Manifest::parse(&mut bytes.as_slice()).is_err() || at >= 4,
                "never a panic without a checksum either"
            );
        }
    }
}
