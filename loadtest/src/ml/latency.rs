//! What the platform adds to one short text where little else goes on: from a task's submission to its result, beside the
//! model's bare forward pass in a process of its own (the ml service's example `bare`). Rounds alternate.

use std::path::PathBuf;
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
use crate::awake::Awake;
use crate::error::LoadError;
use crate::report::{Bar, line, median};
use crate::stack::Programs;

/// Tokens of the text, special ones included.
const TOKENS: usize = 12;
/// Between two texts: little else goes on.
const APART: Duration = Duration::from_millis(50);
/// What the platform may add, in ms.
const MOST_MS: f64 = 2.0;

/// What was measured where cores may sleep, and where they do not.
#[derive(Debug, Serialize)]
pub struct Latency {
    /// Tokens of the text.
    pub tokens: usize,
    /// Texts of a round.
    pub texts: usize,
    /// The machine as it is.
    pub asleep: Timed,
    /// With cores kept awake; none where the machine has no `chrt`.
    pub awake: Option<Timed>,
}

/// In ms: medians, round by round.
#[derive(Debug, Default, Serialize)]
pub struct Timed {
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
    /// Ninety-nine in a hundred tasks take less.
    pub task_p99_ms: Vec<f64>,
    /// Tasks that only ask what the model is: the platform's own share, on the machine as it was.
    pub hops_ms: Vec<f64>,
    /// From the start of a task's attempt in the service to its result being made.
    pub inside_ms: Vec<f64>,
    /// The same of tasks that only ask what the model is.
    pub hops_inside_ms: Vec<f64>,
}

/// What is timed.
struct Timing<'a> {
    stage: &'a Stage,
    bare: PathBuf,
    model: PathBuf,
    text: String,
    tasks: Vec<Bytes>,
    questions: Vec<Bytes>,
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
    let questions = vec![Bytes::from(json!({"model": MODEL}).to_string()); texts];
    let timing = Timing { stage: &stage, bare, model, text, tasks, questions };
    let asleep = timing.rounds(args.rounds).await?;
    let awake = match Awake::keep()? {
        Some(_kept) => Some(timing.rounds(args.rounds).await?),
        None => None,
    };
    stage.stop().await?;
    Ok(Latency { tokens: TOKENS, texts, asleep, awake })
}

impl Timing<'_> {
    async fn rounds(&self, rounds: u32) -> Result<Timed, LoadError> {
        let paced =
            |task_type, payloads| Round { apart: APART, keep: true, ..Round::of(task_type, payloads, 1) };
        let mut timed = Timed::default();
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        // The first texts warm up, as they do in the bare program.
        let first = &self.tasks[..self.tasks.len().div_ceil(4)];
        self.stage.tasks.run(&Round::of("embed_text", first, 1)).await?;
        for _ in 0..rounds {
            let (close, apart) = self.alone(1).await?;
            let (cores_close, cores_apart) = self.alone(cores).await?;
            let embedded = self.stage.tasks.run(&paced("embed_text", &self.tasks)).await?;
            let asked = self.stage.tasks.run(&paced("model_info", &self.questions)).await?;
            let (each, hops) = (sorted(&embedded), median(took(&asked)));
            timed.inside_ms.push(median(inside(&embedded)));
            timed.hops_inside_ms.push(median(inside(&asked)));
            let p99 = each[(each.len() * 99 / 100).min(each.len() - 1)];
            let task = median(each);
            eprintln!(
                "  forward pass {close:.2} ms, apart {apart:.2} ms; task {task:.2} ms, p99 {p99:.2} ms; without model \
                 {hops:.2} ms"
            );
            timed.close_ms.push(close);
            timed.apart_ms.push(apart);
            timed.cores_close_ms.push(cores_close);
            timed.cores_apart_ms.push(cores_apart);
            timed.task_ms.push(task);
            timed.task_p99_ms.push(p99);
            timed.hops_ms.push(hops);
        }
        Ok(timed)
    }

    /// The bare forward pass on so many threads: one after the other, and apart.
    async fn alone(&self, threads: usize) -> Result<(f64, f64), LoadError> {
        let mut command = Command::new(&self.bare);
        command.arg(&self.model).arg(&self.text);
        command.args([self.tasks.len().to_string(), APART.as_millis().to_string(), threads.to_string()]);
        let ran = command.output().await.map_err(LoadError::io("start the example `bare`"))?;
        let told: Value = serde_json::from_slice(&ran.stdout).unwrap_or_default();
        match (told["close_ms"].as_f64(), told["apart_ms"].as_f64(), told["tokens"].as_u64()) {
            (Some(close), Some(apart), Some(tokens)) if tokens == TOKENS as u64 => Ok((close, apart)),
            _ => Err(LoadError::Stack(format!(
                "the example `bare` said: {}{}",
                String::from_utf8_lossy(&ran.stdout),
                String::from_utf8_lossy(&ran.stderr)
            ))),
        }
    }
}

