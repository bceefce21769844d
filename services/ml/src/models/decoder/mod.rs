//! Decoders: models that write a text on, token by token.

pub mod cache;
pub mod engine;
pub mod lane;
pub mod layout;
pub mod net;
pub mod rope;
pub mod shape;
pub mod voice;
pub mod weights;

use std::sync::Arc;

use jiff::Timestamp;
use tch::Kind;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::Instant;

use self::cache::Cache;
use self::engine::{Bounds, Engine, Job, Told};
use self::lane::Lane;
use self::net::Net;
use self::shape::Shape;
use self::voice::{Prompt, Voice};
use self::weights::Weights;
use super::{Loading, Urgency};
use crate::error::MlError;
use crate::generate::pick::Picking;
use crate::generate::prompt::{self, Truncate};
use crate::generate::seats::Seats;
use crate::manifest::{Kind as Of, Precision};
use crate::memory::machine_bytes;
use crate::text;

/// Prompt tokens of a step in which others write: on two cores some 400 ms of a small model.
const SHORT: usize = 256;
/// Prompt tokens of a step in which nobody does; more would not be faster, and takes more memory.
const LONG: usize = 2_048;

/// Bytes of a setting in MB; an eighth of what this process may have where it is 0.
fn budget(setting_mb: u64) -> u64 {
    match setting_mb {
        0 => machine_bytes() / 8,
        mb => mb << 20,
    }
}

/// What is asked of a decoder.
#[derive(Debug, Clone)]
pub struct Ask {
    /// What is to be gone on with.
    pub prompt: Prompt,
    /// What becomes of a prompt that is too long.
    pub truncate: Truncate,
    /// Tokens that may follow.
    pub max_tokens: usize,
    /// The likeliest or not, as [`Picking`] has it; where it is left out, as the model's makers say.
    pub temperature: Option<f32>,
    /// As [`Picking`] has it.
    pub top_k: Option<usize>,
    /// As [`Picking`] has it.
    pub top_p: Option<f32>,
    /// As [`Picking`] has it.
    pub repetition_penalty: Option<f32>,
    /// As [`Picking`] has it.
    pub seed: u64,
    /// Strings that end it.
    pub stops: Vec<String>,
}

/// A text that is being written.
pub struct Writing {
    /// The prompt's tokens, as far as they were read.
    pub prompt_tokens: usize,
    /// How many they were, where some were left out.
    pub cut_from: Option<usize>,
    /// How tokens are picked.
    pub picking: Picking,
    /// What comes, and at last how it ended.
    pub told: UnboundedReceiver<Told>,
}

struct Inner {
    name: String,
    version: String,
    voice: Voice,
    lane: Lane,
    context: usize,
    bytes: u64,
    /// Bytes of keys and values that all may take, and how to reckon them.
    seats: Seats,
}

/// A loaded decoder. Its thread ends when the last handle is dropped.
#[derive(Clone)]
pub struct Handle(Arc<Inner>);

impl Handle {
    /// Loads a decoder; takes seconds.
    ///
    /// # Errors
    /// [`MlError::BadModel`] where its files are not what they have to be.
    pub fn load(at: &Loading<'_>) -> Result<Self, MlError> {
        let name = &at.manifest.name;
        let bad = |reason: String| MlError::BadModel { model: name.clone(), reason };
        let text = std::fs::read_to_string(at.folder.join("config.json"))
            .map_err(|e| bad(format!("config.json: {e}")))?;
        let mut shape = Shape::read(&text).map_err(bad)?;
        if let Of::Decoder(spec) = &at.manifest.kind
            && spec.max_tokens > 0
        {
            shape.context = shape.context.min(spec.max_tokens);
        }
        let kind = match at.settings.precision.unwrap_or(at.manifest.precision) {
            Precision::F32 => Kind::Float,
            Precision::Bf16 => Kind::BFloat16,
        };
        let device = at.settings.device.0;
        let voice = Voice::load(at.folder, &shape).map_err(bad)?;
        let weights = Weights::open(at.folder, kind, device).map_err(bad)?;
        let batch = at.settings.batch;
        let seats = || {
            let bytes = shape.cache_bytes(kind.elt_size_in_bytes());
            Seats::new(budget(batch.kv_memory_mb), bytes, shape.context)
        };
        let head = [shape.kv_heads, shape.head].map(|n| n as i64);
        let cache = Cache::new(seats(), shape.windows.len(), head, (kind, device));
        let (reckon, context) = (seats(), shape.context);
        let net = Net::load(shape, weights, kind, device).map_err(bad)?;
        let long = batch.max_tokens.min(LONG);
        let bounds = Bounds { sequences: batch.max_items, short: SHORT.min(long), long };
        let bytes = net.bytes();
        let engine = Engine::new(name.clone(), net, cache, voice.ends().to_vec(), voice.decode(), bounds);
        let lane = Lane::start(name, engine, batch.max_waiting, at.meters.of(name))?;
        let version = at.manifest.version.clone();
        Ok(Self(Arc::new(Inner { name: name.clone(), version, voice, lane, context, bytes, seats: reckon })))
    }

    /// Bytes of its weights. Keys and values come on top, as far as `batch.kv_memory_mb` goes.
    pub fn memory_bytes(&self) -> u64 {
        self.0.bytes
    }

    /// The model's name.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The model's version.
    pub fn version(&self) -> &str {
        &self.0.version
    }

    /// Begins a text. Who drops it wants no more of it.
    ///
    /// # Errors
    /// Where the prompt cannot be read or does not fit, or too much waits.
    pub async fn write(&self, ask: Ask, urgency: Urgency) -> Result<Writing, MlError> {
        let this = self.clone();
        text::reading(move || this.begin(ask, urgency)).await
    }

    /// The part of it that takes a core for a while.
    fn begin(&self, ask: Ask, urgency: Urgency) -> Result<Writing, MlError> {
        let inner = &*self.0;
        let tokens = inner.voice.tokens(&ask.prompt, Timestamp::now()).map_err(MlError::BadInput)?;
        let wanted = ask.max_tokens.max(1);
        let fitted = prompt::fit(tokens, inner.voice.begin(), inner.context, wanted, ask.truncate)
            .map_err(MlError::BadInput)?;
        let all = fitted.tokens.len() + fitted.room;
        if !inner.seats.could_fit(all) {
            return Err(engine::too_much(inner.seats.cost(all), inner.seats.budget()));
        }
        let defaults = inner.voice.defaults();
        let picking = Picking {
            temperature: ask.temperature.unwrap_or(defaults.temperature),
            top_k: ask.top_k.unwrap_or(defaults.top_k),
            top_p: ask.top_p.unwrap_or(defaults.top_p),
            repetition_penalty: ask.repetition_penalty.unwrap_or(defaults.repetition_penalty),
            seed: ask.seed,
        };
        let (told, hears) = unbounded_channel();
        let prompt_tokens = fitted.tokens.len();
        inner.lane.add(Job {
            prompt: fitted.tokens,
            room: fitted.room,
            picking,
            stops: ask.stops,
            urgency,
            came: Instant::now(),
            told,
        })?;
        Ok(Writing { prompt_tokens, cut_from: fitted.cut_from, picking, told: hears })
    }
}
