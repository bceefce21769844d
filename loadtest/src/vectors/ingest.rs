//! A folder of documents into a collection, by all services together: which of them takes the processor.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::json;
use tokio::process::Command;

use super::corpus;
use crate::args::Args;
use crate::error::LoadError;
use crate::process;
use crate::programs::setup_knows;
use crate::report::{Bar, line};
use crate::stack::{Programs, Stack, of_model};

/// What embeds; `scripts/setup.sh` gets it.
const MODEL: &str = "minilm";
/// The share of all CPU time that the model's service is to take, at least.
const SHARE: f64 = 0.8;
/// The command that ingests.
const COMMAND: &str = "tasklane";

/// What was measured.
#[derive(Debug, Serialize)]
pub struct Ingest {
    /// Documents.
    pub documents: usize,
    /// Where they are from.
    pub from: String,
    /// Points in the collection afterwards.
    pub chunks: u64,
    /// From the command's start to its end.
    pub seconds: f64,
    /// CPU seconds by process, with those that it has started.
    pub cpu_s: BTreeMap<&'static str, f64>,
    /// The same command again, which finds everything done.
    pub again_s: f64,
}

/// Measures.
///
/// # Errors
/// Where a program or the model is missing, or a document is not indexed.
pub async fn measure(programs: &Programs, args: &Args) -> Result<Ingest, LoadError> {
    let model = setup_knows(MODEL).ok_or_else(|| {
        LoadError::Stack(format!("the model {MODEL} is not there: `scripts/setup.sh {MODEL}` gets it"))
    })?;
    let folder = tempfile::tempdir().map_err(LoadError::io("make a folder"))?;
    let (documents, from, count) = match &args.ingest_documents {
        Some(own) => (own.clone(), own.display().to_string(), corpus::count(own)?),
        None => {
            let made = folder.path().join("documents");
            corpus::write(&model, &made, args.ingest_count)?;
            (made, "written for it: Markdown, HTML and plain text".to_owned(), args.ingest_count)
        }
    };
    let store = model.parent().unwrap_or(Path::new("."));
    let of_models = of_model(store, &folder.path().join("cache"), MODEL);
    let of_vectors = [("TASKLANE_VECTORS_FOLDER", folder.path().join("vectors").display().to_string())];
    let stack = Stack::with_pipeline(programs, &of_models, &of_vectors).await?;
    let before = cpu(&stack);
    let (seconds, own) = run(programs, &stack, &documents).await?;
    let mut cpu_s: BTreeMap<&'static str, f64> = BTreeMap::new();
    for (name, now) in cpu(&stack) {
        let since = before.get(name).copied().unwrap_or_default();
        cpu_s.insert(name, now.saturating_sub(since).as_secs_f64());
    }
    cpu_s.insert(COMMAND, own.as_secs_f64());
    let (again_s, _) = run(programs, &stack, &documents).await?;
    let chunks = chunks(programs, &stack).await?;
    stack.stop().await?;
    Ok(Ingest { documents: count, from, chunks, seconds, cpu_s, again_s })
}

fn cpu(stack: &Stack) -> BTreeMap<&'static str, Duration> {
    stack.processes().into_iter().filter_map(|(name, pid)| Some((name, process::tree_cpu(pid)?))).collect()
}

/// Ingests; how long it took, and the command's own CPU time.
async fn run(programs: &Programs, stack: &Stack, documents: &Path) -> Result<(f64, Duration), LoadError> {
    let (begun, before) = (Instant::now(), process::ended_cpu());
    let mut command = ours(programs, stack);
    let status = command.arg("ingest").arg(documents).args(["--collection", "load", "--model", MODEL]);
    let status = status.status().await.map_err(LoadError::io("start the command"))?;
    match status.success() {
        true => Ok((begun.elapsed().as_secs_f64(), process::ended_cpu().saturating_sub(before))),
        false => Err(LoadError::Wrong(format!("`tasklane ingest` ended with {status}"))),
    }
}

async fn chunks(programs: &Programs, stack: &Stack) -> Result<u64, LoadError> {
    let wanted = json!({"action": "describe", "collection": "load"}).to_string();
    let answer = ours(programs, stack).args(["run", "vector_collections", &wanted, "--json"]).output().await;
    let answer = answer.map_err(LoadError::io("start the command"))?;
    let record: serde_json::Value = serde_json::from_slice(&answer.stdout)
        .map_err(|e| LoadError::Wrong(format!("the collection's description: {e}")))?;
    let points = record["result"]["points"].as_u64();
    points.ok_or_else(|| LoadError::Wrong(format!("the collection's description has no points: {record}")))
}

fn ours(programs: &Programs, stack: &Stack) -> Command {
    let mut command = Command::new(programs.services.join(COMMAND));
    command.args(["--nats", stack.url()]).kill_on_drop(true);
    command
}

impl Ingest {
    fn share(&self) -> f64 {
        let all: f64 = self.cpu_s.values().sum();
        self.cpu_s.get("ml").copied().unwrap_or(0.0) / all.max(f64::MIN_POSITIVE)
    }

    /// The bars.
    pub fn bars(&self) -> Vec<Bar> {
        let share = self.share();
        vec![Bar {
            promise: "ingest: the embedding model takes 80% of the CPU time",
            measured: format!("{:.1}% of {} documents", share * 100.0, self.documents),
            met: share >= SHARE,
        }]
    }

    /// For people.
    pub fn table(&self) -> String {
        let mut out = String::new();
        let (documents, from, chunks, seconds) = (self.documents, &self.from, self.chunks, self.seconds);
        line(&mut out, &format!("ingest of {documents} documents, {from}"));
        let rate = chunks as f64 / seconds;
        line(
            &mut out,
            &format!("  {seconds:.1} s, {chunks} chunks, {rate:.0} a second; again {:.1} s", self.again_s),
        );
        let each = |(name, spent): (&&str, &f64)| format!("{name} {spent:.1}");
        let cpu: Vec<String> = self.cpu_s.iter().map(each).collect();
        line(
            &mut out,
            &format!("  CPU s: {}; the model's service {:.1}%", cpu.join(", "), self.share() * 100.0),
        );
        out
    }
}
