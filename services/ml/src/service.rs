//! The service: models of a store, kept by the registry, behind task types.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tasklane_runtime::bus::Bus;
use tasklane_runtime::{Worker, process};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::batch::Meters;
use crate::config::MlConfig;
use crate::error::MlError;
use crate::manifest::{EncoderOutput, Kind, Manifest, Precision};
use crate::models::{Loading, Settings, Urgency, decoder, encoder, script};
use crate::registry::{InUse, Loader, Registry};
use crate::store::Store;
use crate::tasks::classify_text::ClassifyText;
use crate::tasks::embed_text::EmbedText;
use crate::tasks::of_encoder::{Encoders, example, task_type};
use crate::tasks::rerank::Rerank;
use crate::tasks::{generate_text, ml_inference, model_info};
use crate::torch::Device;
use crate::{inquiries, memory, switches};

/// The service's name; also its pool where the operator names none.
pub const SERVICE: &str = "ml";
/// What it announces itself as.
const WORKER_TYPE: &str = "ml_inference";
/// What it can do.
const CAPABILITIES: [&str; 4] = ["model_serving", "prediction", "embedding", "text_generation"];
/// Tasks that wait here for a shared computation cost little; those that wait in the lane share none.
const SLOTS: u32 = 256;
/// An example is answered within this, or its model is refused.
const EXAMPLE: Duration = Duration::from_secs(60);

/// A model in memory.
pub enum Model {
    /// Texts to vectors or classes.
    Encoder(encoder::Handle),
    /// Texts to more text.
    Decoder(decoder::Handle),
    /// Tensors to tensors.
    Script(script::Handle),
}

impl Model {
    fn word(&self) -> &'static str {
        match self {
            Self::Encoder(_) => "an encoder",
            Self::Decoder(_) => "a decoder",
            Self::Script(_) => "a TorchScript module",
        }
    }
}

/// Makes models of all kinds.
pub struct Models {
    settings: Settings,
    meters: Meters,
}

impl Loader for Models {
    type Model = Model;

    fn load(&self, folder: &Path, manifest: &Manifest) -> Result<Model, MlError> {
        let at = Loading { folder, manifest, settings: &self.settings, meters: &self.meters };
        match manifest.kind {
            Kind::Encoder(_) => encoder::Handle::load(&at).map(Model::Encoder),
            Kind::Decoder(_) => decoder::Handle::load(&at).map(Model::Decoder),
            Kind::Torchscript(_) => script::Handle::load(&at).map(Model::Script),
        }
    }

    fn memory_bytes(&self, model: &Model) -> u64 {
        match model {
            Model::Encoder(handle) => handle.memory_bytes(),
            Model::Decoder(handle) => handle.memory_bytes(),
            Model::Script(handle) => handle.memory_bytes(),
        }
    }

    async fn answer(&self, model: &Model, _: &Manifest, input: &Value) -> Result<Value, MlError> {
        let urgency = Urgency { priority: 0, until: Instant::now() + EXAMPLE };
        match model {
            Model::Encoder(handle) => match handle.spec().output {
                EncoderOutput::Embedding => example::<EmbedText>(handle, input, urgency).await,
                EncoderOutput::Relevance => example::<Rerank>(handle, input, urgency).await,
                _ => example::<ClassifyText>(handle, input, urgency).await,
            },
            Model::Decoder(handle) => generate_text::example(handle, input, urgency).await,
            Model::Script(handle) => ml_inference::example(handle, input, urgency).await,
        }
    }
}

/// The registry as task types see it: models of one kind.
struct Served(Registry<Models>);

impl Served {
    async fn of<H>(
        &self,
        name: &str,
        wanted: &'static str,
        pick: impl Fn(&Model) -> Option<H>,
    ) -> Result<(InUse<H>, String), MlError> {
        let loaded = self.0.get(name).await?;
        let is = loaded.model.word();
        let handle = pick(&loaded.model).ok_or(MlError::WrongKind { model: name.to_owned(), is, wanted })?;
        let version = loaded.manifest.version.clone();
        Ok((InUse::of(loaded, handle), version))
    }
}

