//! One document from its file to the index. All its tasks are one trace.

use std::collections::{BTreeSet, HashMap};
use std::ops::Range;
use std::sync::{Arc, Mutex};

use futures::{StreamExt as _, TryStreamExt as _};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tasklane_runtime::contract::{code, id, streams};
use tasklane_runtime::telemetry::{Span, SpanKind, TraceContext};

use super::bars::Bars;
use super::file::{Seen, examine};
use super::plan::{self, Cut, Document, Recipe, Step};
use super::sources::Source;
use crate::collection::Collection;
use crate::deliver;
use crate::error::{CliError, Exit};

/// The document service's task.
pub const CHUNK: &str = "document_chunk";
/// The ml service's task.
pub const EMBED: &str = "embed_text";
/// Pieces of one document that are embedded at once.
const PIECES_AHEAD: usize = 4;

/// What documents have in common.
pub struct Pipeline<'w> {
    /// Where they go.
    pub collection: Collection<'w>,
    /// How.
    pub recipe: Recipe,
    /// How far it is.
    pub bars: Bars,
    /// One at a time works on an edition; and the version of the collection that has what was written of it.
    pub(super) editions: Mutex<HashMap<String, Arc<tokio::sync::Mutex<u64>>>>,
}

/// How a document ended that did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// It was there.
    Unchanged,
    /// Its content was there under another name, and it has its own now.
    Named,
    /// It was cut, embedded and indexed: so many chunks.
    Indexed(usize),
    /// There is no text in it.
    Empty,
}

/// Why a document failed, and where.
#[derive(Debug)]
pub struct Failure {
    /// The stage.
    pub stage: &'static str,
    /// Why.
    pub error: CliError,
    /// Of the document.
    pub trace_id: String,
}

#[derive(Debug, Deserialize)]
struct Embedded {
    vectors: Vec<String>,
}

