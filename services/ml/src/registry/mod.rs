//! The models in memory: loaded when they are asked for, once however many ask, on blocking threads; kept while there is
//! room for them, those in use and those an operator keeps before the others.
//!
//! A task holds an `Arc` of its model: one that is unloaded or replaced goes on for the tasks that have it, and its memory
//! counts until the last of them ends. Where only models in use stand in the way of another, no new task gets them, and the
//! load waits until their tasks have ended.

mod load;
mod room;
mod state;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tasklane_models::{Manifest, ModelName};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::error::MlError;
use crate::store::{Catalogue, Entry, Store};
use state::State;

pub use state::Status;

/// How old what is known of the store may be when a model is asked for that is not loaded.
const FRESH: Duration = Duration::from_secs(1);
/// How often newer versions of what is loaded are looked for.
const LOOK: Duration = Duration::from_secs(10);

/// What makes models out of folders.
pub trait Loader: Send + Sync + 'static {
    /// A model in memory.
    type Model: Send + Sync + 'static;

    /// Loads a model whose files are there and are what they have to be. Called on a blocking thread.
    ///
    /// # Errors
    /// Why it cannot be used.
    fn load(&self, folder: &std::path::Path, manifest: &Manifest) -> Result<Self::Model, MlError>;

    /// Memory that it takes, beside what its calls take.
    fn memory_bytes(&self, model: &Self::Model) -> u64;

    /// What it answers to the input of an example: the result of its task.
    fn answer(
        &self,
        model: &Self::Model,
        manifest: &Manifest,
        input: &Value,
    ) -> impl Future<Output = Result<Value, MlError>> + Send;
}

/// A model in memory.
#[derive(Debug)]
pub struct Loaded<M> {
    /// What it is.
    pub manifest: Manifest,
    /// Itself.
    pub model: M,
    /// Memory that it takes.
    pub bytes: u64,
    /// How long fetching, loading and its examples took, in ms.
    pub took_ms: f64,
    /// Tells when all of that is gone: fields are dropped in this order.
    _gone: Gone,
}

/// Wakes those who wait for room when it is dropped.
#[derive(Debug)]
struct Gone(Arc<Notify>);

impl Drop for Gone {
    fn drop(&mut self) {
        self.0.notify_waiters();
    }
}

/// A handle to a model, which is in use while somebody has this: it stays in memory, and what it takes is counted.
#[derive(Debug, Clone)]
pub struct InUse<H> {
    handle: H,
    _loaded: Arc<dyn std::any::Any + Send + Sync>,
}

impl<H> InUse<H> {
    /// A handle, taken from a loaded model.
    pub fn of<M: Send + Sync + 'static>(loaded: Arc<Loaded<M>>, handle: H) -> Self {
        Self { handle, _loaded: loaded }
    }
}

impl<H> std::ops::Deref for InUse<H> {
    type Target = H;

    fn deref(&self) -> &H {
        &self.handle
    }
}

/// The models in memory.
pub struct Registry<L: Loader> {
    shared: Arc<Shared<L>>,
}

impl<L: Loader> Clone for Registry<L> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

struct Shared<L: Loader> {
    loader: L,
    store: Store,
    budget: u64,
    state: Mutex<State<L::Model>>,
    /// There may be more room than before.
    roomier: Arc<Notify>,
    /// One at a time asks the store what there is.
    looking: tokio::sync::Mutex<Option<(Instant, Arc<Catalogue>)>>,
}

impl<L: Loader> Registry<L> {
    /// Models of a store that may take `budget` bytes together.
    pub fn new(loader: L, store: Store, budget: u64) -> Self {
        let (state, roomier, looking) = (Mutex::default(), Arc::default(), tokio::sync::Mutex::default());
        Self { shared: Arc::new(Shared { loader, store, budget, state, roomier, looking }) }
    }

    /// The model of a name (`minilm`: the newest version; `minilm@2`), loaded if it is not. Of a name without a version the
    /// one that serves already is given while a newer one is loaded.
    ///
    /// # Errors
    /// There is none, it is refused, or it does not fit.
    pub async fn get(&self, name: &str) -> Result<Arc<Loaded<L::Model>>, MlError> {
        let wanted: ModelName = name.parse().map_err(MlError::BadInput)?;
        if let Some(loaded) = self.shared.lock().find(&wanted) {
            return Ok(loaded);
        }
        let entry = self.shared.entry(&wanted, FRESH).await?;
        self.bring(&wanted, entry).await
    }

