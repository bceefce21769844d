//! Snapshots: a collection as one object in the store, from which a replica begins, and which lets go of the log before it.
//!
//! Taking: a consistent copy of the collection's files as a tar in the object store, then the catalogue's record names it
//! as where to begin, and only then the log up to it is removed. A crash in between leaves an object or some log too much,
//! never too little.

mod archive;
mod store;

use std::time::Duration;

use tasklane_runtime::contract::streams::{COLLECTIONS, VECTORS};
use tokio_util::sync::CancellationToken;

pub use store::fetch;

use crate::catalogue::{Base, MOST_LINEAGE, Record, Taking};
use crate::config::SnapshotsConfig;
use crate::error::VectorError;
use crate::log;
use crate::shelf::{Entry, Import, Shelf};

/// A replica that takes a snapshot and is heard of no more is in nobody's way after this.
const LEASE: Duration = Duration::from_secs(3600);
/// How long after the catalogue names a snapshot its log is removed: the servers of a cluster may lag a moment.
const GRACE: Duration = Duration::from_secs(5);
/// How often it is looked whether a snapshot is due.
const LOOK: Duration = Duration::from_secs(10);
/// Changes of the same record by others that are outlived.
const TRIES: usize = 8;

/// A snapshot that can be restored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Its name, `<id>/<sequence>`.
    pub name: String,
    /// What is in it.
    pub sequence: u64,
    /// How large it is.
    pub bytes: u64,
    /// When it was taken, in milliseconds since 1970.
    pub taken_at_ms: i64,
}

/// What takes, lists and restores snapshots. Clones share it.
#[derive(Clone)]
pub struct Snapshots {
    shelf: Shelf,
    worker: String,
    config: SnapshotsConfig,
}

fn now_ms() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_millis()).unwrap_or(i64::MAX)
}

impl Snapshots {
    /// In the name of a worker.
    pub fn new(shelf: Shelf, worker: String, config: SnapshotsConfig) -> Self {
        Self { shelf, worker, config }
    }

    /// Takes a snapshot of what is applied here. Where nothing was since the last one, that one is it.
    ///
    /// # Errors
    /// Another replica takes one, NATS or the disk refuses.
    pub async fn take(&self, entry: &std::sync::Arc<Entry>) -> Result<Snapshot, VectorError> {
        let id = &entry.record.id;
        let until_ms = now_ms() + i64::try_from(LEASE.as_millis()).unwrap_or(i64::MAX);
        let taking = Taking { worker: self.worker.clone(), until_ms };
        let catalogue = self.shelf.catalogue();
        let Some(lease) = catalogue.begin_taking(id, &taking, now_ms()).await? else {
            return Err(VectorError::Busy(format!("a snapshot of `{}` is being taken already", entry.name)));
        };
        let taken = self.take_alone(entry).await;
        catalogue.end_taking(id, lease).await?;
        taken
    }

    async fn take_alone(&self, entry: &std::sync::Arc<Entry>) -> Result<Snapshot, VectorError> {
        let aside = self.shelf.folders().aside()?;
        let (copy, file) = (aside.path().join("copy"), aside.path().join("copy.tar"));
        let packed = file.clone();
        let (sequence, bytes) = entry
            .aside(move |entry| {
                let exported = entry.collection.export(&copy);
                let sequence = exported.map_err(|e| VectorError::of(&entry.name, e))?;
                Ok((sequence, archive::pack(&copy, &packed)?))
            })
            .await?;
        let name = format!("{}/{sequence}", entry.record.id);
        let base = Base { object: name.clone(), sequence, bytes, taken_at_ms: now_ms() };
        if let Some(known) = &self.record(entry).await?.base
            && known.sequence >= sequence
        {
            return Ok(snapshot_of(known));
        }
        if self.shelf.bus().stream_load(VECTORS).await?.last < sequence {
            let text =
                format!("the log has gone back behind `{}`, which is about to be made anew", entry.name);
            return Err(VectorError::Busy(text));
        }
        store::put(self.shelf.bus(), &name, &file).await?;
        self.set_base(entry, &base).await?;
        entry.set_base(Some(&base));
        tracing::info!(collection = %entry.name, sequence, bytes, "a snapshot was taken");
        let (own, entry, snapshot) = (self.clone(), std::sync::Arc::clone(entry), snapshot_of(&base));
        tokio::spawn(async move {
            tokio::time::sleep(GRACE).await;
            if let Err(e) = own.let_go(&entry, sequence).await {
                tracing::warn!(collection = %entry.name, "what a snapshot holds is not removed from the log yet: {e}");
            }
        });
        Ok(snapshot)
    }

