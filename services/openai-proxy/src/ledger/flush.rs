//! Writes what was used to the bucket, about once a second and at shutdown.

use std::sync::{Mutex, MutexGuard, PoisonError};

use futures::StreamExt as _;
use thiserror::Error;

use super::book::Sources;
use super::calendar::day;
use super::cas::{self, CasError};
use super::store::{Store, token};
use super::usage::{Applied, Batch, Counters, Sheet, SheetKey, Tally};

/// How many sheets are written at once.
const WRITES_AT_ONCE: usize = 16;

/// Why something counted is not written yet. It is kept, and written with the next flush.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FlushError {
    /// The bucket.
    #[error(transparent)]
    Store(#[from] CasError),
    /// Too many replicas, or too many restarts within an hour, wrote to this sheet.
    #[error(
        "the usage sheet {0} remembers as many replicas as it may; what was counted is kept until one is an hour old"
    )]
    Full(String),
}

/// The key of a sheet.
#[must_use]
pub fn key(day: u64, tenant: &str) -> String {
    format!("usage.{day}.{}", token(tenant))
}

/// What this replica's calls used.
pub struct Usage<S> {
    store: S,
    replica: String,
    sources: Sources,
    tally: Mutex<Tally>,
}

impl<S: Store> Usage<S> {
    /// A counter on a bucket. `replica` must be another one at every start of the process: batches are numbered from
    /// one again.
    pub fn new(store: S, replica: &str, sources: Sources) -> Self {
        Self { store, replica: token(replica), sources, tally: Mutex::default() }
    }

    fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a call, today. Without I/O.
    pub fn record(&self, tenant: &str, model: &str, counters: &Counters) {
        self.tally().add(day((self.sources.now_ms)()), tenant, model, counters);
    }

    /// Writes what was counted. May be cancelled, repeated, and run twice at once: nothing is counted twice.
    ///
    /// # Errors
    /// The first of the errors there were; what is not written is kept.
    pub async fn flush(&self) -> Result<(), FlushError> {
        let batches = self.tally().batches();
        let writes = batches.into_iter().map(|(key, batch)| self.write(key, batch));
        let results: Vec<_> = futures::stream::iter(writes).buffer_unordered(WRITES_AT_ONCE).collect().await;
        results.into_iter().collect()
    }

    /// Writes everything, also what was counted while an uncertain batch had to be repeated.
    ///
    /// # Errors
    /// As [`Usage::flush`]; what is not written then is lost with the process.
    pub async fn shutdown(&self) -> Result<(), FlushError> {
        while !self.tally().is_empty() {
            self.flush().await?;
        }
        Ok(())
    }

    async fn write(&self, sheet_key: SheetKey, batch: Batch) -> Result<(), FlushError> {
        let key = key(sheet_key.0, &sheet_key.1);
        let applied = cas::update(&self.store, &key, &self.sources.random, |value| {
            let mut sheet = Sheet::decode(value)?;
            let applied = sheet.apply((self.sources.now_ms)(), &self.replica, &batch);
            let value = (applied == Applied::Now).then(|| sheet.encode()).transpose()?;
            Ok((value, applied))
        })
        .await?;
        if applied == Applied::Full {
            return Err(FlushError::Full(key));
        }
        self.tally().confirm(&sheet_key, batch.sequence);
        Ok(())
    }

    /// What a tenant used on a day, as the bucket has it.
    ///
    /// # Errors
    /// [`CasError`] if it cannot be read.
    pub async fn sheet(&self, day: u64, tenant: &str) -> Result<Sheet, CasError> {
        let key = key(day, tenant);
        let found = self.store.get(&key).await?;
        Sheet::decode(found.as_ref().map(|(value, _)| value.as_slice()))
            .map_err(|why| CasError::Unreadable { key, why })
    }
}
