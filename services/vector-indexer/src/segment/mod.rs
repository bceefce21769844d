//! Parts of a collection that no longer grow, and their files.
//!
//! A segment is a folder with its number as its name: `rows`, `ids`, `uids`, `records`, and `graph` when there is one.
//! It is written aside, synced and renamed, and never changed but for the graph, which may come later. Which of its
//! rows are deleted stands in the manifest. A folder that the manifest does not name is worth nothing.

pub mod file;
pub mod ids;
pub mod manifest;
mod part;
pub mod stored;

use std::{
    fs, io,
    io::{Read, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use roaring::RoaringBitmap;

use self::{
    file::{Checked, Unread, Writer},
    ids::Ids,
    manifest::Entry,
    stored::{Record, RecordWriter, Stored},
};
use crate::{filter::Index, graph::Graph, space::Rows};

pub use part::{Part, Point};

const ROWS: [u8; 4] = *b"rows";
const IDS: [u8; 4] = *b"ids ";
const UIDS: [u8; 4] = *b"uids";
const RECORDS: [u8; 4] = *b"recs";
const GRAPH: [u8; 4] = *b"grph";

/// A part that no longer grows. A clone shares everything.
#[derive(Clone)]
pub struct Segment {
    /// Names its folder.
    pub number: u64,
    /// Its rows.
    pub part: Arc<Part>,
    /// Their metadata and texts.
    pub stored: Arc<Stored>,
    /// How its rows are searched; without one they are scanned.
    pub graph: Option<Arc<Graph>>,
}

impl Segment {
    /// Where a segment is.
    #[must_use]
    pub fn folder(folder: &Path, number: u64) -> PathBuf {
        folder.join(number.to_string())
    }

    /// Writes a segment; when this returns, its folder lasts. Gives the records as they are on disk.
    ///
    /// # Errors
    /// What the machine says. Then there is no such folder.
    pub fn save(
        folder: &Path,
        number: u64,
        part: &Part,
        graph: Option<&Graph>,
        records: impl Iterator<Item = io::Result<Record>>,
    ) -> io::Result<Stored> {
        let aside = folder.join(format!("tmp-{number}"));
        file::remove(&aside)?;
        fs::create_dir(&aside)?;
        written(&aside, "rows", ROWS, |to| part.rows.write(to))?;
        written(&aside, "ids", IDS, |to| part.ids.write(to))?;
        written(&aside, "uids", UIDS, |to| {
            part.uids.iter().try_for_each(|uid| to.write_all(&uid.to_le_bytes()))
        })?;
        let mut writer = RecordWriter::new(Writer::new(&aside.join("records"))?);
        for record in records {
            writer.push(&record?)?;
        }
        let (writer, ends) = writer.finish();
        writer.finish(RECORDS)?;
        if ends.len() != part.uids.len() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not as many records as rows"));
        }
        if let Some(graph) = graph {
            written(&aside, "graph", GRAPH, |to| graph.write(to))?;
        }
        file::sync_folder(&aside)?;
        let at = Self::folder(folder, number);
        file::remove(&at)?;
        fs::rename(&aside, &at)?;
        file::sync_folder(folder)?;
        Ok(Stored::Disk { file: fs::File::open(at.join("records"))?, ends })
    }

    /// Writes the graph of a segment that is there.
    ///
    /// # Errors
    /// What the machine says.
    pub fn save_graph(folder: &Path, number: u64, graph: &Graph) -> io::Result<()> {
        let at = Self::folder(folder, number);
        written(&at, "graph", GRAPH, |to| graph.write(to))?;
        file::sync_folder(&at)
    }

    /// Reads a segment. A graph that is damaged is left out: it can be built again.
    ///
    /// # Errors
    /// When a file is damaged, or does not fit the others, the manifest or the collection; or the machine refuses.
    pub fn load(folder: &Path, entry: &Entry, like: &Rows) -> Result<Self, Unread> {
        let at = Self::folder(folder, entry.number);
        let count = entry.rows as usize;
        let rows = read(&at, "rows", ROWS, |from| Rows::read(from, entry.rows))?;
        let alike = (rows.dimension(), rows.metric(), rows.precision());
        if rows.len() != entry.rows || alike != (like.dimension(), like.metric(), like.precision()) {
            return Err(Unread::damaged(&at, "its rows are of another collection"));
        }
        let ids = read(&at, "ids", IDS, |from| Ids::read(from, count))?;
        let uids = read(&at, "uids", UIDS, |from| read_uids(from, count))?;
        if uids.first().is_some_and(|uid| uid >> 16 < entry.first) {
            return Err(Unread::damaged(&at, "its rows are older than the manifest says"));
        }
        let mut filters = Index::new();
        let mut texts = RoaringBitmap::new();
        let path = at.join("records");
        let checked = Checked::open(&path, RECORDS)?;
        let mut ends = Vec::new();
        with(&path, &checked, |from| {
            ends = stored::read(from, count, |row, record| {
                filters.push(row, &record.metadata());
                if record.text().is_some() {
                    texts.insert(row);
                }
            })?;
            Ok(())
        })?;
        let stored = Arc::new(Stored::Disk { file: checked.into_file(), ends });
        let graph = match read(&at, "graph", GRAPH, |from| Graph::read(from, entry.rows)) {
            Ok(graph) => Some(Arc::new(graph)),
            Err(Unread::Damaged { .. }) => None,
            Err(why) => return Err(why),
        };
        let part = Arc::new(Part { rows, ids, uids, filters, texts });
        Ok(Self { number: entry.number, part, stored, graph })
    }

    /// How many rows it has, with the deleted ones.
    #[must_use]
    pub fn rows(&self) -> u32 {
        self.part.rows.len()
    }

    /// Whether its files are there.
    #[must_use]
    pub fn saved(&self) -> bool {
        matches!(*self.stored, Stored::Disk { .. })
    }

    /// As the manifest names it.
    #[must_use]
    pub fn entry(&self, deleted: Arc<RoaringBitmap>) -> Entry {
        let first = self.part.uids.first().map_or(0, |uid| uid >> 16);
        Entry { number: self.number, rows: self.rows(), first, deleted }
    }
}

fn written(
    at: &Path,
    name: &str,
    kind: [u8; 4],
    write: impl FnOnce(&mut Writer) -> io::Result<()>,
) -> io::Result<()> {
    let mut writer = Writer::new(&at.join(name))?;
    write(&mut writer)?;
    writer.finish(kind).map(drop)
}

type From<'a> = io::Take<io::BufReader<&'a fs::File>>;

fn read<T>(
    at: &Path,
    name: &str,
    kind: [u8; 4],
    read: impl FnOnce(&mut From<'_>) -> io::Result<T>,
) -> Result<T, Unread> {
    let path = at.join(name);
    with(&path, &Checked::open(&path, kind)?, read)
}

/// Reads a checked file, all of it.
fn with<T>(
    path: &Path,
    checked: &Checked,
    read: impl FnOnce(&mut From<'_>) -> io::Result<T>,
) -> Result<T, Unread> {
    let io = |why| Unread::from_io(path, why);
    let mut from = checked.read().map_err(io)?;
    let value = read(&mut from).map_err(io)?;
    if from.limit() > 0 { Err(Unread::damaged(path, "more is in it than should be")) } else { Ok(value) }
}

fn read_uids(from: &mut impl Read, rows: usize) -> io::Result<Vec<u64>> {
    let mut uids = Vec::new();
    for _ in 0..rows {
        let mut uid = [0; 8];
        from.read_exact(&mut uid)?;
        let uid = u64::from_le_bytes(uid);
        if uids.last().is_some_and(|last| *last >= uid) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the versions are not in their order"));
        }
        uids.push(uid);
    }
    Ok(uids)
}