    async fn record(&self, entry: &Entry) -> Result<Record, VectorError> {
        let known = self.shelf.catalogue().collection(&entry.name).await?;
        let gone = || VectorError::NoCollection(entry.name.clone());
        let known = known.filter(|known| known.value.id == entry.record.id).ok_or_else(gone)?;
        Ok(known.value)
    }

    async fn set_base(&self, entry: &Entry, base: &Base) -> Result<(), VectorError> {
        for _ in 0..TRIES {
            let gone = || VectorError::NoCollection(entry.name.clone());
            let known = self.shelf.catalogue().collection(&entry.name).await?.ok_or_else(gone)?;
            if known.value.id != entry.record.id {
                return Err(gone());
            }
            if known.value.base.as_ref().is_some_and(|other| other.sequence >= base.sequence) {
                return Ok(());
            }
            let changed = Record { base: Some(base.clone()), ..known.value };
            if self.shelf.catalogue().change(&entry.name, &changed, known.revision).await? {
                return Ok(());
            }
        }
        Err(VectorError::Busy(format!("`{}` is being changed by others", entry.name)))
    }

    /// Removes the log up to a snapshot, and older snapshots than are kept.
    async fn let_go(&self, entry: &Entry, sequence: u64) -> Result<(), VectorError> {
        let id = &entry.record.id;
        self.shelf.bus().purge(VECTORS, &log::subject(id), Some(sequence)).await?;
        let all = self.shelf.catalogue().all().await?;
        let is_base =
            |name: &str| all.collections.values().any(|r| r.base.as_ref().is_some_and(|b| b.object == name));
        let own = store::list(self.shelf.bus(), &[id]).await?;
        for old in own.iter().skip(self.config.keep).filter(|old| !is_base(&old.name)) {
            self.shelf.bus().remove_object(COLLECTIONS, &old.name).await?;
        }
        Ok(())
    }

    /// The snapshots of a collection, the newest first.
    ///
    /// # Errors
    /// Where NATS refuses.
    pub async fn list(&self, entry: &Entry) -> Result<Vec<Snapshot>, VectorError> {
        let record = self.record(entry).await?;
        let ids: Vec<&str> = record.ids().collect();
        store::list(self.shelf.bus(), &ids).await
    }

