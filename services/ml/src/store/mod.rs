//! Where models come from: the operator's folder, and the object store, unpacked once into a cache.

mod cache;
mod catalogue;

use std::path::{Path, PathBuf};

use tasklane_models::{Manifest, ModelName, StoreError, bucket, folder};
use tasklane_runtime::bus::Bus;

use crate::error::MlError;
use cache::Cache;

pub use catalogue::{Broken, Catalogue, Entry, Place};

/// Both places.
pub struct Store {
    folder: Option<PathBuf>,
    bucket: Option<(Bus, Cache)>,
}

/// A model whose files are there and are what they have to be.
#[derive(Debug, Clone)]
pub struct Ready {
    /// Its folder.
    pub folder: PathBuf,
    /// What it is.
    pub manifest: Manifest,
    /// Bytes of its files.
    pub bytes: u64,
}

impl Store {
    /// A store of a folder, of the object store behind a bus with a folder for its cache, or of both.
    ///
    /// # Errors
    /// The folder cannot be read, or the cache not be made.
    pub fn open(folder: Option<PathBuf>, bucket: Option<(Bus, PathBuf)>) -> Result<Self, MlError> {
        if let Some(folder) = &folder {
            std::fs::read_dir(folder)
                .map_err(|e| MlError::Internal(format!("models.folder {}: {e}", folder.display())))?;
        }
        let bucket = bucket.map(|(bus, cache)| Cache::open(cache).map(|cache| (bus, cache))).transpose()?;
        Ok(Self { folder, bucket })
    }

    /// All that there is, now.
    ///
    /// # Errors
    /// [`MlError::Away`] where a place cannot be read.
    pub async fn catalogue(&self) -> Result<Catalogue, MlError> {
        let mut catalogue = Catalogue::default();
        if let Some(folder) = self.folder.clone() {
            let read = move || folder::models(&folder);
            catalogue.add_folders(blocking(read).await?.map_err(|e| away("models", &e))?);
        }
        if let Some((bus, _)) = &self.bucket {
            catalogue.add_bucket(bucket::list(bus).await.map_err(|e| away("models", &e))?);
        }
        Ok(catalogue)
    }

    /// What a model is, without having it.
    ///
    /// # Errors
    /// It is gone, or its manifest is wrong, or the store cannot be read.
    pub async fn manifest(&self, entry: &Entry) -> Result<Manifest, MlError> {
        let read = match (&entry.place, &self.bucket) {
            (Place::Folder(folder), _) => {
                let folder = folder.clone();
                blocking(move || folder::manifest(&folder)).await?
            }
            (Place::Bucket { .. }, Some((bus, cache))) => match cache.find(entry) {
                Some(folder) => blocking(move || folder::manifest(&folder)).await?,
                None => bucket::manifest(bus, &entry.name).await,
            },
            (Place::Bucket { .. }, None) => return Err(MlError::NoModel(entry.name.to_string())),
        };
        read.map(|(_, manifest)| manifest).map_err(|e| told(&entry.name, &e))
    }

    /// Has a model ready: fetched where it must be, every file held against its checksum.
    ///
    /// # Errors
    /// A file that is missing or another one, or the store cannot be read.
    pub async fn ready(&self, entry: &Entry) -> Result<Ready, MlError> {
        let (bus, cache) = match (&entry.place, &self.bucket) {
            (Place::Folder(folder), _) => {
                return verified(folder.clone()).await?.map_err(|e| told(&entry.name, &e));
            }
            (Place::Bucket { .. }, Some((bus, cache))) => (bus, cache),
            (Place::Bucket { .. }, None) => return Err(MlError::NoModel(entry.name.to_string())),
        };
        if let Some(folder) = cache.find(entry) {
            match verified(folder.clone()).await? {
                Ok(ready) => return Ok(ready),
                // The disk damaged it: once more, from the start.
                Err(e) => tracing::warn!(model = %entry.name, "the unpacked model is fetched again: {e}"),
            }
            cache.remove(&folder)?;
        }
        let folder = cache.place(entry);
        let fetched = bucket::get(bus, &entry.name, folder.clone()).await;
        let manifest = fetched.map_err(|e| told(&entry.name, &e))?;
        cache.keep_only(entry);
        let bytes = size(&folder, &manifest);
        Ok(Ready { folder, manifest, bytes })
    }
}

/// What was just unpacked and checked need not be read again to be counted.
fn size(folder: &Path, manifest: &Manifest) -> u64 {
    let size = |file: &String| std::fs::metadata(folder.join(file)).map_or(0, |facts| facts.len());
    manifest.files.keys().map(size).sum()
}

async fn verified(folder: PathBuf) -> Result<Result<Ready, StoreError>, MlError> {
    blocking(move || {
        let (_, manifest) = folder::manifest(&folder)?;
        let bytes = folder::verify(&folder, &manifest)?;
        Ok(Ready { folder, manifest, bytes })
    })
    .await
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, MlError> {
    tokio::task::spawn_blocking(work).await.map_err(|e| MlError::Internal(format!("reading a model: {e}")))
}

fn told(model: &ModelName, error: &StoreError) -> MlError {
    match error {
        StoreError::Bad(reason) => MlError::BadModel { model: model.to_string(), reason: reason.clone() },
        StoreError::Absent(name) => MlError::NoModel(name.clone()),
        StoreError::Io { .. } | StoreError::Bus(_) => away(&model.to_string(), error),
    }
}

fn away(model: &str, error: &StoreError) -> MlError {
    MlError::Away { model: model.to_owned(), reason: error.to_string() }
}
