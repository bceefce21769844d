//! What is to be done for a document, given what the collection has of it. Pure.
//!
//! An *edition* is one content, cut and embedded in one way. Its points are `<edition>-<n>`, and their metadata says whose
//! they are (`source`: a name, or a list where several documents have the same content). The first chunk is written
//! last, and so an edition is complete when its first chunk is there: no file beside the collection says so.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use serde::Deserialize;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use crate::collection::Point;

/// The most chunks of a piece, which is one task for the model and one for the index.
pub const PIECE_CHUNKS: usize = 64;
/// The most bytes of text of a piece, but for a single chunk that has more: a task goes as one message.
const PIECE_BYTES: usize = 256 << 10;
/// The most names of one content. Further documents with it are found to be there, and not named.
pub const MAX_NAMES: usize = 64;
/// Metadata that is ours to write.
pub const OURS: [&str; 10] =
    ["source", "title", "page", "heading", "chunk", "chunks", "sha256", "model", "edition", "format"];

/// How documents are cut and embedded. Where it changes, all chunks do.
#[derive(Debug, Clone)]
pub struct Recipe {
    /// The full name of the model.
    pub model: String,
    /// The most tokens of a chunk.
    pub max_tokens: u32,
    /// How many of them repeat the end of the one before.
    pub overlap_tokens: u32,
    /// What the user says of all documents.
    pub meta: BTreeMap<String, Value>,
}

/// A document that was cut, as the document service answers.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Cut {
    format: String,
    metadata: BTreeMap<String, String>,
    /// In order.
    pub chunks: Vec<Chunk>,
}

/// A chunk.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(default)]
pub struct Chunk {
    /// What is embedded and found.
    pub text: String,
    heading_path: Vec<String>,
    page_from: Option<u32>,
}

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing: it is there, under this name.
    Unchanged,
    /// The content is there under other names; it gets this list.
    Name(Vec<String>),
    /// It is not there, or not whole.
    Index,
}

/// What is to be done with an edition that a document does not have any more.
#[derive(Debug, PartialEq, Eq)]
pub enum Old {
    /// Nobody else has it.
    Remove,
    /// Others have it; they stay in this list.
    Rename(Vec<String>),
}

impl Recipe {
    /// The edition of a content: 16 hexadecimal digits.
    pub fn edition(&self, sha256: &str) -> String {
        // As JSON, so that no two recipes are written alike.
        let all = json!([sha256, self.model, self.max_tokens, self.overlap_tokens, self.meta]);
        hex(&Sha256::digest(all.to_string().as_bytes())[..8])
    }
}

impl Cut {
    /// The checksum of what was read, where the bytes themselves are elsewhere.
    pub fn sha256(&self) -> String {
        let mut hash = Sha256::new();
        for chunk in &self.chunks {
            hash.update((chunk.text.len() as u64).to_le_bytes());
            hash.update(chunk.text.as_bytes());
        }
        hex(&hash.finalize())
    }