    async fn bring(&self, wanted: &ModelName, entry: Entry) -> Result<Arc<Loaded<L::Model>>, MlError> {
        let full = entry.name.clone();
        let loaded = load::once(&self.shared, entry).await?;
        if wanted.version.is_none() {
            self.shared.lock().mean(&full);
        }
        Ok(loaded)
    }

    /// Loads a model and keeps it until it is [unloaded](Registry::unload), also where another would need its room. A new
    /// version takes its place.
    ///
    /// # Errors
    /// As [`Registry::get`]; it is not kept then.
    pub async fn keep(&self, wanted: &ModelName) -> Result<Arc<Loaded<L::Model>>, MlError> {
        let entry = self.shared.entry(wanted, Duration::ZERO).await?;
        let loaded = self.bring(wanted, entry).await?;
        self.shared.lock().keep(wanted);
        Ok(loaded)
    }

    /// Takes a model out of memory, all its versions where none is named, and returns which. Tasks that have it go on with
    /// it; the next task that names it loads it again.
    pub fn unload(&self, wanted: &ModelName) -> Vec<ModelName> {
        let gone = self.shared.lock().remove(wanted);
        // Dropped here, without the lock: a large model takes its time.
        gone.iter().map(|loaded| loaded.manifest.full_name()).collect()
    }

    /// What a model is, without loading it.
    ///
    /// # Errors
    /// There is none, or its manifest is wrong.
    pub async fn manifest(&self, name: &str) -> Result<(Entry, Manifest), MlError> {
        let wanted: ModelName = name.parse().map_err(MlError::BadInput)?;
        let entry = self.shared.entry(&wanted, FRESH).await?;
        let manifest = self.shared.store.manifest(&entry).await?;
        Ok((entry, manifest))
    }

    /// What is loaded, and what is being loaded.
    pub fn status(&self) -> Vec<Status> {
        self.shared.lock().status()
    }

    /// Bytes that models take now, and may take.
    pub fn memory(&self) -> (u64, u64) {
        (self.shared.lock().taken(), self.shared.budget)
    }

    /// What the store has, now.
    ///
    /// # Errors
    /// It cannot be read.
    pub async fn catalogue(&self) -> Result<Arc<Catalogue>, MlError> {
        self.shared.look(Instant::now(), Duration::ZERO).await
    }

    /// Looks for newer versions of what is loaded, and for others in place of the same, until the future is dropped. Each is
    /// loaded beside the one that serves, and takes over when it has passed its examples.
    pub async fn follow(&self) {
        loop {
            tokio::time::sleep(LOOK).await;
            self.renew().await;
        }
    }

    /// Looks once.
    pub async fn renew(&self) {
        let catalogue = match self.shared.look(Instant::now(), Duration::ZERO).await {
            Ok(catalogue) => catalogue,
            Err(e) => return tracing::warn!("newer models are not looked for: {e}"),
        };
        let stale = self.shared.lock().stale(&catalogue);
        for entry in stale {
            let name = entry.name.clone();
            match load::once(&self.shared, entry).await {
                Ok(_) => tracing::info!(model = %name, "a newer model serves"),
                Err(e) => {
                    tracing::warn!(model = %name, "a newer model is not used, the one before stays: {e}")
                }
            }
        }
    }
}

impl<L: Loader> Shared<L> {
    fn lock(&self) -> MutexGuard<'_, State<L::Model>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the store has, or had so long before somebody asked.
    async fn look(&self, asked: Instant, age: Duration) -> Result<Arc<Catalogue>, MlError> {
        let mut known = self.looking.lock().await;
        // Who waited for another's look has what that one saw.
        if let Some((seen, catalogue)) = &*known
            && (asked <= *seen || asked.duration_since(*seen) < age)
        {
            return Ok(Arc::clone(catalogue));
        }
        let seen = Instant::now();
        let catalogue = Arc::new(self.store.catalogue().await?);
        *known = Some((seen, Arc::clone(&catalogue)));
        Ok(catalogue)
    }

    async fn entry(&self, wanted: &ModelName, age: Duration) -> Result<Entry, MlError> {
        let asked = Instant::now();
        let mut catalogue = self.look(asked, age).await?;
        if catalogue.find(wanted).is_none() {
            // Nobody is told that there is none who asks for what came a moment ago.
            catalogue = self.look(asked, Duration::ZERO).await?;
        }
        match (catalogue.find(wanted), catalogue.why_not(wanted)) {
            (Some(entry), _) => Ok(entry.clone()),
            (None, Some(broken)) => {
                Err(MlError::BadModel { model: wanted.to_string(), reason: broken.reason.clone() })
            }
            (None, None) => Err(MlError::NoModel(wanted.to_string())),
        }
    }
}
