//! The shelf: the collections that are open in this process. What is on it follows the catalogue: a collection that is new
//! there is opened, one that is gone is closed and its folder removed.
//!
//! A collection whose files here are older than its snapshot is made anew from the snapshot, for the log between the two
//! may be gone. Only the follower does that, since what it has read of the log has to be read again.

mod entry;
mod folders;
mod place;
mod watch;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tasklane_runtime::bus::Bus;
use tasklane_runtime::contract::streams::VECTORS;
use tokio::sync::{Mutex, Notify};

pub use entry::Entry;
pub use folders::Folders;
pub use place::{Place, Remote};
pub use watch::watch;

use crate::catalogue::{All, Catalogue, Record};
use crate::collection::Collection;
use crate::error::VectorError;
use crate::snapshots;

/// How often it is looked whether nobody uses a closed collection any more.
const LOOK: Duration = Duration::from_millis(20);

/// What the operator chose for collections.
#[derive(Debug, Clone, Copy)]
pub struct Choices {
    /// Points that are scanned before they become a segment.
    pub growing_rows: u32,
    /// Threads of one graph's building; 0: as the collection thinks best.
    pub threads: usize,
}

/// See the head of this room. Clones share it.
#[derive(Clone)]
pub struct Shelf(Arc<Inner>);

struct Inner {
    bus: Bus,
    catalogue: Catalogue,
    folders: Folders,
    choices: Choices,
    known: RwLock<All>,
    open: RwLock<HashMap<String, Arc<Entry>>>,
    /// Why a collection is not open, by id.
    away: RwLock<HashMap<String, String>>,
    /// Who changes what is open.
    turn: Mutex<()>,
    changed: Notify,
}

/// Whether what is here may be replaced by a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Import {
    /// Only where nothing is here.
    Missing,
    /// Also where it is older. Who asks for it reads the log again from [`Shelf::applied`] on.
    Older,
}

impl Shelf {
    /// An empty shelf over a folder that no other process uses.
    ///
    /// # Errors
    /// Where the folder cannot be used, or another process uses it.
    pub fn new(
        bus: Bus,
        catalogue: Catalogue,
        folder: PathBuf,
        choices: Choices,
    ) -> Result<Self, VectorError> {
        Ok(Self(Arc::new(Inner {
            bus,
            catalogue,
            folders: Folders::take(folder)?,
            choices,
            known: RwLock::default(),
            open: RwLock::default(),
            away: RwLock::default(),
            turn: Mutex::default(),
            changed: Notify::new(),
        })))
    }

    /// The catalogue.
    pub fn catalogue(&self) -> &Catalogue {
        &self.0.catalogue
    }

    /// The connection.
    pub fn bus(&self) -> &Bus {
        &self.0.bus
    }

    /// Where files may lie for a moment.
    pub fn folders(&self) -> &Folders {
        &self.0.folders
    }

