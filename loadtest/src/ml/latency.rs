//! What the platform adds to one short text where little else goes on: from a task's submission to its result, beside the
//! model's bare forward pass in a process of its own (the ml service's example `bare`). Rounds alternate.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::process::Command;

use super::embeddings::{MODEL, payloads};
use super::kit::{self, Kit};
use super::stage::Stage;
use super::tasks::{Done, Round};
use super::texts::Texts;
use crate::args::Args;
use crate::error::LoadError;
use crate::report::{Bar, line, median};
use crate::stack::Programs;

/// Tokens of the text, special ones included.
const TOKENS: usize = 12;
/// Between two texts: little else goes on.
const APART: Duration = Duration::from_millis(50);
/// What the platform may add, in ms.
const MOST_MS: f64 = 2.0;

/// What was measured, in ms: medians, round by round.
#[derive(Debug, Serialize)]
pub struct Latency {
    /// Tokens of the text.
    pub tokens: usize,
    /// Texts of a round.
    pub texts: usize,
    /// The forward pass on one thread, which is what the service gives so short a text: one after the other.
    pub close_ms: Vec<f64>,
    /// The same, as far apart as the tasks.
    pub apart_ms: Vec<f64>,
    /// The forward pass on all cores: one after the other.
    pub cores_close_ms: Vec<f64>,
    /// The same, as far apart as the tasks.
    pub cores_apart_ms: Vec<f64>,
    /// From submission to result.
    pub task_ms: Vec<f64>,
    /// The same of tasks that only ask what the model is: the platform's own share, on the machine as it was.
    pub hops_ms: Vec<f64>,
    /// Ninety-nine in a hundred tasks take less.
    pub task_p99_ms: Vec<f64>,
}

/// Measures.
///
/// # Errors
/// Where a task or a program fails.
pub async fn measure(programs: &Programs, args: &Args, kit: &Kit) -> Result<Latency, LoadError> {
    let (store, model) = kit.model(MODEL).await?;
    let text = Texts::of(&model)?.of_length(TOKENS);
    let texts = args.ml_calls;
    let bare = kit::example(&programs.services, "bare")?;
    let stage = Stage::start(programs, &store, MODEL).await?;
    let tasks = payloads(&vec![text.clone(); texts], 1);
    let round = Round { apart: APART, ..Round::of("embed_text", &tasks, 1) };
    let questions = vec![Bytes::from(json!({"model": MODEL}).to_string()); texts];
    let asking = Round { apart: APART, ..Round::of("model_info", &questions, 1) };
    let mut found = Latency {
        tokens: TOKENS,
        texts,
        close_ms: Vec::new(),
        apart_ms: Vec::new(),
        cores_close_ms: Vec::new(),
        cores_apart_ms: Vec::new(),
        task_ms: Vec::new(),
        hops_ms: Vec::new(),
        task_p99_ms: Vec::new(),
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    // The first texts warm up, as they do in the bare program.
    stage.tasks.run(&Round::of("embed_text", &tasks[..texts.div_ceil(4)], 1)).await?;
    for _ in 0..args.rounds {
        let (close, apart) = alone(&bare, &model, &text, (texts, 1)).await?;
        let cores = alone(&bare, &model, &text, (texts, cores)).await?;
        let each = sorted(&stage.tasks.run(&round).await?);
        let hops = median(sorted(&stage.tasks.run(&asking).await?));
        let p99 = each[(each.len() * 99 / 100).min(each.len() - 1)];
        let task = median(each);
        eprintln!(
            "  forward pass {close:.2} ms, apart {apart:.2} ms; task {task:.2} ms, p99 {p99:.2} ms; without model {hops:.2} ms"
        );
        found.hops_ms.push(hops);
        found.cores_close_ms.push(cores.0);
        found.cores_apart_ms.push(cores.1);
        found.close_ms.push(close);
        found.apart_ms.push(apart);
        found.task_ms.push(task);
        found.task_p99_ms.push(p99);
    }
    stage.stop().await?;
    Ok(found)
}

/// How long each task of a round took in ms, the shortest first.
fn sorted(done: &Done) -> Vec<f64> {
    let mut each: Vec<f64> = done.each.iter().map(|took| took.as_secs_f64() * 1e3).collect();
    each.sort_by(f64::total_cmp);
    each
}

/// The bare forward pass on so many threads: one after the other, and apart.
async fn alone(
    bare: &Path,
    model: &Path,
    text: &str,
    (times, threads): (usize, usize),
) -> Result<(f64, f64), LoadError> {
    let mut command = Command::new(bare);
    command.arg(model).arg(text).args([
        times.to_string(),
        APART.as_millis().to_string(),
        threads.to_string(),
    ]);
    let ran = command.output().await.map_err(LoadError::io("start the example `bare`"))?;
    let told: Option<Value> = serde_json::from_slice(&ran.stdout).ok();
    let number = |name: &str| told.as_ref().and_then(|told| told[name].as_f64());
    match (number("close_ms"), number("apart_ms"), told.as_ref().and_then(|told| told["tokens"].as_u64())) {
        (Some(close), Some(apart), Some(tokens)) if tokens == TOKENS as u64 => Ok((close, apart)),
        _ => Err(LoadError::Stack(format!(
            "the example `bare` said: {}{}",
            String::from_utf8_lossy(&ran.stdout),
            String::from_utf8_lossy(&ran.stderr)
        ))),
    }
}

impl Latency {
    /// What is added to the forward pass: the median of the rounds' differences.
    fn added(&self, to: &[f64]) -> f64 {
        median(self.task_ms.iter().zip(to).map(|(task, bare)| task - bare))
    }

    /// The bars: beside passes as far apart as the tasks, and beside passes in a row, which find everything warm.
    pub fn bars(&self) -> [Bar; 2] {
        let bar = |promise, to: &[f64]| {
            let added = self.added(to);
            Bar { promise, measured: format!("{added:+.2} ms"), met: added <= MOST_MS }
        };
        [
            bar("one short text: at most 2 ms above a forward pass as rare, p50", &self.apart_ms),
            bar("one short text: at most 2 ms above forward passes in a row, p50", &self.close_ms),
        ]
    }

    /// For people.
    pub fn table(&self) -> String {
        let mut out = String::new();
        let each = APART.as_millis();
        line(
            &mut out,
            &format!("one text of {} tokens every {each} ms, {} a round, ms:", self.tokens, self.texts),
        );
        for (name, p50) in [
            ("forward pass, 1 thread, in a row", &self.close_ms),
            ("forward pass, 1 thread, apart", &self.apart_ms),
            ("forward pass, all cores, in a row", &self.cores_close_ms),
            ("forward pass, all cores, apart", &self.cores_apart_ms),
            ("task, p50", &self.task_ms),
            ("task, p99", &self.task_p99_ms),
            ("task that asks no model, p50", &self.hops_ms),
        ] {
            line(&mut out, &format!("  {name:<36} {:>6.2}", median(p50.iter().copied())));
        }
        let (close, apart) = (self.added(&self.close_ms), self.added(&self.apart_ms));
        line(&mut out, &format!("  added: {close:+.2} to passes in a row, {apart:+.2} to passes apart"));
        out
    }
}
