//! Embeddings a second: tasks through the whole platform, sentence-transformers called directly, LitServe. The same model, in
//! bf16, on the same texts; rounds alternate, and who is not measured does nothing.

use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;
use serde_json::json;

use super::kit::Kit;
use super::litserve::{Litserve, Setting};
use super::nearness::{self, Nearness};
use super::peer::Peer;
use super::stage::Stage;
use super::tasks::Round;
use super::texts::Texts;
use crate::args::Args;
use crate::error::LoadError;
use crate::report::{Bar, line, median};
use crate::stack::Programs;

/// The model's name in its store.
pub const MODEL: &str = "minilm";
/// Clients of LitServe, and tasks in flight beside it.
const CLIENTS: usize = 32;
/// Tasks of one text in flight where the platform's own rate is measured.
const IN_FLIGHT: usize = 256;
/// Texts of a task that has several, and such tasks in flight.
const SEVERAL: (usize, usize) = (32, 8);
/// Sizes of batches of which sentence-transformers gets its best.
const SIZES: [usize; 6] = [4, 8, 16, 32, 64, 128];
/// And LitServe, each with one process on all cores and with one for each core.
const BATCHES: [usize; 3] = [8, 32, 1];
/// Texts that each setting is tried with.
const TRIED: usize = 256;
/// How many times LitServe's rate is promised.
const TIMES: f64 = 2.0;

/// One way to vectors.
#[derive(Debug, Serialize)]
pub struct Way {
    /// Its name.
    pub name: String,
    /// Texts a second, round by round.
    pub rates: Vec<f64>,
    /// CPU time of a text in ms, of all processes but the load test, round by round.
    pub cpu_ms: Vec<f64>,
}

/// What was measured.
#[derive(Debug, Serialize)]
pub struct Embeddings {
    /// Texts of a round.
    pub texts: usize,
    /// Their tokens.
    pub tokens: usize,
    /// One text a task, as many in flight as LitServe has clients; one text a task, many in flight; several texts a task;
    /// sentence-transformers; LitServe.
    pub ways: Vec<Way>,
    /// The cosine of the platform's vectors, and of sentence-transformers' own, to those in 32 bits.
    pub cosines: (Nearness, Nearness),
    /// What the others are.
    pub versions: String,
}

/// Everything that is compared.
struct Field<'a> {
    stage: &'a Stage,
    peer: Peer,
    size: usize,
    litserve: Litserve,
    texts: Vec<String>,
    one: Vec<Bytes>,
    several: Vec<Bytes>,
}

/// Tasks with so many texts each.
pub fn payloads(texts: &[String], each: usize) -> Vec<Bytes> {
    let payload = |texts: &[String]| match texts {
        [one] => json!({"model": MODEL, "input": one}),
        many => json!({"model": MODEL, "input": many}),
    };
    texts.chunks(each).map(|texts| payload(texts).to_string().into()).collect()
}

/// Measures.
///
/// # Errors
/// Where a task or a request fails.
pub async fn measure(programs: &Programs, args: &Args, kit: &Kit) -> Result<Embeddings, LoadError> {
    let (store, model) = kit.model(MODEL).await?;
    let (texts, tokens) = Texts::of(&model)?.mixed(args.ml_texts);
    let list = kit.file("texts.json");
    std::fs::write(&list, json!(texts).to_string()).map_err(LoadError::io("write the texts"))?;
    let stage = Stage::start(programs, &store, MODEL).await?;
    let (one, several) = (payloads(&texts, 1), payloads(&texts, SEVERAL.0));
    let mut script = kit.script("encode.py");
    script.arg(&list);
    let mut peer = Peer::start(script).await?;
    let versions = peer.is.clone();
    let cosines = nearness::measure(&stage, &mut peer, &one, tokens, &kit.file("vectors")).await?;
    let size = best_size(&mut peer).await?;
    let litserve = best_litserve(kit, &texts, args.quick).await?;
    let mut field = Field { stage: &stage, peer, size, litserve, texts, one, several };
    let mut ways = field.names().map(|name| Way { name, rates: Vec::new(), cpu_ms: Vec::new() });
    for round in 0..args.rounds as usize {
        for n in 0..ways.len() {
            let way = (round + n) % ways.len();
            let (took, cpu) = field.run(way).await?;
            let (rate, cpu) = (args.ml_texts as f64 / took, cpu * 1e3 / args.ml_texts as f64);
            eprintln!("  {:<58} {rate:>7.1} texts/s   CPU {cpu:.2} ms a text", ways[way].name);
            ways[way].rates.push(rate);
            ways[way].cpu_ms.push(cpu);
        }
    }
    field.peer.stop().await?;
    stage.stop().await?;
    Ok(Embeddings { texts: args.ml_texts, tokens, ways: ways.into(), cosines, versions })
}

async fn best_size(peer: &mut Peer) -> Result<usize, LoadError> {
    let mut best = (f64::INFINITY, 0);
    for size in SIZES {
        let question = json!({"do": "encode", "size": size, "texts": TRIED});
        let first = peer.seconds(&question).await?;
        let seconds = first.min(peer.seconds(&question).await?);
        eprintln!("  sentence-transformers in batches of {size}: {seconds:.2} s");
        best = if seconds < best.0 { (seconds, size) } else { best };
    }
    Ok(best.1)
}

