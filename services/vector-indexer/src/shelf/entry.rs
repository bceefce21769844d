//! An open collection, with what the service knows of it.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::catalogue::{Base, Record};
use crate::collection::Collection;
use crate::error::VectorError;
use crate::space::{self, Rows};

/// A collection of more points does not search texts, and does not scan, on a thread that others need.
const SMALL: u64 = 50_000;

/// An open collection.
pub struct Entry {
    /// Its name, when it was opened.
    pub name: String,
    /// The catalogue's record, when it was opened.
    pub record: Record,
    /// The collection.
    pub collection: Collection,
    /// Its folder.
    pub folder: PathBuf,
    /// Fires when it is no longer the one of its name.
    pub closed: CancellationToken,
    like: Rows,
    points: AtomicU64,
    base: AtomicU64,
    logged: AtomicU64,
}

impl Entry {
    pub(super) fn new(name: &str, record: Record, collection: Collection, folder: PathBuf) -> Self {
        let settings = record.settings;
        let points = collection.describe().points;
        Self {
            name: name.to_owned(),
            like: Rows::new(settings.dimension, settings.metric, settings.precision),
            base: AtomicU64::new(record.base.as_ref().map_or(0, |base| base.sequence)),
            record,
            collection,
            folder,
            closed: CancellationToken::new(),
            points: AtomicU64::new(points),
            logged: AtomicU64::new(0),
        }
    }

    /// Whether the collection takes a vector.
    ///
    /// # Errors
    /// Why not.
    pub fn check(&self, vector: &[f32]) -> Result<(), space::Wrong> {
        self.like.check(vector)
    }

    /// How many points there were when somebody last looked.
    pub fn is_small(&self) -> bool {
        self.points.load(Ordering::Relaxed) <= SMALL
    }

    /// So many points are there now.
    pub fn set_points(&self, points: u64) {
        self.points.store(points, Ordering::Relaxed);
    }

    /// A snapshot was taken: what is logged counts from there.
    pub fn set_base(&self, base: Option<&Base>) {
        let sequence = base.map_or(0, |base| base.sequence);
        if self.base.fetch_max(sequence, Ordering::Relaxed) < sequence {
            self.logged.store(0, Ordering::Relaxed);
        }
    }

    /// Whether its snapshot has more than is applied here.
    pub fn is_older(&self) -> bool {
        self.base.load(Ordering::Relaxed) > self.collection.sequence()
    }

    /// So many bytes of log were applied.
    pub fn logged(&self, bytes: u64) -> u64 {
        self.logged.fetch_add(bytes, Ordering::Relaxed) + bytes
    }

    /// Waits until a sequence is applied, and all that a replay after damage needs.
    ///
    /// # Errors
    /// It is not in time, or the collection is closed meanwhile.
    pub async fn reach(&self, sequence: u64, patience: Duration) -> Result<(), VectorError> {
        let wanted = sequence.max(self.collection.settled());
        if self.collection.sequence() >= wanted {
            return Ok(());
        }
        let away =
            || VectorError::Away { collection: self.name.clone(), reason: "it is being replaced".to_owned() };
        tokio::select! {
            waited = tokio::time::timeout(patience, self.collection.wait_for(wanted)) => match waited {
                Ok(Ok(())) => Ok(()),
                Ok(Err(_)) => Err(away()),
                Err(_) => Err(VectorError::Behind { is: self.collection.sequence(), wanted }),
            },
            () = self.closed.cancelled() => Err(away()),
        }
    }

    /// Runs what may take long where it holds up nobody.
    ///
    /// # Errors
    /// As `run` says, or where it panicked.
    pub async fn aside<T: Send + 'static>(
        self: &Arc<Self>,
        run: impl FnOnce(&Self) -> Result<T, VectorError> + Send + 'static,
    ) -> Result<T, VectorError> {
        let entry = Arc::clone(self);
        tokio::task::spawn_blocking(move || run(&entry)).await?
    }
}