    /// Makes a collection of a snapshot: under its own name, where it takes the place of what is there, or under a new one.
    /// Gives the name.
    ///
    /// # Errors
    /// There is no such snapshot, or the new name is taken.
    pub async fn restore(
        &self,
        entry: &Entry,
        snapshot: &str,
        into: Option<&str>,
    ) -> Result<String, VectorError> {
        let known = self.shelf.catalogue().collection(&entry.name).await?;
        let gone = || VectorError::NoCollection(entry.name.clone());
        let known = known.filter(|known| known.value.id == entry.record.id).ok_or_else(gone)?;
        let all = self.list(entry).await?;
        let no = || VectorError::NoSnapshot { collection: entry.name.clone(), snapshot: snapshot.to_owned() };
        let fits = |one: &&Snapshot| one.name == snapshot || one.sequence.to_string() == snapshot;
        let chosen = all.iter().find(fits).ok_or_else(no)?;
        let since = self.shelf.bus().stream_load(VECTORS).await?.last;
        let mut lineage: Vec<String> = known.value.ids().map(str::to_owned).collect();
        lineage.truncate(MOST_LINEAGE);
        let restored = Record {
            identity: known.value.identity.clone(),
            base: Some(Base {
                object: chosen.name.clone(),
                sequence: chosen.sequence,
                bytes: chosen.bytes,
                taken_at_ms: chosen.taken_at_ms,
            }),
            lineage,
            ..Record::new(known.value.settings, since)
        };
        let catalogue = self.shelf.catalogue();
        let name = into.unwrap_or(&entry.name);
        if name == entry.name {
            if !catalogue.change(name, &restored, known.revision).await? {
                return Err(VectorError::Busy(format!("`{name}` is being changed by others")));
            }
        } else {
            let is_alias = catalogue.alias(name).await?.is_some();
            if is_alias || !catalogue.create(name, &restored).await? {
                let difference = "a snapshot is restored into a new name".to_owned();
                return Err(VectorError::Taken { name: name.to_owned(), difference });
            }
        }
        self.shelf.settle(Import::Missing).await?;
        self.sweep_later();
        Ok(name.to_owned())
    }

    /// [`Snapshots::sweep`], while the caller goes on.
    pub fn sweep_later(&self) {
        let own = self.clone();
        tokio::spawn(async move {
            if let Err(e) = own.sweep().await {
                tracing::warn!("what is left over of dropped collections stays for now: {e}");
            }
        });
    }

    /// Removes the logs and the snapshots of collections that are none. Keys are made before anything else of a collection
    /// is, and ids are never used again, so that what no key has is left over.
    ///
    /// # Errors
    /// Where NATS refuses.
    pub async fn sweep(&self) -> Result<(), VectorError> {
        let bus = self.shelf.bus();
        // What is left over is listed before the keys are: what is made meanwhile is not among it, and a server of a
        // cluster that lags has the keys of what was listed by then.
        let subjects = bus.subjects(VECTORS, &log::subject("*"), crate::catalogue::MOST_KEYS).await?;
        let objects = bus.objects(COLLECTIONS).await?;
        tokio::time::sleep(GRACE).await;
        let all = self.shelf.catalogue().all().await?;
        for (subject, messages) in subjects {
            let Some(id) = log::id_of(&subject) else { continue };
            if !all.collections.values().any(|record| record.id == id) {
                tracing::info!(id, messages, "the log of no collection is removed");
                bus.purge(VECTORS, &subject, None).await?;
            }
        }
        for object in objects {
            let id = object.name.split('/').next().unwrap_or_default();
            let is_somebodys = |record: &Record| {
                record.ids().any(|own| own == id)
                    || record.base.as_ref().is_some_and(|base| base.object == object.name)
            };
            if !all.collections.values().any(is_somebodys) {
                bus.remove_object(COLLECTIONS, &object.name).await?;
            }
        }
        Ok(())
    }

    /// Takes snapshots when they are due, until it is stopped.
    pub async fn keep(self, stop: CancellationToken) {
        let most = self.config.after_mb << 20;
        while most > 0 && !stop.is_cancelled() {
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                () = stop.cancelled() => return,
            }
            for entry in self.shelf.entries() {
                if entry.logged(0) < most || entry.closed.is_cancelled() {
                    continue;
                }
                match self.take(&entry).await {
                    Ok(_) | Err(VectorError::Busy(_)) => {}
                    Err(e) => tracing::warn!(collection = %entry.name, "no snapshot could be taken: {e}"),
                }
            }
        }
    }
}

fn snapshot_of(base: &Base) -> Snapshot {
    Snapshot {
        name: base.object.clone(),
        sequence: base.sequence,
        bytes: base.bytes,
        taken_at_ms: base.taken_at_ms,
    }
}
