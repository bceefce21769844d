//! A collection of the vector indexers, as the pipeline asks for it: what is there, what is put, what goes.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tasklane_runtime::contract::code;
use tasklane_runtime::telemetry::TraceContext;

use crate::error::{CliError, Exit};
use crate::work::Work;

/// The task about collections themselves.
pub const COLLECTIONS: &str = "vector_collections";
/// Points are put.
const INDEXING: &str = "vector_indexing";
/// Points are removed.
const DELETE: &str = "vector_delete";
/// Points are looked at.
const POINTS: &str = "vector_points";
/// Points are searched.
pub const SEARCH: &str = "vector_search";

/// Who keeps a collection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Backend {
    /// The vector indexers, in their memory
    Embedded,
    /// The qdrant that they are told of
    Qdrant,
}

impl Backend {
    /// As tasks have it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Embedded => "embedded",
            Self::Qdrant => "qdrant",
        }
    }
}

/// A collection, as `describe` tells it. Unknown fields are passed over.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(default)]
pub struct Described {
    /// Its name.
    pub collection: String,
    /// Numbers of a vector.
    pub dimension: usize,
    /// `cosine`, `dot` or `l2`.
    pub metric: String,
    /// `f32`, `f16` or `i8`.
    pub precision: String,
    /// `embedded` or `qdrant`; older services do not say, and mean the first.
    pub backend: String,
    /// How many there are.
    pub points: u64,
    /// The version of the data.
    pub sequence: u64,
    /// Its other names.
    pub aliases: Vec<String>,
}

/// Answer to `list`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Listed {
    /// All of them.
    pub collections: Vec<Described>,
}

/// A point. What was not asked for is absent.
#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Point {
    /// Its id.
    pub id: String,
    /// As numbers, or in base64; it is handed on as it came.
    #[serde(skip_serializing_if = "Value::is_null")]
    pub vector: Value,
    /// Its text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// What is known of it.
    pub metadata: Map<String, Value>,
}

/// Answer to `vector_points`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Points {
    points: Vec<Point>,
}

/// Answer to what changes a collection.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Changed {
    sequence: u64,
}

/// A collection by its name.
pub struct Collection<'w> {
    /// The way to the service.
    pub work: &'w Work<'w>,
    /// Its name.
    pub name: String,
    /// The latest of what was changed here.
    written: AtomicU64,
}

/// The collection of this name or alias; `None` where there is none.
///
/// # Errors
/// Nobody answers.
pub async fn find(work: &Work<'_>, name: &str) -> Result<Option<Described>, CliError> {
    let answer = work.ask(COLLECTIONS, &json!({"action": "list"}), None).await?;
    let listed: Listed = work.session.read(COLLECTIONS, &answer)?;
    let named = |one: &Described| one.collection == name || one.aliases.iter().any(|alias| alias == name);
    Ok(listed.collections.into_iter().find(named))
}

/// There is no collection of this name.
pub fn absent(name: &str) -> CliError {
    CliError::new(code::NOT_FOUND, Exit::Failed, format!("there is no collection `{name}`"))
        .remedy("`tasklane vectors list` shows what there is; `tasklane ingest` makes one")
}

impl Described {
    /// Who keeps it.
    pub fn backend(&self) -> &str {
        if self.backend.is_empty() { Backend::Embedded.word() } else { &self.backend }
    }

    /// Whether it may have points. How many are in qdrant is not known while that is away.
    pub fn may_be_filled(&self) -> bool {
        self.points > 0 || self.backend() == Backend::Qdrant.word()
    }
}

impl<'w> Collection<'w> {
    /// The collection of this name, whether it is there or not.
    pub fn new(work: &'w Work<'w>, name: &str) -> Self {
        Self { work, name: name.to_owned(), written: AtomicU64::new(0) }
    }

    /// Waits until what was changed here is found by its words, too, which takes a replica a moment longer.
    ///
    /// # Errors
    /// Nobody answers, or the replica stays behind.
    pub async fn settled(&self) -> Result<(), CliError> {
        let written = self.written.load(Ordering::Relaxed);
        if written == 0 {
            return Ok(());
        }
        let wanted =
            json!({"collection": self.name, "text": "a", "top_k": 1, "with": [], "min_sequence": written});
        self.work.ask_patiently(SEARCH, &wanted, None).await.map(drop)
    }

    /// Creates it.
    ///
    /// # Errors
    /// As it is refused.
    pub async fn create(&self, dimension: usize, backend: Option<Backend>) -> Result<(), CliError> {
        let mut wanted =
            json!({"action": "create", "collection": self.name, "dimension": dimension, "metric": "cosine"});
        if let Some(backend) = backend {
            wanted["backend"] = backend.word().into();
        }
        self.work.ask(COLLECTIONS, &wanted, None).await.map(drop)
    }

    /// The metadata of some point; `None` where there is none yet.
    ///
    /// # Errors
    /// Nobody answers.
    pub async fn sample(&self) -> Result<Option<Map<String, Value>>, CliError> {
        let wanted = json!({"collection": self.name, "limit": 1, "with": ["metadata"]});
        let found: Points = self.work.session.read(POINTS, &self.work.ask(POINTS, &wanted, None).await?)?;
        Ok(found.points.into_iter().next().map(|point| point.metadata))
    }

    /// Points by a filter, in the backend's order (of ids where it is embedded), after a given one. The answer is at least as new as `sequence`.
    ///
    /// # Errors
    /// Nobody answers, or the replicas stay behind.
    pub async fn points(
        &self,
        filter: &Value,
        (after, limit): (Option<&str>, usize),
        with: &[&str],
        sequence: u64,
        trace: Option<&TraceContext>,
    ) -> Result<Vec<Point>, CliError> {
        let mut wanted = json!({
            "collection": self.name, "filter": filter, "limit": limit, "with": with, "min_sequence": sequence
        });
        if let Some(after) = after {
            wanted["after"] = after.into();
        }
        let found = self.work.ask_patiently(POINTS, &wanted, trace).await?;
        Ok(self.work.session.read::<Points>(POINTS, &found)?.points)
    }

    /// Puts points; says which version of the collection has them.
    ///
    /// # Errors
    /// As the task failed.
    pub async fn put(&self, points: &[Value], trace: Option<&TraceContext>) -> Result<u64, CliError> {
        let payload = json!({"collection": self.name, "points": points});
        self.changed(INDEXING, &payload, trace).await
    }

    /// Removes what a filter selects.
    ///
    /// # Errors
    /// As the task failed.
    pub async fn remove(&self, filter: &Value, trace: Option<&TraceContext>) -> Result<u64, CliError> {
        self.changed(DELETE, &json!({"collection": self.name, "filter": filter}), trace).await
    }

    async fn changed(
        &self,
        task: &str,
        payload: &Value,
        trace: Option<&TraceContext>,
    ) -> Result<u64, CliError> {
        let changed: Changed =
            self.work.session.read(task, &self.work.submit(task, payload, trace).await?)?;
        self.written.fetch_max(changed.sequence, Ordering::Relaxed);
        Ok(changed.sequence)
    }
}
