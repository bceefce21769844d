//! Engines over the tiny models, whose text is the numbers of their tokens.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tasklane_ml::error::MlError;
use tasklane_ml::generate::Ending;
use tasklane_ml::generate::pick::Picking;
use tasklane_ml::generate::seats::Seats;
use tasklane_ml::models::Urgency;
use tasklane_ml::models::decoder::cache::Cache;
use tasklane_ml::models::decoder::engine::{Bounds, Ended, Engine, Job, Told};
use tasklane_ml::models::decoder::net::Net;
use tasklane_ml::models::decoder::shape::Shape;
use tasklane_ml::models::decoder::weights::Weights;
use tch::{Device, Kind};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::Instant;

/// A model with an empty cache of `bytes`.
pub fn load(folder: &Path, bytes: u64) -> (Net, Cache) {
    let shape = Shape::read(&std::fs::read_to_string(folder.join("config.json")).unwrap()).unwrap();
    let weights = Weights::open(folder, Kind::Float, Device::Cpu).unwrap();
    let seats = Seats::new(bytes, shape.cache_bytes(4), shape.context);
    let head = [shape.kv_heads, shape.head].map(|n| n as i64);
    let cache = Cache::new(seats, shape.windows.len(), head, (Kind::Float, Device::Cpu));
    (Net::load(shape, weights, Kind::Float, Device::Cpu).unwrap(), cache)
}

/// An engine that serves at most so many at once, with so many bytes for keys and values. Prompts are read in parts of
/// sizes that do not fit anything.
pub fn engine(folder: &Path, sequences: usize, bytes: u64) -> Engine {
    let (net, cache) = load(folder, bytes);
    let decode = Arc::new(|tokens: &[u32]| tokens.iter().map(|token| format!(" {token}")).collect());
    Engine::new("tiny".into(), net, cache, Vec::new(), decode, Bounds { sequences, short: 5, long: 23 })
}

/// A text that is being written.
pub struct Text {
    hears: UnboundedReceiver<Told>,
    pub text: String,
    pub ended: Option<Result<Ended, MlError>>,
}

impl Text {
    /// Hears what was told by now.
    pub fn hear(&mut self) {
        while let Ok(told) = self.hears.try_recv() {
            match told {
                Told::Text(text) => self.text += &text,
                Told::Ended(ended) => self.ended = Some(ended),
            }
        }
    }

    /// Its tokens.
    pub fn tokens(&self) -> Vec<u32> {
        self.text.split_whitespace().map(|token| token.parse().unwrap()).collect()
    }

    /// How it ended.
    pub fn ending(&self) -> Ending {
        self.ended.as_ref().unwrap().as_ref().unwrap().ending
    }
}

/// Not urgent, and with all the time there is.
pub fn calm() -> Urgency {
    Urgency { priority: 2, until: Instant::now() + Duration::from_secs(600) }
}

/// Hands over a text to be written.
pub fn ask(engine: &mut Engine, prompt: &[u32], room: usize, picking: Picking, urgency: Urgency) -> Text {
    let (told, hears) = unbounded_channel();
    engine.add(Job {
        prompt: prompt.to_vec(),
        room,
        picking,
        stops: Vec::new(),
        urgency,
        came: Instant::now(),
        told,
    });
    Text { hears, text: String::new(), ended: None }
}

/// Steps until nobody is left.
pub fn run(engine: &mut Engine) -> usize {
    let mut steps = 0;
    while engine.load() != (0, 0) {
        engine.step(Instant::now());
        steps += 1;
        assert!(steps < 100_000, "it never ends");
    }
    steps
}
