//! Tokens a second in the shape of Qwen3-0.6B, random weights, bf16: transformers, the ml service's own engine (its example
//! `write`), and tasks through the whole platform. Rounds alternate.

use std::path::Path;

use bytes::Bytes;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::process::Command;

use super::kit::{self, Kit};
use super::peer::Peer;
use super::stage::Stage;
use super::tasks::Round;
use crate::args::Args;
use crate::error::LoadError;
use crate::report::{Bar, line, median};
use crate::stack::Programs;

/// The model's name in its store.
const MODEL: &str = "writer";
/// Tokens of a prompt, and tokens that are written and count: those after the first.
const TOKENS: (usize, usize) = (32, 64);
/// Sequences at once.
const AT_ONCE: [usize; 2] = [1, 8];
/// Who writes.
const WRITERS: [&str; 3] = ["transformers", "engine", "platform"];

/// What was measured.
#[derive(Debug, Serialize)]
pub struct Generation {
    /// What transformers it was.
    pub versions: String,
    /// Tokens a second, round by round: of each number of sequences, of each writer.
    pub rates: [[Vec<f64>; 3]; 2],
}

/// Measures.
///
/// # Errors
/// Where something fails, or fewer tokens are written.
pub async fn measure(programs: &Programs, args: &Args, kit: &Kit) -> Result<Generation, LoadError> {
    let engine = kit::example(&programs.services, "write")?;
    let (store, model) = kit.model(MODEL).await?;
    let mut script = kit.script("write.py");
    script.arg(&model);
    let mut peer = Peer::start(script).await?;
    let stage = Stage::start(programs, &store, MODEL).await?;
    let mut found = Generation { versions: peer.is.clone(), rates: Default::default() };
    theirs(&mut peer, 1).await?;
    ours(&stage, 1).await?;
    for _ in 0..args.rounds {
        let alone = alone(&engine, &model).await?;
        for (n, &texts) in AT_ONCE.iter().enumerate() {
            let rates = [theirs(&mut peer, texts).await?, alone[n], ours(&stage, texts).await?];
            eprintln!("  {texts} at once, tokens/s: {}", said(&rates));
            found.rates[n].iter_mut().zip(rates).for_each(|(all, rate)| all.push(rate));
        }
    }
    peer.stop().await?;
    stage.stop().await?;
    Ok(found)
}

fn said(rates: &[f64]) -> String {
    let each = WRITERS.iter().zip(rates).map(|(name, rate)| format!("{name} {rate:.1}"));
    each.collect::<Vec<_>>().join("  ")
}

/// Tokens a second after the first, from two times.
fn rate(texts: usize, first: f64, all: f64) -> f64 {
    (texts * TOKENS.1) as f64 / (all - first)
}

async fn theirs(peer: &mut Peer, texts: usize) -> Result<f64, LoadError> {
    let question = |written: usize| json!({"texts": texts, "prompt": TOKENS.0, "written": written});
    let first = peer.seconds(&question(1)).await?;
    Ok(rate(texts, first, peer.seconds(&question(TOKENS.1 + 1)).await?))
}

async fn ours(stage: &Stage, texts: usize) -> Result<f64, LoadError> {
    let (first, all) = (wrote(stage, texts, 1).await?, wrote(stage, texts, TOKENS.1 + 1).await?);
    Ok(rate(texts, first, all))
}

/// Seconds for so many tasks at once, each with a prompt of its own.
async fn wrote(stage: &Stage, texts: usize, written: usize) -> Result<f64, LoadError> {
    let prompt = |text: usize| {
        let words = (0..TOKENS.0)
            .map(|n| format!("t{}", (n * 37 + text * 1_001 + rand::random::<u8>() as usize) % 100_000));
        words.collect::<Vec<_>>().join(" ")
    };
    let payload = |text| {
        json!({"model": MODEL, "prompt": prompt(text), "max_tokens": written, "temperature": 0}).to_string()
    };
    let payloads: Vec<Bytes> = (0..texts).map(|text| payload(text).into()).collect();
    let done = stage.tasks.run(&Round { keep: true, ..Round::of("generate_text", &payloads, texts) }).await?;
    for record in &done.records {
        let record: Value = serde_json::from_slice(record).map_err(|e| LoadError::Wrong(e.to_string()))?;
        let usage = &record["result"]["usage"];
        if usage["generated_tokens"] != written || usage["prompt_tokens"] != TOKENS.0 {
            return Err(LoadError::Wrong(format!("a text of {written} tokens was wanted: {usage}")));
        }
    }
    Ok(done.took.as_secs_f64())
}

/// The engine by itself.
async fn alone(engine: &Path, model: &Path) -> Result<[f64; 2], LoadError> {
    let ran =
        Command::new(engine).arg(model).output().await.map_err(LoadError::io("start the example `write`"))?;
    let told: Option<Value> =
        String::from_utf8_lossy(&ran.stdout).lines().last().and_then(|line| serde_json::from_str(line).ok());
    let rate = |texts: usize| told.as_ref().and_then(|told| told[texts.to_string()].as_f64());
    match AT_ONCE.map(rate) {
        [Some(one), Some(eight)] => Ok([one, eight]),
        _ => Err(LoadError::Stack(format!("the example `write`: {}", String::from_utf8_lossy(&ran.stderr)))),
    }
}

impl Generation {
    fn medians(&self, n: usize) -> [f64; 3] {
        [0, 1, 2].map(|writer| median(self.rates[n][writer].iter().copied()))
    }

    /// The bars.
    pub fn bars(&self) -> Vec<Bar> {
        let promises = [
            "generation, 1 sequence, through the platform: ahead of transformers",
            "generation, 8 sequences, through the platform: ahead of transformers",
        ];
        let bar = |(n, promise): (usize, &'static str)| {
            let [theirs, _, ours] = self.medians(n);
            Bar { promise, measured: format!("{ours:.1} beside {theirs:.1} tokens/s"), met: ours > theirs }
        };
        promises.into_iter().enumerate().map(bar).collect()
    }

    /// For people.
    pub fn table(&self) -> String {
        let mut out = String::new();
        let (prompt, written) = TOKENS;
        line(
            &mut out,
            &format!(
                "generation: {written} tokens after a prompt of {prompt} and the first, tokens/s; {}",
                self.versions
            ),
        );
        for (n, texts) in AT_ONCE.iter().enumerate() {
            line(&mut out, &format!("  {texts} at once: {}", said(&self.medians(n))));
        }
        out
    }
}
