//! The catalogue: which collections and aliases there are. A bucket of NATS holds it, and every change is made only if
//! nobody else made one meanwhile.
//!
//! `collection.<name>` says what a collection is and where its log begins; `alias.<alias>` names a collection;
//! `taking.<id>` stands while a replica takes a snapshot of that collection.

mod record;

use std::collections::BTreeMap;

use futures::{StreamExt as _, TryStreamExt as _};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tasklane_runtime::bus::kv::Bucket;
use tasklane_runtime::bus::{Bus, BusError};
use tasklane_runtime::contract::streams::COLLECTIONS;

pub use record::{Alias, Backend, Base, MOST_LINEAGE, Record, Settings, Taking, check_name, new_id};

use crate::error::VectorError;

/// Collections and aliases together, at most.
pub const MOST_KEYS: usize = 10_000;
/// Keys that are read at once.
const AT_ONCE: usize = 16;

/// The catalogue. Clones share it.
#[derive(Clone)]
pub struct Catalogue {
    bucket: Bucket,
}

/// A value and the revision that a change of it must name.
#[derive(Debug, Clone)]
pub struct Known<T> {
    /// The value.
    pub value: T,
    /// Its revision.
    pub revision: u64,
}

/// All that the catalogue holds.
#[derive(Debug, Clone, Default)]
pub struct All {
    /// Collections by name.
    pub collections: BTreeMap<String, Record>,
    /// Aliases, and the collections that they name.
    pub aliases: BTreeMap<String, String>,
}

impl All {
    /// The collection that a name or an alias means.
    pub fn resolve<'a>(&'a self, name: &'a str) -> Option<(&'a str, &'a Record)> {
        let name = match self.collections.contains_key(name) {
            true => name,
            false => self.aliases.get(name)?.as_str(),
        };
        self.collections.get_key_value(name).map(|(name, record)| (name.as_str(), record))
    }
}

fn collection_key(name: &str) -> String {
    format!("collection.{name}")
}

fn alias_key(alias: &str) -> String {
    format!("alias.{alias}")
}

fn taking_key(id: &str) -> String {
    format!("taking.{id}")
}

impl Catalogue {
    /// Opens the bucket.
    ///
    /// # Errors
    /// Where there is none.
    pub async fn open(bus: &Bus) -> Result<Self, BusError> {
        Ok(Self { bucket: bus.bucket(COLLECTIONS).await? })
    }

    /// Everything.
    ///
    /// # Errors
    /// Where NATS refuses. A key that cannot be read as what it should be is told and left out.
    pub async fn all(&self) -> Result<All, BusError> {
        let mut keys = self.bucket.keys("collection.*", MOST_KEYS).await?;
        keys.extend(self.bucket.keys("alias.*", MOST_KEYS).await?);
        let read = |key: String| async move { Ok::<_, BusError>((self.bucket.get(&key).await?, key)) };
        let values: Vec<_> =
            futures::stream::iter(keys).map(read).buffer_unordered(AT_ONCE).try_collect().await?;
        let mut all = All::default();
        for (value, key) in values {
            let Some(value) = value.filter(|value| !value.is_empty()) else { continue };
            match key.split_once('.') {
                Some(("collection", name)) => {
                    if let Some(record) = read_as(&key, &value) {
                        all.collections.insert(name.to_owned(), record);
                    }
                }
                Some(("alias", alias)) => {
                    if let Some(Alias { collection }) = read_as(&key, &value) {
                        all.aliases.insert(alias.to_owned(), collection);
                    }
                }
                _ => {}
            }
        }
        Ok(all)
    }

    async fn known<T: DeserializeOwned>(&self, key: &str) -> Result<Option<Known<T>>, BusError> {
        let read = self.bucket.read(key).await?;
        Ok(read.and_then(|(value, revision)| Some(Known { value: read_as(key, &value)?, revision })))
    }

    /// A collection.
    ///
    /// # Errors
    /// Where NATS refuses.
    pub async fn collection(&self, name: &str) -> Result<Option<Known<Record>>, BusError> {
        self.known(&collection_key(name)).await
    }

    /// What an alias names.
    ///
    /// # Errors
    /// Where NATS refuses.
    pub async fn alias(&self, alias: &str) -> Result<Option<Known<Alias>>, BusError> {
        self.known(&alias_key(alias)).await
    }

    /// Makes a collection, if there is none of the name. Says whether it did.
    ///
    /// # Errors
    /// Where NATS refuses.
    pub async fn create(&self, name: &str, record: &Record) -> Result<bool, VectorError> {
        Ok(self.bucket.create(&collection_key(name), written(record)?).await?.is_some())
    }

    /// Changes a collection, if it is as it was known. Says whether it did.
    ///
    /// # Errors
    /// Where NATS refuses.
    pub async fn change(&self, name: &str, record: &Record, revision: u64) -> Result<bool, VectorError> {
        Ok(self.bucket.swap(&collection_key(name), written(record)?, revision).await?.is_some())
    }

    /// Removes a collection, if it is as it was known. Says whether it did.
    ///
    /// # Errors
    /// Where NATS refuses.
    pub async fn remove(&self, name: &str, revision: u64) -> Result<bool, BusError> {
        self.bucket.remove_if(&collection_key(name), revision).await
    }

    /// Makes an alias name a collection, whatever it named before.
    ///
    /// # Errors
    /// Where NATS refuses.
    pub async fn set_alias(&self, alias: &str, collection: &str) -> Result<(), VectorError> {
        let value = written(&Alias { collection: collection.to_owned() })?;
        Ok(self.bucket.put(&alias_key(alias), value).await.map(drop)?)
    }

    /// Removes an alias.
    ///
    /// # Errors
    /// Where NATS refuses.
    pub async fn remove_alias(&self, alias: &str) -> Result<(), BusError> {
        self.bucket.remove(&alias_key(alias)).await
    }

    /// Says that a snapshot is being taken, if nobody takes one now. Gives the revision to end it with.
    ///
    /// # Errors
    /// Where NATS refuses.
    pub async fn begin_taking(
        &self,
        id: &str,
        taking: &Taking,
        now_ms: i64,
    ) -> Result<Option<u64>, VectorError> {
        let key = taking_key(id);
        let value = written(taking)?;
        Ok(match self.known::<Taking>(&key).await? {
            Some(held) if held.value.until_ms > now_ms => None,
            Some(held) => self.bucket.swap(&key, value, held.revision).await?,
            None => self.bucket.create(&key, value).await?,
        })
    }

    /// Says that it is taken, or was not.
    ///
    /// # Errors
    /// Where NATS refuses.
    pub async fn end_taking(&self, id: &str, revision: u64) -> Result<(), BusError> {
        self.bucket.remove_if(&taking_key(id), revision).await.map(drop)
    }

    /// Ends when something in the bucket has changed since the watch began, or the watch was lost.
    ///
    /// # Errors
    /// Where NATS refuses.
    pub async fn watch(
        &self,
    ) -> Result<impl futures::Stream<Item = tasklane_runtime::bus::kv::Change> + Send + Unpin + use<>, BusError>
    {
        self.bucket.watch().await
    }
}

fn written(value: &impl Serialize) -> Result<bytes::Bytes, VectorError> {
    serde_json::to_vec(value).map(Into::into).map_err(|e| VectorError::Internal(e.to_string()))
}

fn read_as<T: DeserializeOwned>(key: &str, value: &[u8]) -> Option<T> {
    let read = serde_json::from_slice(value);
    read.inspect_err(|e| tracing::error!(key, "an entry of the catalogue cannot be read: {e}")).ok()
}
