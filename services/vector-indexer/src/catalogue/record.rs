//! What the catalogue's values say, and what names they go by.

use serde::{Deserialize, Serialize};

use crate::collection::Config;
use crate::error::VectorError;
use crate::graph::Params;
use crate::ops::MOST_DIMENSION;
use crate::space::{Metric, Precision};

/// How many earlier collections' snapshots a restored one knows.
pub const MOST_LINEAGE: usize = 4;

/// Who keeps a collection's points.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Backend {
    /// Every vector indexer, in its memory.
    #[default]
    Embedded,
    /// A qdrant that the operator runs.
    Qdrant,
}

impl Backend {
    /// Whether it is the usual one, which records do not name.
    pub fn is_embedded(&self) -> bool {
        *self == Self::Embedded
    }
}

/// What a collection was created with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// Numbers of a vector.
    pub dimension: usize,
    /// What near means.
    pub metric: Metric,
    /// What is kept beside the codes.
    pub precision: Precision,
    /// How graphs are built.
    pub graph: Params,
    /// Who keeps its points.
    #[serde(default, skip_serializing_if = "Backend::is_embedded")]
    pub backend: Backend,
}

/// A collection, as the catalogue has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Its log is `vectors.<id>`. Never used again.
    pub id: String,
    /// What its files say whose they are: its first id, also after it was restored from a snapshot.
    pub identity: String,
    /// What it was created with.
    #[serde(flatten)]
    pub settings: Settings,
    /// Its log has nothing up to this sequence.
    pub since: u64,
    /// Where a new replica begins.
    pub base: Option<Base>,
    /// Ids that it had before it was restored, whose snapshots are still its own.
    #[serde(default)]
    pub lineage: Vec<String>,
}

/// A snapshot in the object store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Base {
    /// The object's name.
    pub object: String,
    /// What is in it.
    pub sequence: u64,
    /// How large it is.
    pub bytes: u64,
    /// When it was taken, in milliseconds since 1970.
    pub taken_at_ms: i64,
}

/// Another name of a collection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alias {
    /// The collection's name.
    pub collection: String,
}

/// A replica takes a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taking {
    /// Which one.
    pub worker: String,
    /// Until when it may; after that another may. In milliseconds since 1970.
    pub until_ms: i64,
}

impl Settings {
    /// Finds settings that cannot be.
    ///
    /// # Errors
    /// What is out of bounds.
    pub fn check(&self) -> Result<(), VectorError> {
        for (what, is, least, most) in [
            ("dimension", self.dimension, 1, MOST_DIMENSION),
            ("graph.m", self.graph.m as usize, 2, 128),
            ("graph.ef_construction", self.graph.ef_construction as usize, 8, 2_048),
        ] {
            if !(least..=most).contains(&is) {
                return Err(VectorError::BadInput(format!("{what}: {is} is none of {least} to {most}")));
            }
        }
        Ok(())
    }

    /// What is different in others, in words; nothing where nothing is.
    pub fn difference(&self, other: &Self) -> Option<String> {
        let pairs: [(&str, String, String); 6] = [
            ("dimension", self.dimension.to_string(), other.dimension.to_string()),
            ("metric", word(&self.metric), word(&other.metric)),
            ("precision", word(&self.precision), word(&other.precision)),
            ("graph.m", self.graph.m.to_string(), other.graph.m.to_string()),
            (
                "graph.ef_construction",
                self.graph.ef_construction.to_string(),
                other.graph.ef_construction.to_string(),
            ),
            ("backend", word(&self.backend), word(&other.backend)),
        ];
        let different: Vec<String> = pairs
            .into_iter()
            .filter(|(_, is, wanted)| is != wanted)
            .map(|(what, is, wanted)| format!("its {what} is {is}, not {wanted}"))
            .collect();
        (!different.is_empty()).then(|| different.join("; "))
    }
}

/// A metric or a precision, as the wire has it.
fn word(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        Ok(other) => other.to_string(),
        Err(_) => String::new(),
    }
}

impl Record {
    /// A new collection, whose log begins after `since`.
    pub fn new(settings: Settings, since: u64) -> Self {
        let id = new_id();
        Self { identity: id.clone(), id, settings, since, base: None, lineage: Vec::new() }
    }

    /// The configuration of its files.
    pub fn config(&self) -> Config {
        let Settings { dimension, metric, precision, graph, backend: _ } = self.settings;
        Config { graph, ..Config::new(&self.identity, dimension, metric, precision) }
    }

    /// The ids whose snapshots are its own.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.id.as_str()).chain(self.lineage.iter().map(String::as_str))
    }
}

/// An id that nobody had: 12 hexadecimal digits.
pub fn new_id() -> String {
    uuid::Uuid::now_v7().simple().to_string().split_off(20)
}

/// Whether a text can be the name of a collection or an alias.
///
/// # Errors
/// What is wrong with it.
pub fn check_name(name: &str) -> Result<(), VectorError> {
    let is_first = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let fits = (1..=63).contains(&name.len())
        && name.starts_with(is_first)
        && name.chars().all(|c| is_first(c) || matches!(c, '-' | '_'));
    if fits {
        return Ok(());
    }
    let shown: String = name.chars().take(64).collect();
    Err(VectorError::BadInput(format!(
        "{shown:?} is no name of a collection: 1 to 63 of a-z, 0-9, - and _, and the first a letter or a digit"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Settings {
        Settings {
            dimension: 4,
            metric: Metric::Cosine,
            precision: Precision::F16,
            graph: Params::default(),
            backend: Backend::Embedded,
        }
    }

    #[test]
    fn names() {
        for name in ["a", "docs-2_b", "0x", &"a".repeat(63)] {
            assert!(check_name(name).is_ok(), "{name}");
        }
        for name in ["", "-a", "_a", "A", "a.b", "a b", "a*", "ä", &"a".repeat(64)] {
            assert!(check_name(name).is_err(), "{name}");
        }
    }

    #[test]
    fn differences_are_named() {
        let other = Settings { dimension: 5, metric: Metric::L2, ..settings() };
        let said = settings().difference(&other).unwrap();
        assert_eq!(said, "its dimension is 4, not 5; its metric is cosine, not l2");
        assert_eq!(settings().difference(&settings()), None);
        let other = Settings { backend: Backend::Qdrant, ..settings() };
        assert_eq!(settings().difference(&other).unwrap(), "its backend is embedded, not qdrant");
    }

    #[test]
    fn a_record_comes_back_as_it_was_written() {
        let mut record = Record::new(settings(), 7);
        record.base = Some(Base { object: "x/9".into(), sequence: 9, bytes: 1, taken_at_ms: 2 });
        let text = serde_json::to_string(&record).unwrap();
        assert_eq!(serde_json::from_str::<Record>(&text).unwrap(), record);
        assert!(!text.contains("backend"), "records of before are written as they were: {text}");
        record.settings.backend = Backend::Qdrant;
        let text = serde_json::to_string(&record).unwrap();
        assert!(text.contains(r#""backend":"qdrant""#), "{text}");
        assert_eq!(serde_json::from_str::<Record>(&text).unwrap(), record);
        assert!(record.id.len() == 12 && record.id != Record::new(settings(), 7).id);
    }
}
