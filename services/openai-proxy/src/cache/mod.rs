//! Answers that were given before: the same request gets the same answer, and several at once make one call.
//!
//! In memory, bounded by bytes and age, with an object store behind it that replicas share and restarts outlive. Both may
//! lose entries at any time, and an entry is never wrong: its key holds everything that the answer depends on.

mod entry;
mod key;
mod shelf;

use std::sync::Arc;
use std::time::Duration;

use moka::future::Cache as Memory;
use tasklane_runtime::bus::Bus;

pub use entry::Entry;
pub use key::{Key, Wish};
use shelf::Shelf;

use crate::answers::Whole;
use crate::api_error::ApiError;
use crate::books::now_ms;
use crate::catalog::Route;
use crate::config::CacheConfig;
use crate::gateway::Ask;
use crate::meters::Meters;

/// Whether an answer came from the cache.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum FromCache {
    /// It is none of the cache's.
    #[default]
    NotAsked,
    /// It was not there, and may be now.
    Missed,
    /// It was there.
    Hit,
}

/// Answers that were given before. Cheap to clone.
#[derive(Clone)]
pub struct Cache {
    config: Arc<CacheConfig>,
    memory: Memory<Key, Arc<Entry>>,
    shelf: Option<Shelf>,
    meters: Meters,
}

/// What an asker got that nobody else shall get. Clones are for the one who asked.
#[derive(Debug, Clone)]
struct NotKept(Box<Result<Whole, ApiError>>);

impl Cache {
    /// An empty cache, with what the object store remembers behind it.
    pub fn new(config: &CacheConfig, bus: &Bus, meters: &Meters) -> Self {
        let memory = Memory::builder()
            .max_capacity(config.memory_mb << 20)
            .weigher(|_, entry: &Arc<Entry>| entry.size())
            .time_to_live(Duration::from_secs(config.ttl_s))
            .build();
        let shelf = (config.enabled && config.objects).then(|| Shelf::new(bus));
        Self { config: Arc::new(config.clone()), memory, shelf, meters: meters.clone() }
    }

    /// The key of a request; none where it must be answered afresh.
    pub fn key(&self, ask: &Ask, route: &Route) -> Option<Key> {
        let scope = key::Scope { tenant: &ask.tenant, within: ask.within.as_deref().unwrap_or_default() };
        key::of(&self.config, &ask.body, ask.cache, scope, route)
    }

    /// The bytes that an entry may have.
    pub fn most(&self) -> usize {
        self.config.max_entry_kb << 10
    }

    /// An answer that was given before.
    pub async fn find(&self, key: &Key) -> Option<Arc<Entry>> {
        let found = match self.in_memory(key).await {
            Some(entry) => Some(entry),
            None => self.on_the_shelf(key).await,
        };
        match &found {
            Some(entry) => self.memory.insert(*key, Arc::clone(entry)).await,
            None => self.meters.cached("miss"),
        }
        found
    }

    /// Keeps an answer.
    pub async fn put(&self, key: Key, entry: Entry) {
        let entry = Arc::new(entry);
        if let Some(shelf) = &self.shelf {
            shelf.put(&key, &entry);
        }
        self.memory.insert(key, entry).await;
    }

    /// The answer that was given before, or what `ask` says. Who asks while another asks the same waits for that answer;
    /// where it is one that is not kept, everybody asks for themselves.
    ///
    /// # Errors
    /// What `ask` says.
    pub async fn or_ask<F>(&self, key: Key, ask: impl Fn() -> F) -> Result<(Whole, FromCache), ApiError>
    where
        F: Future<Output = Result<Whole, ApiError>>,
    {
        if let Some(entry) = self.in_memory(&key).await {
            return Ok((given(&entry), FromCache::Hit));
        }
        let mut led = None;
        let asked = async {
            if let Some(entry) = self.on_the_shelf(&key).await {
                led = Some(FromCache::Hit);
                return Ok(entry);
            }
            led = Some(FromCache::Missed);
            let entry = self.to_keep(ask().await)?;
            if let Some(shelf) = &self.shelf {
                shelf.put(&key, &entry);
            }
            Ok(entry)
        };
        let found = self.memory.try_get_with(key, asked).await;
        match (found, led) {
            (Ok(entry), Some(FromCache::Missed)) => {
                self.meters.cached("miss");
                Ok((given(&entry), FromCache::Missed))
            }
            (Ok(entry), Some(_)) => Ok((given(&entry), FromCache::Hit)),
            (Ok(entry), None) => {
                self.meters.cached("shared");
                Ok((given(&entry), FromCache::Hit))
            }
            (Err(own), Some(_)) => {
                self.meters.cached("miss");
                (*NotKept::clone(&own).0).map(|whole| (whole, FromCache::Missed))
            }
            (Err(_), None) => ask().await.map(|whole| (whole, FromCache::Missed)),
        }
    }

    async fn in_memory(&self, key: &Key) -> Option<Arc<Entry>> {
        let entry = self.memory.get(key).await?;
        if self.is_fresh(&entry) {
            self.meters.cached("memory");
            return Some(entry);
        }
        // It came from the object store with part of its time over.
        self.memory.invalidate(key).await;
        None
    }

    async fn on_the_shelf(&self, key: &Key) -> Option<Arc<Entry>> {
        let entry = self.shelf.as_ref()?.get(key, self.most()).await.filter(|entry| self.is_fresh(entry))?;
        self.meters.cached("objects");
        Some(Arc::new(entry))
    }

    fn is_fresh(&self, entry: &Entry) -> bool {
        entry.is_fresh(now_ms(), self.config.ttl_s.saturating_mul(1_000))
    }

    /// Only what is good and not too large is kept.
    fn to_keep(&self, answer: Result<Whole, ApiError>) -> Result<Arc<Entry>, NotKept> {
        match answer {
            Ok(whole) if whole.status == 200 && whole.body.len() <= self.most() => Ok(Arc::new(Entry {
                at_ms: now_ms(),
                model: whole.model,
                content_type: "application/json".to_owned(),
                used: whole.used,
                body: whole.body,
            })),
            other => Err(NotKept(Box::new(other))),
        }
    }
}

/// An entry as an answer.
fn given(entry: &Entry) -> Whole {
    Whole { used: entry.used, ..Whole::kept(&entry.model, &entry.content_type, entry.body.clone()) }
}
