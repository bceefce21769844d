//! In process, one thread each, the same vectors: our graph (the example `graph_bench` of the vector indexer), and hnswlib,
//! called by a script. hnswlib searches before and after ours: how far the two differ is what the machine's other work does.

use std::path::Path;

use serde::Serialize;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;

use super::curve::{Point, speed_at};
use super::data::{DIMENSION, Data};
use crate::args::Args;
use crate::error::LoadError;
use crate::ml::peer::Peer;
use crate::programs::setup_knows;
use crate::report::{Bar, line};
use crate::stack::Programs;

/// The recall that is promised.
const RECALL: f64 = 0.99;
/// A filtered search is no slower than this part of one without.
const FILTERED: f64 = 0.5;
/// The shares that filters keep of which something is promised.
const SHARES: [f64; 3] = [0.1, 0.01, 0.001];
/// Of both.
const M: u32 = 16;
const EF_CONSTRUCTION: u32 = 128;
const EFS: [u32; 8] = [32, 48, 64, 96, 128, 192, 256, 384];
const ROUNDS: u32 = 3;
const SCRIPT: (&str, &str) = ("nearest.py", include_str!("../../peers/nearest.py"));

/// A filter's searches, in the ways that there are.
#[derive(Debug, Serialize)]
pub struct Filtered {
    /// The share of rows that it keeps.
    pub keeps: f64,
    /// Comparing all that it keeps.
    pub scan: Point,
    /// Through the graph; empty where so few are kept that nobody would.
    pub graph: Vec<Point>,
}

/// What was measured.
#[derive(Debug, Serialize)]
pub struct Search {
    /// Vectors, and questions.
    pub rows: usize,
    /// Questions.
    pub questions: usize,
    /// Where they are from.
    pub from: String,
    /// What the other is.
    pub versions: String,
    /// CPU seconds of a build on one thread: ours with taking the rows in, and hnswlib's.
    pub build_cpu_s: (f64, f64),
    /// Ours.
    pub graph: Vec<Point>,
    /// hnswlib's before and after ours.
    pub hnswlib: [Vec<Point>; 2],
    /// Ours, comparing all codes.
    pub scan: Option<Point>,
    /// With filters.
    pub filtered: Vec<Filtered>,
}

/// Measures.
///
/// # Errors
/// Where a program or a package is missing, or one fails.
pub async fn measure(programs: &Programs, args: &Args) -> Result<Search, LoadError> {
    let folder = tempfile::tempdir().map_err(LoadError::io("make a folder"))?;
    let data = Data::of(args.vectors.as_deref(), args.vector_rows)?;
    let (rows, questions) = data.write(folder.path())?;
    let (count, asked, from) = (data.rows.len(), data.questions.len(), data.from.clone());
    drop(data);
    let mut peer = peer(args, &folder, &rows, &questions).await?;
    eprintln!("  hnswlib builds");
    let built = peer.ask(&json!({"do": "build", "m": M, "ef": EF_CONSTRUCTION, "threads": 1})).await?;
    let before = searched(&mut peer).await?;
    eprintln!("  our graph, with and without filters");
    let told = ours(&programs.services, &rows, &questions).await?;
    let after = searched(&mut peer).await?;
    let versions = peer.is.clone();
    peer.stop().await?;
    let build = told.iter().find(|line| line["build_cpu_s"].is_number());
    let seconds = |value: Option<&Value>| value.and_then(Value::as_f64).unwrap_or(f64::NAN);
    let own = seconds(build.map(|b| &b["build_cpu_s"])) + seconds(build.map(|b| &b["rows_cpu_s"]));
    let (graph, scan, filtered) = sorted(&told);
    Ok(Search {
        rows: count / DIMENSION,
        questions: asked / DIMENSION,
        from,
        versions,
        build_cpu_s: (own, seconds(built.get("cpu_s"))),
        graph,
        hnswlib: [before, after],
        scan,
        filtered,
    })
}

async fn peer(args: &Args, folder: &TempDir, rows: &Path, questions: &Path) -> Result<Peer, LoadError> {
    let python = args.vector_python.clone().or_else(|| setup_knows("vector-peers")).ok_or_else(|| {
        LoadError::Stack(
            "hnswlib is not there: `scripts/setup.sh vector-peers` gets it, or name its Python by --vector-python"
                .into(),
        )
    })?;
    let script = folder.path().join(SCRIPT.0);
    std::fs::write(&script, SCRIPT.1).map_err(LoadError::io("write a script"))?;
    let mut command = Command::new(python);
    command.arg(script).args([rows, questions]).arg(DIMENSION.to_string()).kill_on_drop(true);
    Peer::start(command).await
}

async fn searched(peer: &mut Peer) -> Result<Vec<Point>, LoadError> {
    let answer = peer.ask(&json!({"do": "search", "ef": EFS, "rounds": ROUNDS})).await?;
    serde_json::from_value(answer["points"].clone())
        .map_err(|e| LoadError::Stack(format!("a script answered {answer}: {e}")))
}

/// What `graph_bench` prints, line by line.
async fn ours(services: &Path, rows: &Path, questions: &Path) -> Result<Vec<Value>, LoadError> {
    let program = services.join("examples/graph_bench");
    if !program.is_file() {
        return Err(LoadError::Stack(format!(
            "{} is not there: `cargo build --release -p tasklane-vector-indexer --examples` makes it",
            program.display()
        )));
    }
    let mut command = Command::new(program);
    command.args([rows, questions]).arg(DIMENSION.to_string()).kill_on_drop(true);
    let ran = command.output().await.map_err(LoadError::io("start the example `graph_bench`"))?;
    let told = String::from_utf8_lossy(&ran.stdout);
    if !ran.status.success() {
        let said = String::from_utf8_lossy(&ran.stderr);
        return Err(LoadError::Stack(format!("the example `graph_bench`: {} {said}", ran.status)));
    }
    Ok(told.lines().filter_map(|line| serde_json::from_str(line).ok()).collect())
}

