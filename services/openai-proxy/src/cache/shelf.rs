//! The object store behind the cache's memory. It helps where it can: nobody waits long for it, and no call fails by it.

use std::sync::Arc;
use std::time::Duration;

use tasklane_runtime::bus::{Bus, BusError};
use tasklane_runtime::contract::streams;
use tokio::sync::Semaphore;

use super::entry::Entry;
use super::key::Key;

/// A model's answer takes hundreds of milliseconds; looking for an old one shall not add to that.
const PATIENCE: Duration = Duration::from_millis(250);
/// Entries that are written at once; what comes on top is not kept there.
const WRITES_AT_ONCE: usize = 16;
/// Room for an entry's head.
const HEAD: usize = 4096;

/// The object store of old answers. Cheap to clone.
#[derive(Clone)]
pub struct Shelf {
    bus: Bus,
    writes: Arc<Semaphore>,
}

impl Shelf {
    /// The store that the router made.
    pub fn new(bus: &Bus) -> Self {
        Self { bus: bus.clone(), writes: Arc::new(Semaphore::new(WRITES_AT_ONCE)) }
    }

    /// An entry of at most `most` bytes, whatever its age.
    pub async fn get(&self, key: &Key, most: usize) -> Option<Entry> {
        let name = key.name();
        let found = self.bus.get_object(streams::LLM_CACHE, &name, most + HEAD);
        match tokio::time::timeout(PATIENCE, found).await {
            Ok(Ok(bytes)) => Entry::decode(&bytes),
            Ok(Err(BusError::NotFound(_))) => None,
            Ok(Err(e)) => {
                tracing::debug!("the cache's object store was not read: {e}");
                None
            }
            Err(_) => {
                tracing::debug!("the cache's object store did not answer within {PATIENCE:?}");
                None
            }
        }
    }

    /// Writes an entry, beside whatever follows.
    pub fn put(&self, key: &Key, entry: &Arc<Entry>) {
        let Ok(permit) = Arc::clone(&self.writes).try_acquire_owned() else { return };
        let (bus, name, entry) = (self.bus.clone(), key.name(), Arc::clone(entry));
        tokio::spawn(async move {
            let bytes = entry.encode();
            if let Err(e) = bus.put_object(streams::LLM_CACHE, &name, &mut bytes.as_slice()).await {
                tracing::debug!("the cache's object store was not written: {e}");
            }
            drop(permit);
        });
    }
}
