//! Key-value buckets.

use async_nats::jetstream::kv::{CreateErrorKind, DeleteErrorKind, Operation, Store, UpdateErrorKind};
use bytes::Bytes;
use futures::StreamExt as _;
use tokio::sync::watch;

use crate::{Bus, BusError};

/// A change that a watcher sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A value was put.
    Put {
        /// Its key.
        key: String,
        /// The value.
        value: Bytes,
    },
    /// A key was removed.
    Removed {
        /// Its key.
        key: String,
    },
}

/// A bucket.
#[derive(Clone)]
pub struct Bucket {
    store: Store,
    reconnects: watch::Receiver<u64>,
}

impl Bus {
    /// Opens a bucket that exists.
    ///
    /// # Errors
    /// [`BusError::JetStream`].
    pub async fn bucket(&self, name: &str) -> Result<Bucket, BusError> {
        let store = self
            .js
            .get_key_value(name)
            .await
            .map_err(|e| BusError::js(format!("open the bucket {name}"), e))?;
        Ok(Bucket { store, reconnects: self.reconnects() })
    }
}

impl Bucket {
    /// Puts a value.
    ///
    /// # Errors
    /// [`BusError::JetStream`].
    pub async fn put(&self, key: &str, value: Bytes) -> Result<u64, BusError> {
        self.store.put(key, value).await.map_err(|e| BusError::js(format!("put {key}"), e))
    }

    /// Reads a value.
    ///
    /// # Errors
    /// [`BusError::JetStream`].
    pub async fn get(&self, key: &str) -> Result<Option<Bytes>, BusError> {
        self.store.get(key).await.map_err(|e| BusError::js(format!("get {key}"), e))
    }

    /// Reads a value and its revision.
    ///
    /// # Errors
    /// [`BusError::JetStream`].
    pub async fn read(&self, key: &str) -> Result<Option<(Bytes, u64)>, BusError> {
        let entry = self.store.entry(key).await.map_err(|e| BusError::js(format!("get {key}"), e))?;
        Ok(entry.filter(|e| e.operation == Operation::Put).map(|e| (e.value, e.revision)))
    }

    /// Puts a value if the key's revision is still this; 0: if nothing was ever put. Returns the new revision, or nothing
    /// where somebody else was first.
    ///
    /// # Errors
    /// [`BusError::JetStream`]: nobody knows whether it was put.
    pub async fn swap(&self, key: &str, value: Bytes, revision: u64) -> Result<Option<u64>, BusError> {
        match self.store.update(key, value, revision).await {
            Ok(revision) => Ok(Some(revision)),
            Err(e) if e.kind() == UpdateErrorKind::WrongLastRevision => Ok(None),
            Err(e) => Err(BusError::js(format!("put {key}"), e)),
        }
    }

    /// Puts a value if there is none, also where one was removed. Returns its revision, or nothing where there is one.
    ///
    /// # Errors
    /// [`BusError::JetStream`]: nobody knows whether it was put.
    pub async fn create(&self, key: &str, value: Bytes) -> Result<Option<u64>, BusError> {
        match self.store.create(key, value).await {
            Ok(revision) => Ok(Some(revision)),
            Err(e) if e.kind() == CreateErrorKind::AlreadyExists => Ok(None),
            Err(e) => Err(BusError::js(format!("create {key}"), e)),
        }
    }

    /// Removes a key if its revision is still this, and says whether it was.
    ///
    /// # Errors
    /// [`BusError::JetStream`]: nobody knows whether it was removed.
    pub async fn remove_if(&self, key: &str, revision: u64) -> Result<bool, BusError> {
        match self.store.delete_expect_revision(key, Some(revision)).await {
            Ok(()) => Ok(true),
            Err(e) if e.kind() == DeleteErrorKind::WrongLastRevision => Ok(false),
            Err(e) => Err(BusError::js(format!("remove {key}"), e)),
        }
    }

    /// Removes a key.
    ///
    /// # Errors
    /// [`BusError::JetStream`].
    pub async fn remove(&self, key: &str) -> Result<(), BusError> {
        self.store.delete(key).await.map_err(|e| BusError::js(format!("remove {key}"), e))
    }

    /// The keys that fit a pattern such as `usage.*.acme`, in no order, and at most so many. One that was
    /// [removed](Bucket::remove) is among them.
    ///
    /// # Errors
    /// [`BusError::JetStream`].
    pub async fn keys(&self, pattern: &str, most: usize) -> Result<Vec<String>, BusError> {
        let failed = |e| BusError::js(format!("list {pattern}"), e);
        let prefix = &self.store.prefix;
        let found = self.store.stream.info_with_subjects(format!("{prefix}{pattern}")).await;
        let mut found = found.map_err(failed)?.take(most);
        let mut keys = Vec::new();
        while let Some(subject) = found.next().await {
            let (subject, _) = subject.map_err(failed)?;
            keys.extend(subject.strip_prefix(prefix.as_str()).map(str::to_owned));
        }
        Ok(keys)
    }

    /// Removes all keys that fit a pattern, and leaves no trace of them.
    ///
    /// # Errors
    /// [`BusError::JetStream`].
    pub async fn purge(&self, pattern: &str) -> Result<(), BusError> {
        let purged = self.store.stream.purge().filter(format!("{}{pattern}", self.store.prefix)).await;
        purged.map(drop).map_err(|e| BusError::js(format!("purge {pattern}"), e))
    }

    /// All that is in the bucket, then every change. The stream ends where the connection was lost or the server was
    /// silent; watch again then. The client's own recovery is not relied on: where its request for a new watcher
    /// comes to nothing, as it may while a cluster elects leaders, it asks for the same name again and is refused.
    ///
    /// # Errors
    /// [`BusError::JetStream`].
    pub async fn watch(
        &self,
    ) -> Result<impl futures::Stream<Item = Change> + Send + Unpin + use<>, BusError> {
        let mut reconnects = self.reconnects.clone();
        reconnects.mark_unchanged();
        // An error says that the client is closed: nothing comes any more, as after a reconnect.
        let reconnected = async move { drop(reconnects.changed().await) };
        let watch = self.store.watch_with_history(">").await.map_err(|e| BusError::js("watch", e))?;
        let sound = watch.take_while(|entry| {
            let sound = entry.as_ref().inspect_err(|e| tracing::warn!("a watched bucket: {e}")).is_ok();
            futures::future::ready(sound)
        });
        let changes = sound.filter_map(|entry| {
            let change = entry.ok().map(|e| match e.operation {
                Operation::Put => Change::Put { key: e.key, value: e.value },
                Operation::Delete | Operation::Purge => Change::Removed { key: e.key },
            });
            futures::future::ready(change)
        });
        Ok(Box::pin(changes.take_until(Box::pin(reconnected)).fuse()))
    }
}
