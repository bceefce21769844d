//! Through the whole platform, task in and result out: points put in batches, searches as fast as they go and at a fixed
//! rate, with and without filters. Each task has one result, and what was found is compared with what is true.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::Serialize;
use serde_json::json;

use super::data::{DIMENSION, Data};
use super::points::{self, COLLECTION, Keeps};
use super::stage::Stage;
use super::truth::{nearest, recall};
use crate::args::Args;
use crate::error::LoadError;
use crate::ml::tasks::{Done, Round};
use crate::report::{Bar, cpu_text, line, median};
use crate::stack::Programs;

/// Bars: vectors a second that are durable; searches a second; ms of the median search at the fixed rate; recall.
const UPSERTS: f64 = 20_000.0;
const SEARCHES: f64 = 3_000.0;
const P50_MS: f64 = 2.0;
const RECALL: f64 = 0.99;
/// Tasks unanswered at once.
const PUTTING: usize = 8;
const SEARCHING: usize = 64;
/// Questions whose answers are compared with the truth.
const CHECKED: usize = 1_000;
/// Filters that keep 10%, 1%, 0.1%; and none.
const KEEPS: [Keeps; 4] = [Keeps::ALL, Keeps { parts: 100 }, Keeps { parts: 10 }, Keeps { parts: 1 }];

/// Searches as fast as they go.
#[derive(Debug, Serialize)]
pub struct Searches {
    /// What the filter keeps.
    pub keeps: Keeps,
    /// Searches a second, round by round.
    pub rates: Vec<f64>,
    /// CPU µs of a search, by process, in the last round.
    pub cpu_us: BTreeMap<&'static str, f64>,
    /// The share of the true ten nearest that was found.
    pub recall: f64,
    /// The ways that the service took.
    pub ways: BTreeSet<String>,
}

/// What was measured.
#[derive(Debug, Serialize)]
pub struct Platform {
    /// Vectors.
    pub rows: usize,
    /// Where they are from.
    pub from: String,
    /// Vectors a second that were durable, all of them together.
    pub upserts_per_s: f64,
    /// CPU µs of a vector while they were put, by process.
    pub upsert_cpu_us: BTreeMap<&'static str, f64>,
    /// Seconds of CPU time until nothing was built any more, after the last was durable.
    pub settled_cpu_s: f64,
    /// Segments then.
    pub segments: usize,
    /// Resident memory of the service then, in KiB.
    pub resident_kib: u64,
    /// Without a filter, and with filters.
    pub searches: Vec<Searches>,
    /// Searches a second where latency was measured.
    pub rate: u32,
    /// ms from submission to result at that rate: the median, 99 in 100, the slowest.
    pub latency_ms: (f64, f64, f64),
}

/// Measures.
///
/// # Errors
/// Where a task is lost, doubled or failed.
pub async fn measure(programs: &Programs, args: &Args) -> Result<Platform, LoadError> {
    let data = Data::of(args.vectors.as_deref(), args.vector_rows)?;
    let stage = Stage::start(programs).await?;
    stage
        .ask(
            "vector_collections",
            &json!({"action": "create", "collection": COLLECTION, "dimension": DIMENSION}),
        )
        .await?;
    let count = args.vector_rows;
    let (upserts_per_s, upsert_cpu_us) = put(&stage, &data, count).await?;
    let before = stage.indexer();
    eprintln!("  {upserts_per_s:.0} vectors/s put; graphs are built");
    let described = stage.settle(count).await?;
    let settled_cpu_s = (stage.indexer() - before).as_secs_f64();
    let mut searches: Vec<Searches> = Vec::new();
    for keeps in KEEPS {
        searches.push(search(&stage, &data, args, keeps).await?);
    }
    let latency_ms = paced(&stage, &data, args).await?;
    let resident_kib = stage.resident_kib();
    stage.stop().await?;
    Ok(Platform {
        rows: count,
        from: data.from,
        upserts_per_s,
        upsert_cpu_us,
        settled_cpu_s,
        segments: described["segments"].as_array().map_or(0, Vec::len),
        resident_kib,
        searches,
        rate: args.vector_rate,
        latency_ms,
    })
}

type CpuUs = BTreeMap<&'static str, f64>;

fn spent(before: &BTreeMap<&'static str, Duration>, stage: &Stage, count: usize) -> CpuUs {
    let spent = |(name, now): (&'static str, Duration)| {
        let since = before.get(name).copied().unwrap_or_default();
        (name, (now - since).as_secs_f64() * 1e6 / count as f64)
    };
    stage.cpu().into_iter().map(spent).collect()
}

async fn put(stage: &Stage, data: &Data, count: usize) -> Result<(f64, CpuUs), LoadError> {
    let payloads = points::upserts(&data.rows);
    let before = stage.cpu();
    let done =
        stage.tasks.run(&Round { keep: true, ..Round::of("vector_indexing", &payloads, PUTTING) }).await?;
    let spent = spent(&before, stage, count);
    let mut put = 0;
    for record in &done.records {
        put += points::result(record)?["upserted"].as_u64().unwrap_or(0);
    }
    if put != count as u64 {
        return Err(LoadError::Wrong(format!("{count} vectors were put, {put} were taken")));
    }
    Ok((count as f64 / done.took.as_secs_f64(), spent))
}