/// An error and its stage.
pub(super) type Staged<T> = Result<T, (&'static str, CliError)>;

impl<'w> Pipeline<'w> {
    /// For a collection that is there.
    pub fn new(collection: Collection<'w>, recipe: Recipe, bars: Bars) -> Self {
        Self { collection, recipe, bars, editions: Mutex::default() }
    }

    /// Does what is missing for a document.
    ///
    /// # Errors
    /// The stage that failed; the others are not affected.
    pub async fn ingest(&self, source: &Source) -> Result<Ended, Failure> {
        let mut span = Span::start("ingest document", SpanKind::Internal, None);
        // Where this command sends no spans, the services' still are one trace.
        let trace = span.context().unwrap_or_else(fresh_trace);
        let ended = self.steps(source, &trace).await;
        self.bars.documents.inc(1);
        ended.map_err(|(stage, error)| {
            if let CliError::Told { code, message, .. } = &error {
                span.error(code.clone(), message);
            }
            Failure { stage, error, trace_id: trace.trace_id_hex() }
        })
    }

    async fn steps(&self, source: &Source, trace: &TraceContext) -> Staged<Ended> {
        let name = source.name.as_str();
        // Of a file the bytes say whether it is unchanged; an address has to be fetched and cut for that.
        let (sha256, document, cut) = match &source.file {
            Some(file) => {
                let (document, seen) = examine(file).await.map_err(at("read"))?;
                (document.sha256.clone(), Some((document, seen)), None)
            }
            None => {
                let cut = self.cut(name, trace).await?;
                (cut.sha256(), None, Some(cut))
            }
        };
        let edition = self.recipe.edition(&sha256);
        let lock = self.edition(&edition);
        let mut written = lock.lock().await;
        let there = self.look(&plan::question(name, &edition), &["metadata"], *written, trace).await?;
        let (mut step, others) = plan::step(&there, name, &edition);
        let mut names = vec![name.to_owned()];
        if let Step::Name(all) = &step {
            names.clone_from(all);
            let chunks = there.iter().find(|point| point.id == plan::point_id(&edition, 0));
            let chunks = chunks.and_then(|first| first.metadata.get("chunks")?.as_u64()).unwrap_or(0);
            if !self.rewrite(&edition, &names, Some(chunks), &mut written, trace).await? {
                step = Step::Index;
            }
        }
        let ended = match step {
            Step::Unchanged => Ended::Unchanged,
            Step::Name(_) => Ended::Named,
            Step::Index => {
                let cut = match (cut, document) {
                    (Some(cut), _) => cut,
                    (None, Some((document, seen))) => self.read(&document, seen, trace).await?,
                    (None, None) => Cut::default(),
                };
                let document = Document { names: &names, sha256: &sha256, edition: &edition, cut: &cut };
                self.index(&document, &mut written, trace).await?
            }
        };
        // What is new is there before what is old goes; and no two editions are held at once.
        drop(written);
        for other in others {
            self.leave(&other, name, trace).await?;
        }
        Ok(ended)
    }

    /// Uploads a file and has it cut.
    async fn read(&self, document: &deliver::Document, seen: Seen, trace: &TraceContext) -> Staged<Cut> {
        let bus = &self.collection.work.bus;
        deliver::upload(bus, document).await.map_err(at("upload"))?;
        if seen != Seen::of(&seen.0).map_err(at("upload"))? {
            // Its name says another content than it has.
            bus.remove_object(streams::DOCUMENTS, &document.name)
                .await
                .map_err(|e| ("upload", CliError::from(e)))?;
            let why = format!("{} changed while it was read; run it again", seen.0.display());
            return Err(("upload", CliError::new(code::BAD_REFERENCE, Exit::Failed, why)));
        }
        self.cut(&format!("obj://{}/{}", streams::DOCUMENTS, document.name), trace).await
    }

    async fn cut(&self, source: &str, trace: &TraceContext) -> Staged<Cut> {
        self.bars.cut.inc_length(1);
        let options = json!({
            "max_tokens": self.recipe.max_tokens,
            "overlap_tokens": self.recipe.overlap_tokens,
            "min_tokens": self.recipe.max_tokens.min(64),
        });
        let work = self.collection.work;
        let cut = work.submit(CHUNK, &json!({"source": source, "options": options}), Some(trace)).await;
        self.bars.cut.inc(1);
        work.session.read(CHUNK, &cut.map_err(at("cut"))?).map_err(at("cut"))
    }

    /// Embeds the chunks that are not there, and writes them; the first last.
    async fn index(&self, document: &Document<'_>, written: &mut u64, trace: &TraceContext) -> Staged<Ended> {
        let chunks = &document.cut.chunks;
        let mut pieces = plan::pieces(chunks);
        if pieces.len() > 1 {
            // A run that was killed may have written the most of it.
            let mine = json!({"edition": document.edition});
            let points = self.look(&mine, &["metadata"], *written, trace).await?;
            let there: BTreeSet<usize> = plan::there(&points, chunks.len(), document.names).collect();
            pieces = plan::missing(pieces, &there);
        }
        let todo: usize = pieces.iter().map(ExactSizeIterator::len).sum();
        self.bars.embed.inc_length(todo as u64);
        self.bars.index.inc_length(todo as u64);
        let embedded = futures::stream::iter(pieces).map(|piece| self.embed(document, piece, trace));
        let mut embedded = std::pin::pin!(embedded.buffered(PIECES_AHEAD));
        while let Some(points) = embedded.try_next().await? {
            *written = self.collection.put(&points, Some(trace)).await.map_err(at("index"))?;
            self.bars.index.inc(points.len() as u64);
        }
        Ok(if chunks.is_empty() { Ended::Empty } else { Ended::Indexed(chunks.len()) })
    }

    async fn embed(
        &self,
        document: &Document<'_>,
        piece: Range<usize>,
        trace: &TraceContext,
    ) -> Staged<Vec<Value>> {
        let texts: Vec<&str> = document.cut.chunks[piece.clone()].iter().map(|c| c.text.as_str()).collect();
        let payload =
            json!({"model": self.recipe.model, "input": texts, "truncate": "window", "encoding": "base64"});
        let work = self.collection.work;
        let answer = work.submit(EMBED, &payload, Some(trace)).await.map_err(at("embed"))?;
        let embedded: Embedded = work.session.read(EMBED, &answer).map_err(at("embed"))?;
        if embedded.vectors.len() != texts.len() {
            let why = format!("{} vectors came for {} chunks", embedded.vectors.len(), texts.len());
            return Err(("embed", CliError::new(code::UNREADABLE, Exit::Failed, why)));
        }
        self.bars.embed.inc(texts.len() as u64);
        let points = piece.zip(&embedded.vectors);
        Ok(points.map(|(chunk, vector)| document.point(&self.recipe, chunk, vector)).collect())
    }
}

/// Names the stage of an error.
pub(super) fn at(stage: &'static str) -> impl Fn(CliError) -> (&'static str, CliError) {
    move |e| (stage, e)
}

/// A place in a trace of its own.
fn fresh_trace() -> TraceContext {
    let hash = Sha256::digest(id::fresh());
    let (mut trace_id, mut span_id) = ([0; 16], [0; 8]);
    trace_id.copy_from_slice(&hash[..16]);
    span_id.copy_from_slice(&hash[16..24]);
    TraceContext { trace_id, span_id, sampled: true, state: String::new() }
}