    /// What the document calls itself, else its first heading, else the last part of its name.
    pub fn title(&self, source: &str) -> String {
        let said = self.metadata.get("title").map(|title| title.trim()).filter(|title| !title.is_empty());
        let heading = || self.chunks.first().and_then(|chunk| chunk.heading_path.first()).map(String::as_str);
        let name = || source.trim_end_matches('/').rsplit('/').next().unwrap_or(source);
        said.or_else(heading).unwrap_or_else(name).chars().take(300).collect()
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The id of an edition's chunk.
pub fn point_id(edition: &str, chunk: usize) -> String {
    format!("{edition}-{chunk}")
}

/// Which points to look at for a document: its edition's first chunk, and all of its name in other editions.
pub fn question(source: &str, edition: &str) -> Value {
    json!({"$or": [{"edition": edition, "chunk": 0}, {"source": source, "edition": {"$ne": edition}}]})
}

/// What is to be done, given the points that [`question`] selects; and which other editions have the document's name.
pub fn step(points: &[Point], source: &str, edition: &str) -> (Step, BTreeSet<String>) {
    let own = point_id(edition, 0);
    let step = match points.iter().find(|point| point.id == own).map(|first| names(&first.metadata)) {
        None => Step::Index,
        Some(names) if names.iter().any(|name| name == source) || names.len() >= MAX_NAMES => Step::Unchanged,
        Some(mut names) => {
            names.push(source.to_owned());
            Step::Name(names)
        }
    };
    let others = points.iter().filter_map(|point| point.metadata.get("edition")?.as_str());
    (step, others.filter(|other| *other != edition).map(str::to_owned).collect())
}

/// What is to be done with an edition that a document had, given its first chunk or, where that is not there, another.
/// That some other chunk has the document's name is enough for it: a run may have been killed between the two.
pub fn old(point: &Point, source: &str) -> Old {
    let mut names = names(&point.metadata);
    names.retain(|name| name != source);
    if names.is_empty() { Old::Remove } else { Old::Rename(names) }
}

/// Whose a point is.
pub fn names(metadata: &Map<String, Value>) -> Vec<String> {
    match metadata.get("source") {
        Some(Value::String(one)) => vec![one.clone()],
        Some(Value::Array(many)) => many.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    }
}

/// Names as metadata has them.
pub fn named(names: &[String]) -> Value {
    match names {
        [one] => one.as_str().into(),
        many => many.into(),
    }
}

/// The chunks in pieces, in the order in which they are written: the first chunk's last.
pub fn pieces(chunks: &[Chunk]) -> Vec<Range<usize>> {
    let mut pieces = Vec::new();
    let (mut start, mut bytes) = (0, 0);
    for (at, chunk) in chunks.iter().enumerate() {
        if at > start && (at - start == PIECE_CHUNKS || bytes + chunk.text.len() > PIECE_BYTES) {
            pieces.push(start..at);
            (start, bytes) = (at, 0);
        }
        bytes += chunk.text.len();
    }
    if start < chunks.len() {
        pieces.push(start..chunks.len());
    }
    if !pieces.is_empty() {
        pieces.rotate_left(1);
    }
    pieces
}

/// The pieces that are not there wholly, of a document of which so many chunks were written before.
pub fn missing(pieces: Vec<Range<usize>>, there: &BTreeSet<usize>) -> Vec<Range<usize>> {
    pieces.into_iter().filter(|piece| !piece.clone().all(|chunk| there.contains(&chunk))).collect()
}

/// Which chunks are there as they would be written: of as many, and with these names.
pub fn there(points: &[Point], chunks: usize, whose: &[String]) -> impl Iterator<Item = usize> {
    let number = |point: &Point, key: &str| usize::try_from(point.metadata.get(key)?.as_u64()?).ok();
    points
        .iter()
        .filter(move |point| number(point, "chunks") == Some(chunks) && names(&point.metadata) == whose)
        .filter_map(move |point| number(point, "chunk"))
}

/// A document whose points are written.
#[derive(Debug)]
pub struct Document<'d> {
    /// Whose it is.
    pub names: &'d [String],
    /// Of its content.
    pub sha256: &'d str,
    /// As the recipe has it.
    pub edition: &'d str,
    /// Its chunks.
    pub cut: &'d Cut,
}

impl Document<'_> {
    /// A chunk as a point.
    pub fn point(&self, recipe: &Recipe, chunk: usize, vector: &str) -> Value {
        let own = &self.cut.chunks[chunk];
        let mut metadata: Map<String, Value> = recipe.meta.clone().into_iter().collect();
        let mut set = |key: &str, value: Value| metadata.insert(key.to_owned(), value);
        let first = self.names.first().map_or("", String::as_str);
        set("source", named(self.names));
        set("title", self.cut.title(first).into());
        set("format", self.cut.format.as_str().into());
        set("chunk", chunk.into());
        set("chunks", self.cut.chunks.len().into());
        set("sha256", self.sha256.into());
        set("model", recipe.model.as_str().into());
        set("edition", self.edition.into());
        if let Some(page) = own.page_from {
            set("page", page.into());
        }
        if !own.heading_path.is_empty() {
            set("heading", own.heading_path.join(" > ").chars().take(500).collect::<String>().into());
        }
        json!({"id": point_id(self.edition, chunk), "vector": vector, "text": own.text, "metadata": metadata})
    }
}

/// The model by which a collection is asked or filled: the one that it was filled by, if that is what is wanted.
///
/// # Errors
/// Both, where they differ.
pub fn model(wanted: Option<&str>, there: Option<&str>) -> Result<Option<String>, (String, String)> {
    match (wanted, there) {
        (None, there) => Ok(there.map(str::to_owned)),
        (Some(wanted), None) => Ok(Some(wanted.to_owned())),
        // `minilm` is meant where `minilm@1` filled it, even when there is a newer one.
        (Some(wanted), Some(there)) if wanted == there || there.split('@').next() == Some(wanted) => {
            Ok(Some(there.to_owned()))
        }
        (Some(wanted), Some(there)) => Err((wanted.to_owned(), there.to_owned())),
    }
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