async fn search(stage: &Stage, data: &Data, args: &Args, keeps: Keeps) -> Result<Searches, LoadError> {
    let payloads = points::searches(&data.questions, args.vector_searches, keeps);
    let round = Round { keep: true, ..Round::of("vector_search", &payloads, SEARCHING) };
    let (mut rates, mut cpu_us, mut last) = (Vec::new(), BTreeMap::new(), None);
    for _ in 0..args.rounds {
        let before = stage.cpu();
        let done = stage.tasks.run(&round).await?;
        cpu_us = spent(&before, stage, payloads.len());
        rates.push(payloads.len() as f64 / done.took.as_secs_f64());
        last = Some(done);
    }
    let (recall, ways) = checked(data, &last.map_or_else(Vec::new, |done: Done| done.records), keeps)?;
    let rate = median(rates.iter().copied());
    eprintln!("  keeps {:<6} {rate:.0} searches/s, recall {recall:.4}, {ways:?}", keeps.share());
    Ok(Searches { keeps, rates, cpu_us, recall, ways })
}

/// Recall of the first questions, and all ways.
fn checked(
    data: &Data,
    records: &[bytes::Bytes],
    keeps: Keeps,
) -> Result<(f64, BTreeSet<String>), LoadError> {
    let (mut all, mut truth, mut ways) = (Vec::new(), Vec::new(), BTreeSet::new());
    let questions = data.questions.chunks_exact(DIMENSION).map(Some).chain(std::iter::repeat(None));
    for (n, (record, question)) in records.iter().zip(questions).enumerate() {
        let (rows, way) = points::found(record)?;
        ways.insert(way);
        if let Some(stray) = rows.iter().find(|&&row| !keeps.row(row)) {
            return Err(LoadError::Wrong(format!("a filter let row {stray} through")));
        }
        if let Some(question) = question.filter(|_| n < CHECKED) {
            truth.push(nearest(&data.rows, |row| keeps.row(row), question));
            all.push(rows);
        }
    }
    Ok((recall(&all, &truth), ways))
}

/// Latency at a fixed rate.
async fn paced(stage: &Stage, data: &Data, args: &Args) -> Result<(f64, f64, f64), LoadError> {
    let count = (u64::from(args.vector_rate) * args.seconds.max(1)).min(args.vector_searches as u64);
    let payloads = points::searches(&data.questions, count as usize, Keeps::ALL);
    let apart = Duration::from_secs(1) / args.vector_rate;
    let done = stage.tasks.run(&Round { apart, ..Round::of("vector_search", &payloads, SEARCHING) }).await?;
    let mut each: Vec<f64> = done.each.iter().map(|time| time.as_secs_f64() * 1e3).collect();
    each.sort_by(f64::total_cmp);
    let at = |share: f64| each.get(((each.len() - 1) as f64 * share) as usize).copied().unwrap_or(f64::NAN);
    Ok((at(0.5), at(0.99), at(1.0)))
}

impl Platform {
    /// The bars.
    pub fn bars(&self) -> Vec<Bar> {
        let (p50, p99, _) = self.latency_ms;
        let rate = self.searches.first().map_or(0.0, |searches| median(searches.rates.iter().copied()));
        let least = self.searches.iter().map(|searches| searches.recall).fold(1.0, f64::min);
        vec![
            Bar {
                promise: "vectors, platform: 20,000 vectors/s durable",
                measured: format!("{:.0} vectors/s", self.upserts_per_s),
                met: self.upserts_per_s >= UPSERTS,
            },
            Bar {
                promise: "vectors, platform: 3,000 searches/s",
                measured: format!("{rate:.0} searches/s at {} rows", self.rows),
                met: rate >= SEARCHES,
            },
            Bar {
                promise: "vectors, platform: p50 of a search below 2 ms",
                measured: format!("{p50:.2} ms (p99 {p99:.2}) at {}/s", self.rate),
                met: p50 < P50_MS,
            },
            Bar {
                promise: "vectors, platform: recall .99, filters included",
                measured: format!("least {least:.4}"),
                met: least >= RECALL,
            },
        ]
    }

    /// For people.
    pub fn table(&self) -> String {
        let mut out = String::new();
        line(&mut out, &format!("vectors through the platform: {} rows, {}", self.rows, self.from));
        let cpu = cpu_text(&self.upsert_cpu_us);
        line(&mut out, &format!("  put: {:.0} vectors/s; CPU µs a vector: {cpu}", self.upserts_per_s));
        let (segments, cpu, mb) = (self.segments, self.settled_cpu_s, self.resident_kib / 1024);
        line(
            &mut out,
            &format!(
                "  then {cpu:.1} s of CPU until {segments} segments were at rest; {mb} MB resident at the end"
            ),
        );
        for searches in &self.searches {
            let (rate, cpu) = (median(searches.rates.iter().copied()), cpu_text(&searches.cpu_us));
            let (share, recall, ways) = (searches.keeps.share(), searches.recall, &searches.ways);
            line(
                &mut out,
                &format!(
                    "  keeps {share:<6} {rate:>7.0} searches/s, recall {recall:.4}, {ways:?}; CPU µs: {cpu}"
                ),
            );
        }
        let (p50, p99, most) = self.latency_ms;
        line(&mut out, &format!("  at {}/s: p50 {p50:.2}, p99 {p99:.2}, max {most:.1} ms", self.rate));
        out
    }
}