async fn best_litserve(kit: &Kit, texts: &[String], quick: bool) -> Result<Litserve, LoadError> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut best: Option<(Duration, Litserve)> = None;
    let texts = &texts[..texts.len().min(TRIED)];
    let tried = BATCHES.iter().flat_map(|&batch| [(batch, 1, cores), (batch, cores, 1)]);
    for (batch, workers, threads) in tried.take(if quick { 1 } else { usize::MAX }) {
        let litserve = Litserve::start(kit, Setting { batch, workers, threads }).await?;
        litserve.run(&texts[..texts.len() / 4], CLIENTS).await?;
        let took = litserve.run(texts, CLIENTS).await?;
        eprintln!("  {:?}: {:.1} texts/s", litserve.setting, texts.len() as f64 / took.as_secs_f64());
        if best.as_ref().is_none_or(|(least, _)| took < *least) {
            best = Some((took, litserve));
        }
    }
    let (_, litserve) = best.ok_or_else(|| LoadError::Stack("LitServe was not started".into()))?;
    litserve.pause(true);
    Ok(litserve)
}

impl Field<'_> {
    fn names(&self) -> [String; 5] {
        let Setting { batch, workers, threads } = self.litserve.setting;
        [
            format!("platform, 1 text a task, {CLIENTS} in flight"),
            format!("platform, 1 text a task, {IN_FLIGHT} in flight"),
            format!("platform, {} texts a task, {} in flight", SEVERAL.0, SEVERAL.1),
            format!("sentence-transformers, batches of {}", self.size),
            format!("LitServe, {CLIENTS} clients ({workers} x {threads} threads, batches of {batch})"),
        ]
    }

    /// All texts once. Returns seconds, and seconds of CPU.
    async fn run(&mut self, way: usize) -> Result<(f64, f64), LoadError> {
        let before = self.cpu(way);
        let took = match way {
            0 => self.platform(&self.one, CLIENTS).await?,
            1 => self.platform(&self.one, IN_FLIGHT).await?,
            2 => self.platform(&self.several, SEVERAL.1).await?,
            3 => {
                self.peer
                    .seconds(&json!({"do": "encode", "size": self.size, "texts": self.texts.len()}))
                    .await?
            }
            _ => {
                self.litserve.pause(false);
                let took = self.litserve.run(&self.texts, CLIENTS).await?;
                self.litserve.pause(true);
                took.as_secs_f64()
            }
        };
        Ok((took, (self.cpu(way) - before).as_secs_f64()))
    }

    async fn platform(&self, payloads: &[Bytes], in_flight: usize) -> Result<f64, LoadError> {
        let done = self.stage.tasks.run(&Round::of("embed_text", payloads, in_flight)).await?;
        Ok(done.took.as_secs_f64())
    }

    fn cpu(&self, way: usize) -> Duration {
        match way {
            3 => self.peer.cpu(),
            4 => self.litserve.cpu(),
            _ => self.stage.cpu().values().sum(),
        }
    }
}

impl Embeddings {
    fn rate(&self, way: usize) -> f64 {
        self.ways.get(way).map_or(0.0, |way| median(way.rates.iter().copied()))
    }

    /// One way's rate divided by another's: the median of pairs of rounds.
    fn times(&self, way: usize, other: usize) -> f64 {
        let rates = |n: usize| self.ways.get(n).map(|way| way.rates.clone()).unwrap_or_default();
        median(rates(way).into_iter().zip(rates(other)).map(|(ours, theirs)| ours / theirs))
    }

    /// The bars.
    pub fn bars(&self) -> Vec<Bar> {
        let beside = |promise, way, other, least: f64| {
            let times = self.times(way, other);
            let (ours, theirs) = (self.rate(way), self.rate(other));
            Bar {
                promise,
                measured: format!("{times:.2} times ({ours:.0} beside {theirs:.0} texts/s)"),
                met: times > least,
            }
        };
        let (ours, _) = &self.cosines;
        vec![
            beside("embeddings, 1 text a task: ahead of sentence-transformers", 1, 3, 1.0),
            beside("embeddings, 32 texts a task: ahead of sentence-transformers", 2, 3, 1.0),
            beside("embeddings, 32 clients: 2 times LitServe's rate", 0, 4, TIMES),
            Bar {
                promise: "embeddings in bf16: cosine to f32 of .9999",
                measured: format!("mean {:.6}, least {:.6}", ours.mean, ours.least),
                met: ours.mean >= nearness::NEAR,
            },
        ]
    }

    /// For people.
    pub fn table(&self) -> String {
        let mut out = String::new();
        line(
            &mut out,
            &format!(
                "embeddings: {} texts of {} tokens together; {}",
                self.texts, self.tokens, self.versions
            ),
        );
        for way in &self.ways {
            let (rate, cpu) = (median(way.rates.iter().copied()), median(way.cpu_ms.iter().copied()));
            line(&mut out, &format!("  {:<58} {rate:>7.1} texts/s   CPU {cpu:.2} ms a text", way.name));
        }
        let (ours, theirs) = &self.cosines;
        for (name, near) in [("platform", ours), ("sentence-transformers", theirs)] {
            let text = format!("  cosine to f32, {name}: mean {:.6}, least {:.6}", near.mean, near.least);
            line(&mut out, &text);
        }
        out
    }
}
