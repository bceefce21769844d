//! What an embedding model's bare forward pass costs in this process: `bare FOLDER TEXT TIMES APART THREADS` reads a model
//! folder and prints `{"tokens": ..., "close_ms": ..., "apart_ms": ...}`, the medians of that many passes one after the other,
//! and of as many with APART ms between them. The load test holds a task beside it.

#![expect(clippy::disallowed_methods, reason = "nothing else runs here")]

use std::path::Path;
use std::time::{Duration, Instant};

use tasklane_ml::manifest::{Kind, Precision, parse};
use tasklane_ml::models::encoder::load;
use tasklane_ml::models::encoder::net::{Net, Packed};
use tasklane_ml::models::encoder::shape::Shape;
use tasklane_ml::text::{Tokenizer, Tokens};
use tasklane_ml::torch::weights::Weights;
use tasklane_ml::torch::{self, Device};

type Failure = Box<dyn std::error::Error>;

/// Passes before those that count.
const WARM_UP: usize = 50;

fn open(folder: &Path) -> Result<(Net, Tokenizer), Failure> {
    let manifest =
        parse(&std::fs::read_to_string(folder.join("model.toml"))?).map_err(|e| format!("{e:?}"))?;
    let Kind::Encoder(spec) = &manifest.kind else { return Err("it is no encoder".into()) };
    let shape = Shape::read(&std::fs::read(folder.join("config.json"))?, spec.output)?;
    let kind = match manifest.precision {
        Precision::F32 => tch::Kind::Float,
        Precision::Bf16 => tch::Kind::BFloat16,
    };
    let device = Device(tch::Device::Cpu);
    let weights = Weights::open(folder, device, kind)?;
    let net = load::net(&weights, shape, spec, device, kind, false)?;
    Ok((net, Tokenizer::load(folder)?))
}

/// The median of so many passes, in ms.
fn passes(net: &mut Net, tokens: &Tokens, times: usize, apart: Duration) -> Result<f64, Failure> {
    let mut took = Vec::with_capacity(times);
    for _ in 0..times {
        std::thread::sleep(apart);
        let start = Instant::now();
        let rows = net.answer(&Packed::new(&[tokens], &net.shape, tch::Device::Cpu)?)?;
        took.push(start.elapsed().as_secs_f64() * 1e3);
        assert_eq!(rows.len(), 1);
    }
    took.sort_by(f64::total_cmp);
    Ok(took[times / 2])
}

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, text, times, apart, threads] = arguments.as_slice() else {
        return Err("bare FOLDER TEXT TIMES APART THREADS".into());
    };
    let (times, apart) = (times.parse::<usize>()?.max(1), Duration::from_millis(apart.parse()?));
    let (mut net, tokenizer) = open(Path::new(folder))?;
    let tokens = tokenizer.template().one(&tokenizer.tokens(text)?.ids);
    torch::use_threads(threads.parse()?);
    let _guard = tch::no_grad_guard();
    passes(&mut net, &tokens, WARM_UP, Duration::ZERO)?;
    let close = passes(&mut net, &tokens, times, Duration::ZERO)?;
    let apart = passes(&mut net, &tokens, times, apart)?;
    println!("{{\"tokens\": {}, \"close_ms\": {close:.4}, \"apart_ms\": {apart:.4}}}", tokens.ids.len());
    Ok(())
}