fn sorted(told: &[Value]) -> (Vec<Point>, Option<Point>, Vec<Filtered>) {
    let (mut graph, mut scan, mut filtered): (Vec<Point>, _, Vec<Filtered>) = (Vec::new(), None, Vec::new());
    for value in told {
        let Ok(point) = serde_json::from_value::<Point>(value.clone()) else { continue };
        match (value["keeps"].as_f64(), value["scan"] == true) {
            (None, true) => scan = Some(point),
            (None, false) => graph.push(point),
            (Some(keeps), true) => filtered.push(Filtered { keeps, scan: point, graph: Vec::new() }),
            (Some(_), false) => filtered.iter_mut().rev().take(1).for_each(|last| last.graph.push(point)),
        }
    }
    (graph, scan, filtered)
}

impl Filtered {
    /// The fastest way that finds enough.
    fn best(&self) -> Option<f64> {
        let scan = (self.scan.recall >= RECALL).then_some(self.scan.per_cpu_s);
        scan.into_iter().chain(speed_at(&self.graph, RECALL)).reduce(f64::max)
    }
}

impl Search {
    fn speeds(&self) -> (Option<f64>, Option<f64>) {
        let [before, after] = &self.hnswlib;
        let theirs =
            [before, after].into_iter().filter_map(|points| speed_at(points, RECALL)).reduce(f64::max);
        (speed_at(&self.graph, RECALL), theirs)
    }

    /// The bars.
    pub fn bars(&self) -> Vec<Bar> {
        let (ours, theirs) = self.speeds();
        let (own, other) = self.build_cpu_s;
        let mut bars = vec![
            Bar {
                promise: "vectors: searches per CPU-second at recall .99: hnswlib's",
                measured: format!("{} beside {} at {} rows", told(ours), told(theirs), self.rows),
                met: ours.is_some_and(|ours| theirs.is_none_or(|theirs| ours >= theirs)),
            },
            Bar {
                promise: "vectors: a build takes no more CPU than hnswlib's",
                measured: format!("{own:.1} beside {other:.1} s at {} rows", self.rows),
                met: own <= other,
            },
        ];
        let promised =
            self.filtered.iter().filter(|f| SHARES.iter().any(|share| (f.keeps - share).abs() < 1e-9));
        bars.extend(promised.map(|filtered| Bar {
            promise: "vectors, filtered: recall .99 at half the unfiltered speed",
            measured: format!(
                "{} beside {} a CPU-s, {} kept",
                told(filtered.best()),
                told(ours),
                filtered.keeps
            ),
            met: filtered.best().zip(ours).is_some_and(|(filtered, all)| filtered >= all * FILTERED),
        }));
        bars
    }

    /// For people.
    pub fn table(&self) -> String {
        let mut out = String::new();
        let (own, other) = self.build_cpu_s;
        line(
            &mut out,
            &format!(
                "vectors: {} rows, {} questions, {}; {}",
                self.rows, self.questions, self.from, self.versions
            ),
        );
        line(&mut out, &format!("  build, CPU s: {own:.1}, hnswlib {other:.1}"));
        let [before, after] = &self.hnswlib;
        for (name, points) in [("graph", &self.graph), ("hnswlib, before", before), ("hnswlib, after", after)]
        {
            row(&mut out, name, points);
        }
        row(&mut out, "scan of all", self.scan.as_slice());
        for filtered in &self.filtered {
            let name = format!("keeps {}", filtered.keeps);
            row(&mut out, &format!("{name}, scan"), &[filtered.scan]);
            row(&mut out, &format!("{name}, graph"), &filtered.graph);
        }
        let (ours, theirs) = self.speeds();
        line(&mut out, &format!("  at recall {RECALL}: {}, hnswlib {} a CPU-s", told(ours), told(theirs)));
        out
    }
}

fn told(speed: Option<f64>) -> String {
    speed.map_or_else(|| "not reached".to_owned(), |speed| format!("{speed:.0}"))
}

/// A way's settings on one line: ef, recall, searches a CPU-second.
fn row(out: &mut String, name: &str, points: &[Point]) {
    let point = |p: &Point| {
        let ef = if p.ef == 0 { String::new() } else { format!("ef {} ", p.ef) };
        format!("{ef}{:.4} {:.0}", p.recall, p.per_cpu_s)
    };
    let points: Vec<String> = points.iter().map(point).collect();
    if !points.is_empty() {
        line(out, &format!("  {name:<20} {}", points.join(" | ")));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_put_where_they_belong() {
        let told = [
            json!({"rows": 5, "build_cpu_s": 1.0}),
            json!({"ef": 32, "recall": 0.99, "per_cpu_s": 9000.0}),
            json!({"scan": true, "recall": 1.0, "per_cpu_s": 100.0}),
            json!({"keeps": 0.1, "scan": true, "recall": 1.0, "per_cpu_s": 4000.0}),
            json!({"keeps": 0.1, "ef": 32, "recall": 0.995, "per_cpu_s": 5000.0}),
        ];
        let (graph, scan, filtered) = sorted(&told);
        assert_eq!((graph.len(), graph[0].ef, scan.map(|scan| scan.recall)), (1, 32, Some(1.0)));
        assert_eq!((filtered.len(), filtered[0].graph.len(), filtered[0].best()), (1, 1, Some(5000.0)));
    }
}
