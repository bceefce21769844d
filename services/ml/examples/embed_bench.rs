//! Texts per second of an embedding model in this process, to hold beside sentence-transformers on the same machine
//! (`tests/reference/embed_bench.py`, with the same texts).
//!
//! `embed_bench FOLDER TEXTS [f32|bf16] [THREADS] [TOKENS OF A BATCH]`: TEXTS is a JSON list of strings.

use std::path::Path;
use std::time::{Duration, Instant};

use tasklane_ml::batch::Meters;
use tasklane_ml::config::BatchConfig;
use tasklane_ml::manifest::{EncoderOutput, EncoderSpec, Kind, Manifest, Pooling, Precision};
use tasklane_ml::models::encoder::{Handle, Truncation};
use tasklane_ml::models::{Loading, Settings, Urgency};
use tasklane_ml::torch::Device;
use tasklane_runtime::telemetry::Metrics;

type Failure = Box<dyn std::error::Error>;

fn open(folder: &Path, precision: Precision, threads: usize, max_tokens: usize) -> Result<Handle, Failure> {
    let spec = EncoderSpec {
        output: EncoderOutput::Embedding,
        pooling: Pooling::Mean,
        normalise: true,
        max_tokens: 256,
    };
    let manifest = Manifest {
        name: "bench".into(),
        version: "1".into(),
        licence: "none".into(),
        kind: Kind::Encoder(spec),
        precision,
        files: [].into(),
        examples: Vec::new(),
    };
    let batch = BatchConfig { max_tokens, ..BatchConfig::default() };
    let settings = Settings { device: Device(tch::Device::Cpu), threads, precision: None, batch };
    let meters = Meters::new(&Metrics::new("bench"));
    Ok(Handle::load(&Loading { folder, manifest: &manifest, settings: &settings, meters: &meters })?)
}

/// Seconds of the processor that this process used.
fn processor() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
    let ticks = |n: usize| fields.get(n).and_then(|ticks| ticks.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(11) + ticks(12)) / 100.0
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let argument = |n: usize, default: &str| arguments.get(n).cloned().unwrap_or_else(|| default.to_owned());
    let precision = if argument(2, "bf16") == "f32" { Precision::F32 } else { Precision::Bf16 };
    let (threads, max_tokens) = (argument(3, "0").parse()?, argument(4, "8192").parse()?);
    let handle = open(Path::new(&argument(0, ".")), precision, threads, max_tokens)?;
    let texts: Vec<String> = serde_json::from_slice(&std::fs::read(argument(1, "texts.json"))?)?;
    let urgency = || Urgency { priority: 1, until: tokio::time::Instant::now() + Duration::from_secs(600) };
    for round in 0..3 {
        let (start, before) = (Instant::now(), processor());
        let read = handle.read(texts.clone(), Truncation::End, false).await?;
        let tokens: usize = read.iter().map(|read| read.tokens()).sum();
        let inputs = read.into_iter().flat_map(|read| read.inputs).collect();
        handle.ask(inputs, urgency()).await?;
        let (took, used) = (start.elapsed().as_secs_f64(), processor() - before);
        println!(
            "round {round}: {:.1} texts/s, {:.0} tokens/s; {:.1} texts per second of one core",
            texts.len() as f64 / took,
            tokens as f64 / took,
            texts.len() as f64 / used
        );
    }
    let mut one = Vec::new();
    for _ in 0..50 {
        let start = Instant::now();
        let read = handle.read(texts[..1].to_vec(), Truncation::End, false).await?;
        handle.ask(read.into_iter().flat_map(|read| read.inputs).collect(), urgency()).await?;
        one.push(start.elapsed().as_secs_f64() * 1e3);
    }
    one.sort_by(f64::total_cmp);
    println!("the first text alone: p50 {:.2} ms", one[one.len() / 2]);
    Ok(())
}