impl Encoders for Served {
    async fn encoder(&self, name: &str) -> Result<(InUse<encoder::Handle>, String), MlError> {
        let pick = |model: &Model| match model {
            Model::Encoder(handle) => Some(handle.clone()),
            _ => None,
        };
        self.of(name, "an encoder", pick).await
    }
}

impl generate_text::Decoders for Served {
    async fn decoder(&self, name: &str) -> Result<InUse<decoder::Handle>, MlError> {
        let pick = |model: &Model| match model {
            Model::Decoder(handle) => Some(handle.clone()),
            _ => None,
        };
        self.of(name, "a decoder", pick).await.map(|(handle, _)| handle)
    }
}

impl ml_inference::Scripts for Served {
    async fn script(&self, name: &str) -> Result<(InUse<script::Handle>, String), MlError> {
        let pick = |model: &Model| match model {
            Model::Script(handle) => Some(handle.clone()),
            _ => None,
        };
        let (handle, version) = self.of(name, "a TorchScript module", pick).await?;
        let bare = name.split('@').next().unwrap_or(name);
        Ok((handle, format!("{bare}@{version}")))
    }
}

/// Serves until SIGTERM or SIGINT.
///
/// # Errors
/// Why it cannot start, for people.
pub async fn run(config: MlConfig) -> Result<(), String> {
    let stop = process::stop_signal().map_err(|e| e.to_string())?;
    let connect = Bus::connect(&config.nats, "tasklane-ml", Duration::from_secs(60));
    let bus = tokio::select! {
        bus = connect => bus.map_err(|e| e.to_string())?,
        () = stop.cancelled() => return Ok(()),
    };
    let worker = Worker::new(SERVICE, WORKER_TYPE, &CAPABILITIES).default_slots(SLOTS);
    let models = Models { settings: settings(&config)?, meters: Meters::new(worker.metrics()) };
    let registry = Registry::new(models, store(&config, &bus)?, budget(&config));
    let _inquiries =
        inquiries::serve(&bus, &registry, &worker.id(&config.worker)).await.map_err(|e| e.to_string())?;
    tokio::select! {
        () = bus.await_buckets() => {}
        () = stop.cancelled() => return Ok(()),
    }
    let alive = CancellationToken::new();
    switches::watch(&bus, &registry, alive.clone()).await.map_err(|e| e.to_string())?;
    tokio::select! {
        () = switches::preload(&registry, &config.models.preload) => {}
        () = stop.cancelled() => return Ok(()),
    }
    let follower = registry.clone();
    let following = tokio::spawn(async move { follower.follow().await });
    let served = Arc::new(Served(registry.clone()));
    let ended = worker
        .task(task_type::<EmbedText>(Arc::clone(&served)))
        .task(task_type::<ClassifyText>(Arc::clone(&served)))
        .task(task_type::<Rerank>(Arc::clone(&served)))
        .task(generate_text::task_type(Arc::clone(&served)))
        .task(ml_inference::task_type(served))
        .task(model_info::task_type(registry))
        .run(bus, config.worker, stop)
        .await;
    following.abort();
    alive.cancel();
    ended.map_err(|e| e.to_string())
}

fn settings(config: &MlConfig) -> Result<Settings, String> {
    let device = Device::of(&config.torch.device).map_err(|e| e.to_string())?;
    let precision = match config.torch.precision.as_str() {
        "f32" => Some(Precision::F32),
        "bf16" => Some(Precision::Bf16),
        _ => None,
    };
    Ok(Settings { device, threads: config.torch.threads, precision, batch: config.batch })
}

fn store(config: &MlConfig, bus: &Bus) -> Result<Store, String> {
    let folder = Some(config.models.folder.as_str()).filter(|f| !f.is_empty()).map(PathBuf::from);
    let cache = match config.models.cache.as_str() {
        "" => std::env::temp_dir().join("tasklane-models"),
        cache => PathBuf::from(cache),
    };
    Store::open(folder, Some((bus.clone(), cache))).map_err(|e| e.to_string())
}

/// Memory for loaded models, in bytes.
fn budget(config: &MlConfig) -> u64 {
    match config.models.memory_mb {
        0 => memory::machine_bytes() / 2,
        mb => mb << 20,
    }
}
