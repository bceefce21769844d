//! A vector indexer that is killed at any moment: what was acknowledged is there afterwards, and what was deleted is not.
//!
//! Writers put, overwrite and delete groups of points, each waiting for its task's result before its next one; the process is
//! killed at random moments, and now and then a file of it is torn before it starts again. After each start all points are
//! read and held against what was acknowledged. A group that a task was at while it was read is not judged.
//!
//! `TASKLANE_TEST_VECTOR_KILLS` says how often; `TASKLANE_TEST_SEED` repeats a run's choices.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use serde_json::{Value, json};
use tasklane_testkit::Client;

use crate::rig::Rig;

const WRITERS: usize = 4;
const GROUPS: usize = 12;
const POINTS: usize = 8;
const USUAL_KILLS: usize = 25;

/// What is known of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Known {
    /// It is there in this version, or not there.
    Is(Option<u64>),
    /// A task is at it.
    Open,
    /// A task failed at it: it may be either way, for good.
    Lost,
}

type Model = Arc<Mutex<BTreeMap<usize, Known>>>;

fn number(name: &str, usual: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

fn vector(group: usize, n: usize, version: u64) -> Vec<f32> {
    let at = (group * POINTS + n) as f32 * 0.02 + version as f32 * 0.001;
    vec![at.cos(), at.sin(), (at * 3.0).cos(), 0.5]
}

fn id(group: usize, n: usize) -> String {
    format!("g{group:03}-{n}")
}

fn task(rng: &mut StdRng, group: usize, version: u64) -> (&'static str, Value, Option<u64>) {
    let ids: Vec<String> = (0..POINTS).map(|n| id(group, n)).collect();
    match rng.random_range(0..5) {
        0 => ("vector_delete", json!({"collection": "docs", "ids": ids}), None),
        1 => ("vector_delete", json!({"collection": "docs", "filter": {"group": group}}), None),
        _ => {
            let point = |n: usize| {
                json!({"id": id(group, n), "vector": vector(group, n, version), "text": format!("group {group}"),
                    "metadata": {"group": group, "version": version}})
            };
            let points: Vec<Value> = (0..POINTS).map(point).collect();
            ("vector_indexing", json!({"collection": "docs", "points": points}), Some(version))
        }
    }
}

async fn write(
    client: Client,
    writer: usize,
    seed: u64,
    model: Model,
    stop: Arc<AtomicBool>,
    last: Arc<Mutex<u64>>,
) {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut version = 0;
    while !stop.load(Ordering::Relaxed) {
        version += 1;
        let group = writer * GROUPS + rng.random_range(0..GROUPS);
        if model.lock().unwrap().get(&group) == Some(&Known::Lost) {
            continue;
        }
        let (task_type, payload, after) = task(&mut rng, group, version);
        model.lock().unwrap().insert(group, Known::Open);
        let id = client.submit(task_type, payload).await;
        let result = loop {
            if let Some(record) = client.record_now(&id).await {
                break record.json();
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        };
        let known = if result["status"] == "succeeded" {
            let sequence = result["result"]["sequence"].as_u64().unwrap();
            let mut last = last.lock().unwrap();
            *last = sequence.max(*last);
            Known::Is(after)
        } else {
            println!("{task_type}: {}", result["error"]);
            Known::Lost
        };
        model.lock().unwrap().insert(group, known);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_survives_every_kill() {
    let kills = number("TASKLANE_TEST_VECTOR_KILLS", USUAL_KILLS as u64);
    let seed = number("TASKLANE_TEST_SEED", rand::rng().random());
    println!("TASKLANE_TEST_VECTOR_KILLS={kills} TASKLANE_TEST_SEED={seed}");
    let Some(mut rig) = Rig::start(&["one"]).await else { return };
    rig.create("docs", 4).await;
    let model: Model = Arc::default();
    let (stop, last) = (Arc::<AtomicBool>::default(), Arc::<Mutex<u64>>::default());
    let writers: Vec<_> = (0..WRITERS)
        .map(|n| {
            let client = rig.stack.client.clone();
            let seed = seed.wrapping_add(n as u64 + 1);
            tokio::spawn(write(client, n, seed, Arc::clone(&model), Arc::clone(&stop), Arc::clone(&last)))
        })
        .collect();
    let mut rng = StdRng::seed_from_u64(seed);
    let (mut judged, mut torn) = (0, 0);
    for kill in 1..=kills {
        tokio::time::sleep(Duration::from_millis(rng.random_range(0..600))).await;
        rig.stack.kill9("one");
        if kill.is_multiple_of(4) {
            torn += usize::from(tear(&rig.folder_of("one"), &mut rng));
        }
        if kill.is_multiple_of(5) {
            // Killed before it has come up.
            rig.stack.launch_again("one");
            tokio::time::sleep(Duration::from_millis(rng.random_range(0..300))).await;
            rig.stack.kill9("one");
        }
        rig.stack.start_again("one").await;
        judged += judge(&rig, &model, &last, kill).await;
    }
    stop.store(true, Ordering::Relaxed);
    for writer in writers {
        writer.await.unwrap();
    }
    let at_rest = judge(&rig, &model, &last, 0).await;
    let lost = model.lock().unwrap().values().filter(|known| **known == Known::Lost).count();
    println!("{kills} kills, {torn} torn files, {judged} groups judged, {at_rest} at rest, {lost} unknown");
    assert!(judged > kills as usize && at_rest + lost >= WRITERS, "nothing was judged");
}

/// Reads everything and holds it against what is known. Gives how many groups were judged.
async fn judge(rig: &Rig, model: &Model, last: &Mutex<u64>, kill: u64) -> usize {
    let before = model.lock().unwrap().clone();
    let sequence = *last.lock().unwrap();
    let points = rig.points("docs", sequence, &json!({})).await;
    let after = model.lock().unwrap().clone();
    let mut found: BTreeMap<usize, Vec<u64>> = BTreeMap::new();
    for point in points {
        let metadata = &point["metadata"];
        let group = usize::try_from(metadata["group"].as_u64().unwrap()).unwrap();
        found.entry(group).or_default().push(metadata["version"].as_u64().unwrap());
    }
    let mut judged = 0;
    for (group, known) in before {
        let Known::Is(version) = known else { continue };
        if after.get(&group) != Some(&known) {
            continue;
        }
        judged += 1;
        let there = found.get(&group).cloned().unwrap_or_default();
        let expected = version.map_or_else(Vec::new, |version| vec![version; POINTS]);
        assert_eq!(there, expected, "group {group} after kill {kill}, at {sequence}");
    }
    judged
}

/// Cuts some file of a collection, or changes a byte of it.
fn tear(folder: &Path, rng: &mut StdRng) -> bool {
    let mut files = Vec::new();
    collect(folder, &mut files);
    files.sort();
    if files.is_empty() {
        return false;
    }
    let path = &files[rng.random_range(0..files.len())];
    let mut bytes = std::fs::read(path).unwrap();
    if bytes.is_empty() {
        return false;
    }
    let at = rng.random_range(0..bytes.len());
    if rng.random_bool(0.5) {
        bytes.truncate(at);
    } else {
        bytes[at] ^= 0x55;
    }
    // A file that is shared with a snapshot's copy is replaced, not changed.
    std::fs::remove_file(path).unwrap();
    std::fs::write(path, bytes).unwrap();
    true
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.file_name().is_some_and(|name| name != "lock") {
            files.push(path);
        }
    }
}
