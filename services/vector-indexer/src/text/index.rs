//! An index of texts in a folder: changed in steps, seen after a commit.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use tantivy::directory::MmapDirectory;
use tantivy::indexer::{IndexWriterOptions, LogMergePolicy};
use tantivy::query::AllQuery;
use tantivy::schema::{FAST, Field, IndexRecordOption, Schema, TextFieldIndexing, TextOptions};
use tantivy::tokenizer::TextAnalyzer;
use tantivy::{Index, IndexReader, IndexWriter, ReloadPolicy, TantivyDocument, Term};

use super::TextError;
use super::guard;
use super::search::{Allowed, View};
use super::words::TextWords;

/// What is held in memory between commits, in bytes; a segment is written to disk beyond that.
const MEMORY: usize = 24 << 20;
/// A segment is merged to get rid of its deleted texts when they are so many of all.
const DELETED: f32 = 0.3;
const TOKENIZER: &str = "words";
const UID: &str = "uid";

/// The texts of a collection's points. All methods take a shared reference: searches go on during commits.
///
/// What was put or removed is seen, and survives a crash, after [`Texts::commit`]. What was not committed is lost with
/// the process, and [`Texts::sequence`] tells from where on it must be put again.
pub struct Texts {
    writer: Mutex<IndexWriter>,
    reader: IndexReader,
    view: RwLock<Arc<View>>,
    fields: Fields,
    sequence: AtomicU64,
    folder: PathBuf,
}

#[derive(Clone, Copy)]
struct Fields {
    id: Field,
    uid: Field,
    text: Field,
}

impl Texts {
    /// Opens the index in a folder, which is made if there is none. All files are read once and checked.
    ///
    /// # Errors
    /// [`TextError::Damaged`] for what is no whole index: the caller deletes the folder and builds it again.
    pub fn open(folder: impl AsRef<Path>) -> Result<Self, TextError> {
        let folder = folder.as_ref();
        fs::create_dir_all(folder).map_err(|error| TextError::Io(Arc::new(error)))?;
        guard::caught(|| Self::opened(folder))
    }

    fn opened(folder: &Path) -> Result<Self, TextError> {
        let (schema, fields) = schema();
        // tantivy would begin a new index there.
        if !folder.join("meta.json").try_exists()? && fs::read_dir(folder)?.next().is_some() {
            return Err(TextError::Damaged("there are files, and no meta.json".to_owned()));
        }
        let directory = MmapDirectory::open(folder).map_err(tantivy::TantivyError::from)?;
        let index = Index::open_or_create(directory, schema)?;
        index.tokenizers().register(TOKENIZER, TextAnalyzer::from(TextWords::default()));
        guard::check(&index)?;
        let sequence = guard::unsealed(index.load_metas()?.payload.as_deref())?;
        let options = IndexWriterOptions::builder();
        let options =
            options.num_worker_threads(1).num_merge_threads(1).memory_budget_per_thread(MEMORY).build();
        let writer: IndexWriter = index.writer_with_options(options)?;
        let mut merges = LogMergePolicy::default();
        merges.set_del_docs_ratio_before_merge(DELETED);
        writer.set_merge_policy(Box::new(merges));
        let reader = index.reader_builder().reload_policy(ReloadPolicy::Manual).try_into()?;
        let view = View::of(reader.searcher(), UID)?;
        Ok(Self {
            writer: Mutex::new(writer),
            reader,
            view: RwLock::new(Arc::new(view)),
            fields,
            sequence: AtomicU64::new(sequence),
            folder: folder.to_owned(),
        })
    }

    /// The sequence of the last commit, 0 before the first.
    pub fn sequence(&self) -> u64 {
        self.sequence.load(Ordering::Acquire)
    }

    /// A point has this text now and none that it had before.
    ///
    /// # Errors
    /// When the writer does not work any more (the disk is full): open the index again.
    pub fn put(&self, id: &str, uid: u64, text: &str) -> Result<(), TextError> {
        let mut document = TantivyDocument::new();
        document.add_text(self.fields.id, id);
        document.add_u64(self.fields.uid, uid);
        document.add_text(self.fields.text, text);
        let writer = self.writer();
        writer.delete_term(Term::from_field_text(self.fields.id, id));
        writer.add_document(document)?;
        Ok(())
    }

    /// A point has no text any more.
    ///
    /// # Errors
    /// As [`Texts::put`].
    pub fn remove(&self, id: &str) -> Result<(), TextError> {
        self.writer().delete_term(Term::from_field_text(self.fields.id, id));
        Ok(())
    }

    /// No point has a text any more.
    ///
    /// # Errors
    /// As [`Texts::put`].
    pub fn clear(&self) -> Result<(), TextError> {
        // Not `delete_all_documents`: that leaves what was put since the last commit, and sets the clock back.
        self.writer().delete_query(Box::new(AllQuery))?;
        Ok(())
    }

    /// Makes durable and visible what was done, up to a sequence.
    ///
    /// # Errors
    /// As [`Texts::put`]; the last commit is still there then.
    pub fn commit(&self, sequence: u64) -> Result<(), TextError> {
        let mut writer = self.writer();
        let mut commit = writer.prepare_commit()?;
        commit.set_payload(&guard::sealed(sequence));
        commit.commit()?;
        self.sequence.store(sequence, Ordering::Release);
        self.reader.reload()?;
        let view = Arc::new(View::of(self.reader.searcher(), UID)?);
        *self.view.write().unwrap_or_else(PoisonError::into_inner) = view;
        Ok(())
    }

    /// The best `k` texts for a question: BM25 score (larger is better) and uid, best first. Any text is a question;
    /// its words are joined by OR, and one without words finds nothing. At most 64 different words count.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn search(
        &self,
        question: &str,
        k: usize,
        allowed: Allowed<'_>,
    ) -> Result<Vec<(f32, u64)>, TextError> {
        let view = Arc::clone(&self.view.read().unwrap_or_else(PoisonError::into_inner));
        view.search(self.fields.text, question, k, allowed)
    }

    /// How much disk the index takes.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn bytes(&self) -> Result<u64, TextError> {
        let files = fs::read_dir(&self.folder)?;
        // A merge may delete a file between the listing and the look at it.
        Ok(files.flatten().filter_map(|file| file.metadata().ok()).map(|file| file.len()).sum())
    }

    fn writer(&self) -> MutexGuard<'_, IndexWriter> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ids are kept to be replaced, uids to be told, texts to be found. Nothing is stored: the texts are elsewhere.
fn schema() -> (Schema, Fields) {
    let indexing = |tokenizer| TextFieldIndexing::default().set_tokenizer(tokenizer);
    let ids = indexing("raw").set_index_option(IndexRecordOption::Basic).set_fieldnorms(false);
    let words = indexing(TOKENIZER).set_index_option(IndexRecordOption::WithFreqs);
    let mut schema = Schema::builder();
    let id = schema.add_text_field("id", TextOptions::default().set_indexing_options(ids));
    let uid = schema.add_u64_field(UID, FAST);
    let text = schema.add_text_field("text", TextOptions::default().set_indexing_options(words));
    (schema.build(), Fields { id, uid, text })
}
