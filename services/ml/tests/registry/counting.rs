//! A loader that counts, takes as much memory as the weights' file has bytes, and answers what it is told to say.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

use serde_json::{Value, json};
use tasklane_ml::error::MlError;
use tasklane_ml::registry::{Loader, Registry};
use tasklane_ml::store::Store;
use tasklane_models::{Manifest, folder};
use tempfile::TempDir;

pub const MB: u64 = 1 << 20;

#[derive(Default)]
pub struct Counts {
    pub loads: AtomicUsize,
    pub hold: AtomicBool,
    alive: AtomicUsize,
}

impl Counts {
    /// Waits until a load has begun.
    pub async fn begun(&self) {
        while self.loads.load(SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
    }

    /// Loads so far.
    pub fn loads(&self) -> usize {
        self.loads.load(SeqCst)
    }
}

pub struct Counting(Arc<Counts>);

impl Counting {
    pub fn new(counts: &Arc<Counts>) -> Self {
        Self(Arc::clone(counts))
    }
}

#[derive(Debug)]
pub struct Weights {
    bytes: u64,
    counts: Arc<Counts>,
}

impl std::fmt::Debug for Counts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("counts")
    }
}

impl Weights {
    /// How many there are of all models.
    pub fn alive(&self) -> usize {
        self.counts.alive.load(SeqCst)
    }
}

impl Drop for Weights {
    fn drop(&mut self) {
        self.counts.alive.fetch_sub(1, SeqCst);
    }
}

impl Loader for Counting {
    type Model = Weights;

    fn load(&self, folder: &Path, manifest: &Manifest) -> Result<Weights, MlError> {
        self.0.loads.fetch_add(1, SeqCst);
        while self.0.hold.load(SeqCst) {
            std::thread::yield_now();
        }
        assert_ne!(manifest.name, "panics");
        self.0.alive.fetch_add(1, SeqCst);
        let bytes = std::fs::metadata(folder.join("model.pt")).unwrap().len();
        Ok(Weights { bytes, counts: Arc::clone(&self.0) })
    }

    fn memory_bytes(&self, model: &Weights) -> u64 {
        model.bytes
    }

    async fn answer(&self, _: &Weights, _: &Manifest, input: &Value) -> Result<Value, MlError> {
        match input.get("say") {
            Some(say) => Ok(json!({"said": say})),
            None => Err(MlError::BadInput("say what?".into())),
        }
    }
}

/// A registry of an empty folder.
pub struct Rig {
    dir: TempDir,
    pub registry: Registry<Counting>,
    pub counts: Arc<Counts>,
}

impl Rig {
    pub fn new(budget: u64) -> Self {
        let dir = TempDir::new().unwrap();
        let counts = Arc::new(Counts::default());
        let store = Store::open(Some(dir.path().to_owned()), None).unwrap();
        let registry = Registry::new(Counting(Arc::clone(&counts)), store, budget);
        Self { dir, registry, counts }
    }

    pub fn folder(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn loaded(&self) -> Vec<String> {
        let status = self.registry.status();
        status.iter().filter(|s| s.state == "loaded").map(|s| s.name.to_string()).collect()
    }
}

/// Writes a model's folder.
pub fn put(place: &Path, name: &str, version: &str, bytes: u64, more: &str) {
    std::fs::create_dir_all(place).unwrap();
    std::fs::write(place.join("model.pt"), vec![7; usize::try_from(bytes).unwrap()]).unwrap();
    let (_, sum) = folder::checksum(&place.join("model.pt")).unwrap();
    let text = format!(
        "name = \"{name}\"\nversion = \"{version}\"\nlicence = \"MIT\"\nkind = \"torchscript\"\n[files]\n\"model.pt\" = \"{sum}\"\n{more}"
    );
    std::fs::write(place.join("model.toml"), text).unwrap();
}
