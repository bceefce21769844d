//! How fast a decoder writes: `write FOLDER [f32]` reads a model's `config.json` and weights, in bf16 unless f32 is said,
//! and prints tokens per second at 1 and at 8 texts, and of a prompt. The load test's `peers/write.py` asks transformers for
//! the same.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tasklane_ml::generate::pick::Picking;
use tasklane_ml::generate::seats::Seats;
use tasklane_ml::models::Urgency;
use tasklane_ml::models::decoder::cache::Cache;
use tasklane_ml::models::decoder::engine::{Bounds, Engine, Job};
use tasklane_ml::models::decoder::net::Net;
use tasklane_ml::models::decoder::shape::Shape;
use tasklane_ml::models::decoder::weights::Weights;
use tch::{Device, Kind};
use tokio::sync::mpsc::unbounded_channel;

const PROMPT: usize = 32;
const WRITTEN: usize = 64;
const LONG: usize = 512;

fn main() -> Result<(), String> {
    let arguments: Vec<String> = std::env::args().collect();
    let folder = Path::new(arguments.get(1).ok_or("write FOLDER [f32]")?);
    let kind = if arguments.get(2).is_some_and(|word| word == "f32") { Kind::Float } else { Kind::BFloat16 };
    let mut engine = engine(folder, kind)?;
    rate(&mut engine, 1, PROMPT, 8);
    let prompt = rate(&mut engine, 1, LONG, 1).0;
    println!(
        "{{\"1\": {:.2}, \"8\": {:.2}, \"prompt\": {prompt:.2}}}",
        rate(&mut engine, 1, PROMPT, WRITTEN).1,
        rate(&mut engine, 8, PROMPT, WRITTEN).1
    );
    Ok(())
}

fn engine(folder: &Path, kind: Kind) -> Result<Engine, String> {
    let text = std::fs::read_to_string(folder.join("config.json")).map_err(|e| e.to_string())?;
    let shape = Shape::read(&text)?;
    let weights = Weights::open(folder, kind, Device::Cpu)?;
    let seats = Seats::new(1 << 30, shape.cache_bytes(kind.elt_size_in_bytes()), shape.context);
    let head = [shape.kv_heads, shape.head].map(|n| n as i64);
    let cache = Cache::new(seats, shape.windows.len(), head, (kind, Device::Cpu));
    let net = Net::load(shape, weights, kind, Device::Cpu)?;
    let bounds = Bounds { sequences: 64, short: 256, long: 2_048 };
    let decode = Arc::new(|tokens: &[u32]| "x".repeat(tokens.len()));
    Ok(Engine::new("model".into(), net, cache, Vec::new(), decode, bounds))
}

/// Prompt tokens a second until all prompts are read, and tokens a second after that.
fn rate(engine: &mut Engine, texts: usize, prompt: usize, written: usize) -> (f64, f64) {
    let urgency = Urgency { priority: 0, until: tokio::time::Instant::now() + Duration::from_secs(3_600) };
    let (told, hears) = unbounded_channel();
    for i in 0..texts {
        let prompt = (0..prompt).map(|n| (n * 37 + i * 1_001) as u32 % 1_000).collect();
        let (stops, told) = (Vec::new(), told.clone());
        engine.add(Job {
            prompt,
            room: written + 1,
            picking: Picking::GREEDY,
            stops,
            urgency,
            came: tokio::time::Instant::now(),
            told,
        });
    }
    let start = Instant::now();
    while engine.step(tokio::time::Instant::now()).written < texts {}
    let read = start.elapsed().as_secs_f64();
    let start = Instant::now();
    while engine.load() != (0, 0) {
        engine.step(tokio::time::Instant::now());
    }
    drop(hears);
    ((texts * prompt) as f64 / read, (texts * written) as f64 / start.elapsed().as_secs_f64())
}