    /// The catalogue as it was last read.
    pub fn known(&self) -> All {
        self.0.known.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// An open collection by its id.
    pub fn by_id(&self, id: &str) -> Option<Arc<Entry>> {
        self.0.open.read().unwrap_or_else(PoisonError::into_inner).get(id).cloned()
    }

    /// All open collections.
    pub fn entries(&self) -> Vec<Arc<Entry>> {
        self.0.open.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// What every open collection has applied; nothing where there is none.
    pub fn applied(&self) -> Option<u64> {
        self.entries().iter().map(|entry| entry.collection.sequence()).min()
    }

    /// What the open collection that is farthest has applied.
    pub fn highest_applied(&self) -> u64 {
        self.entries().iter().map(|entry| entry.collection.sequence()).max().unwrap_or(0)
    }

    /// Wakes when something was opened or closed.
    pub async fn changed(&self) {
        self.0.changed.notified().await;
    }

    /// Reads the catalogue, and opens and closes what it says. Says whether a collection that was open is another now.
    ///
    /// # Errors
    /// Where the catalogue cannot be read. A collection that cannot be opened is told, and tried again the next time.
    pub async fn settle(&self, import: Import) -> Result<bool, VectorError> {
        let _turn = self.0.turn.lock().await;
        let all = self.catalogue().all().await?;
        *self.0.known.write().unwrap_or_else(PoisonError::into_inner) = all.clone();
        for entry in self.entries() {
            if !all.collections.values().any(|record| record.id == entry.record.id) {
                tracing::info!(collection = %entry.name, id = %entry.record.id, "a collection is gone");
                self.close(&entry.record.id, true);
            }
        }
        let mut replaced = false;
        // What is in qdrant is not opened here, and has no folder.
        let ours = all.collections.iter().filter(|(_, record)| record.settings.backend.is_embedded());
        for (name, record) in ours {
            let here = self.by_id(&record.id);
            if let Some(entry) = &here {
                let is_older = record.base.as_ref().is_some_and(|b| b.sequence > entry.collection.sequence());
                if import == Import::Missing || !is_older {
                    entry.set_base(record.base.as_ref());
                    continue;
                }
                tracing::info!(collection = %name, "its log went on without us; it is made anew from its snapshot");
            }
            replaced |= self.replace(name, record, here).await;
        }
        Ok(replaced)
    }

    /// Opens a collection, in the place of what is open of it. Says whether something was replaced.
    async fn replace(&self, name: &str, record: &Record, here: Option<Arc<Entry>>) -> bool {
        match self.open(name, record, here.is_some()).await {
            Ok(entry) => {
                let replaced = here.is_some();
                drop(here);
                self.close(&record.id, false);
                self.put(entry);
                replaced
            }
            Err(e) => {
                tracing::error!(collection = %name, id = %record.id, "a collection cannot be opened now: {e}");
                let mut away = self.0.away.write().unwrap_or_else(PoisonError::into_inner);
                away.insert(record.id.clone(), e.to_string());
                drop(away);
                // What it has is not followed by what comes next in the log: nothing is better than that.
                drop(here);
                self.close(&record.id, true);
                false
            }
        }
    }

    /// The log ends at `last`: collections that have applied more are made anew from their snapshots. A log that lost its
    /// end, or was restored from a backup, numbers what comes next as what is gone.
    pub async fn go_back(&self, last: u64) {
        let _turn = self.0.turn.lock().await;
        for entry in self.entries().into_iter().filter(|entry| entry.collection.sequence() > last) {
            let (name, record, is) = (entry.name.clone(), entry.record.clone(), entry.collection.sequence());
            tracing::error!(collection = %name, applied = is, log = last,
                "the log has gone back: what it does not have is lost, and the collection is made anew");
            self.replace(&name, &record, Some(entry)).await;
        }
    }

    /// The highest sequence that a snapshot of some collection has.
    pub fn highest_base(&self) -> u64 {
        let known = self.0.known.read().unwrap_or_else(PoisonError::into_inner);
        known
            .collections
            .values()
            .filter_map(|record| Some(record.base.as_ref()?.sequence))
            .max()
            .unwrap_or(0)
    }

    fn put(&self, entry: Entry) {
        let id = entry.record.id.clone();
        self.0.away.write().unwrap_or_else(PoisonError::into_inner).remove(&id);
        self.0.open.write().unwrap_or_else(PoisonError::into_inner).insert(id, Arc::new(entry));
        self.0.changed.notify_waiters();
    }

    async fn open(&self, name: &str, record: &Record, anew: bool) -> Result<Entry, VectorError> {
        let folders = &self.0.folders;
        let config = self.config(record);
        let base = record.base.as_ref().map_or(0, |base| base.sequence);
        let mut folder = folders.latest(&record.id)?;
        if anew || (folder.is_none() && base > 0) {
            folder = None;
        }
        let mut opened = match folder {
            Some(folder) => Some(open_at(folder.clone(), config.clone()).await?),
            None if base == 0 => Some(open_at(folders.next(&record.id)?, config.clone()).await?),
            None => None,
        };
        if let Some((collection, folder)) = opened.take_if(|(collection, _)| collection.sequence() < base) {
            close_at(collection, folder).await;
        }
        let (collection, folder) = match (opened, &record.base) {
            (Some(opened), _) => opened,
            (None, Some(base)) => {
                let folder = folders.next(&record.id)?;
                snapshots::fetch(self.bus(), folders, base, &folder).await?;
                open_at(folder, config).await?
            }
            (None, None) => return Err(VectorError::Internal("nothing to open".to_owned())),
        };
        if collection.sequence() < base {
            let is = collection.sequence();
            close_at(collection, folder).await;
            let text = format!("its snapshot says {base} and has {is}");
            return Err(VectorError::Internal(text));
        }
        if collection.sequence() < record.since {
            // A log that has gone back numbers its messages anew from there.
            let since = record.since.min(self.bus().stream_load(VECTORS).await?.last);
            collection.pass(since).map_err(|e| VectorError::of(name, e))?;
        }
        tracing::info!(collection = %name, id = %record.id, sequence = collection.sequence(), "open");
        Ok(Entry::new(name, record.clone(), collection, folder))
    }

    fn config(&self, record: &Record) -> crate::collection::Config {
        let mut config = record.config();
        config.growing_rows = self.0.choices.growing_rows;
        if self.0.choices.threads > 0 {
            config.threads = self.0.choices.threads;
        }
        config
    }

    /// Closes a collection, when nobody uses it any more, and removes its folder.
    fn close(&self, id: &str, told: bool) {
        let gone = self.0.open.write().unwrap_or_else(PoisonError::into_inner).remove(id);
        let Some(entry) = gone else { return };
        entry.closed.cancel();
        if told {
            self.0.changed.notify_waiters();
        }
        tokio::spawn(async move {
            let mut entry = entry;
            loop {
                match Arc::try_unwrap(entry) {
                    Ok(last) => return close_at(last.collection, last.folder).await,
                    Err(shared) => entry = shared,
                }
                tokio::time::sleep(LOOK).await;
            }
        });
    }

    /// Removes folders of collections that are not open.
    ///
    /// # Errors
    /// Where the catalogue was never read, so that nobody knows.
    pub fn sweep(&self) -> Result<(), VectorError> {
        let known = self.known();
        self.0.folders.keep_only(&|id| known.collections.values().any(|record| record.id == id))
    }
}

async fn open_at(
    folder: PathBuf,
    config: crate::collection::Config,
) -> Result<(Collection, PathBuf), VectorError> {
    let opened = tokio::task::spawn_blocking(move || {
        Collection::open(&folder, config).map(|collection| (collection, folder))
    });
    opened.await?.map_err(|e| VectorError::Internal(e.to_string()))
}

/// Closes a collection and removes its folder.
async fn close_at(collection: Collection, folder: PathBuf) {
    let closed = tokio::task::spawn_blocking(move || {
        drop(collection);
        if let Err(e) = std::fs::remove_dir_all(&folder) {
            tracing::warn!(folder = %folder.display(), "a folder cannot be removed: {e}");
        }
    });
    if let Err(e) = closed.await {
        tracing::error!("closing a collection failed: {e}");
    }
}
