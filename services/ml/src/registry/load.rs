//! Bringing a model into memory.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::FutureExt as _;
use tasklane_models::manifest::{Manifest, differs};

use super::state::{Known, Room};
use super::{Gone, Loaded, Loader, Shared};
use crate::error::MlError;
use crate::store::{Entry, Ready};

/// How long a load waits for models in use. Their tasks may take longer; who waits for it may try again.
const IN_USE: Duration = Duration::from_secs(60);

/// The model of an entry: as it is loaded, or as the one load brings it that everybody waits on. The load goes on where
/// nobody waits any more.
pub async fn once<L: Loader>(
    shared: &Arc<Shared<L>>,
    entry: Entry,
) -> Result<Arc<Loaded<L::Model>>, MlError> {
    let coming = {
        let mut state = shared.lock();
        match state.known(&entry) {
            Some(Known::Loaded(loaded)) => return Ok(loaded),
            Some(Known::Refused(why)) => return Err(why),
            Some(Known::Coming(coming)) => coming,
            None => {
                let (shared, entry, name) = (Arc::clone(shared), entry.clone(), entry.name.clone());
                let load = tokio::spawn(async move { ended(&shared, &entry).await });
                let lost = |e| Err(MlError::Internal(format!("loading a model ended: {e}")));
                let coming = load.map(move |done| done.unwrap_or_else(lost)).boxed().shared();
                state.begin(name, coming.clone());
                coming
            }
        }
    };
    coming.await
}

async fn ended<L: Loader>(shared: &Arc<Shared<L>>, entry: &Entry) -> Result<Arc<Loaded<L::Model>>, MlError> {
    // A panic must not leave a load that nobody ends.
    let brought = std::panic::AssertUnwindSafe(bring(shared, entry)).catch_unwind().await;
    let done = brought.unwrap_or_else(|_| Err(MlError::Internal(format!("loading {} panicked", entry.name))));
    let before = shared.lock().end(entry, &done);
    drop(before);
    // What was reserved is free, or a model that may go.
    shared.roomier.notify_waiters();
    match &done {
        Ok(loaded) => {
            tracing::info!(model = %entry.name, mb = loaded.bytes >> 20, ms = loaded.took_ms, "a model is loaded");
        }
        Err(e) => tracing::warn!(model = %entry.name, "a model is not loaded: {e}"),
    }
    done
}

async fn bring<L: Loader>(shared: &Arc<Shared<L>>, entry: &Entry) -> Result<Arc<Loaded<L::Model>>, MlError> {
    let began = Instant::now();
    let Ready { folder, manifest, bytes } = shared.store.ready(entry).await?;
    // Until it is there, its files say best what it will take.
    make_room(shared, entry, bytes).await?;
    let loading = Arc::clone(shared);
    let work = move || loading.loader.load(&folder, &manifest).map(|model| (model, manifest));
    let loaded = tokio::task::spawn_blocking(work).await;
    let (model, manifest) =
        loaded.map_err(|e| MlError::Internal(format!("loading {}: {e}", entry.name)))??;
    let bytes = shared.loader.memory_bytes(&model);
    make_room(shared, entry, bytes).await?;
    check(&shared.loader, &model, &manifest).await?;
    let took_ms = (began.elapsed().as_secs_f64() * 10_000.0).round() / 10.0;
    let gone = Gone(Arc::clone(&shared.roomier));
    Ok(Arc::new(Loaded { manifest, model, bytes, took_ms, _gone: gone }))
}

/// Makes room, and waits for models that are in use where only they stand in the way.
async fn make_room<L: Loader>(shared: &Arc<Shared<L>>, entry: &Entry, need: u64) -> Result<(), MlError> {
    let give_up = tokio::time::Instant::now() + IN_USE;
    loop {
        // From here on, so that nothing that goes meanwhile is missed.
        let mut roomier = std::pin::pin!(shared.roomier.notified());
        roomier.as_mut().enable();
        let room = shared.lock().make_room(&entry.name, need, shared.budget);
        let (gone, enough) = match room {
            Ok(Room { gone, enough }) => (gone, enough),
            Err(most) => {
                return Err(MlError::TooMuchMemory {
                    need_mb: (need >> 20).max(1),
                    has_mb: most >> 20,
                    advice: "unload another model, or give models more memory (`models.memory_mb`)",
                });
            }
        };
        for loaded in &gone {
            tracing::info!(model = %loaded.manifest.full_name(), "a model goes, another needs its room");
        }
        drop(gone);
        if enough {
            return Ok(());
        }
        if tokio::time::timeout_at(give_up, roomier).await.is_err() {
            let reason = "models in use have the memory that it needs".to_owned();
            return Err(MlError::Away { model: entry.name.to_string(), reason });
        }
    }
}

/// Asks the model what its manifest's examples ask.
async fn check<L: Loader>(loader: &L, model: &L::Model, manifest: &Manifest) -> Result<(), MlError> {
    for (n, example) in manifest.examples.iter().enumerate() {
        let refused = |reason: String| MlError::BadModel {
            model: manifest.full_name().to_string(),
            reason: format!("example {} of its manifest: {reason}", n + 1),
        };
        let answer = loader.answer(model, manifest, &example.input).await;
        let answer = answer.map_err(|e| refused(e.to_string()))?;
        if let Some(place) = differs(&example.output, &answer, example.tolerance) {
            return Err(refused(place));
        }
    }
    Ok(())
}
