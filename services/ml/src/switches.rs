//! Models that are kept loaded: those of the configuration, and those that an operator switched on for all workers, now and
//! later: the keys `models.<name>` and `models.<name>/<version>` of the bucket `control`.

use std::collections::BTreeSet;

use tasklane_models::ModelName;
use tasklane_runtime::bus::kv::Change;
use tasklane_runtime::bus::{Bus, BusError};
use tasklane_runtime::contract::streams::{CONTROL, MODEL_KEYS};
use tasklane_runtime::follow::follow;
use tokio_util::sync::CancellationToken;

use crate::registry::{Loader, Registry};

/// Loads the models of the configuration, all at once, and returns when each is loaded or refused: a worker that starts with
/// them is ready when they are.
pub async fn preload<L: Loader>(registry: &Registry<L>, names: &[String]) {
    // The configuration's own check has refused what is no name.
    let models = names.iter().filter_map(|name| name.parse::<ModelName>().ok());
    let keep = |model: ModelName| async move { keep(registry, &model).await };
    futures::future::join_all(models.map(keep)).await;
}

/// Follows the switches until `alive` ends.
///
/// # Errors
/// Where the bucket cannot be read the first time.
pub async fn watch<L: Loader>(
    bus: &Bus,
    registry: &Registry<L>,
    alive: CancellationToken,
) -> Result<(), BusError> {
    let registry = registry.clone();
    let mut on = BTreeSet::new();
    let hear = move |change| match change {
        Change::Put { key, .. } => {
            let Some(model) = meant(&key) else { return };
            on.insert(key);
            let registry = registry.clone();
            tokio::spawn(async move { keep(&registry, &model).await });
        }
        // What the bucket tells of keys that were gone before says nothing of what the configuration keeps.
        Change::Removed { key } if on.remove(&key) => {
            if let Some(model) = meant(&key) {
                let gone = registry.unload(&model);
                tracing::info!(%model, unloaded = gone.len(), "a model is no longer kept");
            }
        }
        Change::Removed { .. } => {}
    };
    follow(bus, CONTROL, alive, hear).await
}

fn meant(key: &str) -> Option<ModelName> {
    ModelName::from_key(key.strip_prefix(MODEL_KEYS)?)
}

async fn keep<L: Loader>(registry: &Registry<L>, model: &ModelName) {
    // What was loaded or why not, the registry has told.
    if let Err(e) = registry.keep(model).await {
        tracing::error!(%model, "a model that is to be kept is not loaded: {e}");
    }
}