/// How long each task of a round took in ms.
fn took(done: &Done) -> impl Iterator<Item = f64> {
    done.each.iter().map(|took| took.as_secs_f64() * 1e3)
}

/// The same, the shortest first.
fn sorted(done: &Done) -> Vec<f64> {
    let mut each: Vec<f64> = took(done).collect();
    each.sort_by(f64::total_cmp);
    each
}

/// How long each task of a round took in the service in ms, as its record says.
fn inside(done: &Done) -> impl Iterator<Item = f64> {
    let read = |record: &Bytes| serde_json::from_slice::<Value>(record).unwrap_or_default();
    done.records.iter().filter_map(move |record| read(record)["timings"]["processing_ms"].as_f64())
}

impl Timed {
    /// What a task adds to the forward pass: the median of the rounds' differences.
    fn added(&self, to: &[f64]) -> f64 {
        median(self.task_ms.iter().zip(to).map(|(task, bare)| task - bare))
    }

    fn table(&self, out: &mut String) {
        for (name, p50) in [
            ("forward pass, 1 thread, in a row", &self.close_ms),
            ("forward pass, 1 thread, apart", &self.apart_ms),
            ("forward pass, all cores, in a row", &self.cores_close_ms),
            ("forward pass, all cores, apart", &self.cores_apart_ms),
            ("task, p50", &self.task_ms),
            ("task, p99", &self.task_p99_ms),
            ("task, in the service, p50", &self.inside_ms),
            ("task that asks no model, p50", &self.hops_ms),
            ("the same, in the service, p50", &self.hops_inside_ms),
        ] {
            line(out, &format!("  {name:<36} {:>6.2}", median(p50.iter().copied())));
        }
        let (close, apart) = (self.added(&self.close_ms), self.added(&self.apart_ms));
        line(out, &format!("  added: {apart:+.2} to passes apart, {close:+.2} to passes in a row"));
    }
}

impl Latency {
    /// The bars: a pass as rare as the tasks is what they are held beside, for a core that sleeps meanwhile has forgotten the
    /// weights.
    pub fn bars(&self) -> Vec<Bar> {
        let bar = |promise, timed: &Timed| {
            let added = timed.added(&timed.apart_ms);
            Bar { promise, measured: format!("{added:+.2} ms"), met: added <= MOST_MS }
        };
        let asleep = bar("one short text: p50 at most 2 ms above the forward pass", &self.asleep);
        let awake = |timed| bar("the same, cores kept awake", timed);
        std::iter::once(asleep).chain(self.awake.as_ref().map(awake)).collect()
    }

    /// For people.
    pub fn table(&self) -> String {
        let mut out = String::new();
        let (tokens, each, texts) = (self.tokens, APART.as_millis(), self.texts);
        line(&mut out, &format!("one text of {tokens} tokens every {each} ms, {texts} a round, ms:"));
        self.asleep.table(&mut out);
        if let Some(awake) = &self.awake {
            line(&mut out, "the same, cores kept awake:");
            awake.table(&mut out);
        }
        out
    }
}
