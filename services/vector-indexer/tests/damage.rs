//! Whatever is done to the files of a collection, it opens, and the log from its sequence on makes it whole.
#![allow(clippy::unwrap_used, reason = "tests: what fails there is to fail")]

mod common;

use std::{collections::BTreeSet, fs, path::Path, time::Duration};

use common::{Model, config, files, filter, point, replay};
use serde_json::json;
use tasklane_vector_indexer::{
    collection::{Collection, import},
    ops::{Batch, Delete, DeleteWhere, Kind},
    space::Metric,
};

const METRIC: Metric = Metric::Cosine;
const QUESTION: [f32; 5] = [1.0, -2.0, 3.0, 0.5, 0.0];

fn log() -> Vec<Batch> {
    (0..30_u32)
        .map(|n| {
            // Most points are never written again: one that a replay leaves out is missed.
            let upserts = (0..9).map(|at| Kind::Upsert(point(n * 7 + at, u64::from(n * 100 + at))));
            let delete = Kind::Delete(Delete { ids: vec![format!("id-{}", n * 6)] });
            let filter = json!({"n": 10 - n / 3, "tag": "alpha"}).to_string();
            let mut kinds: Vec<Kind> = upserts.chain([delete]).collect();
            if n % 3 == 0 {
                kinds.push(Kind::DeleteWhere(DeleteWhere { filter }));
            }
            kinds.into_iter().collect()
        })
        .collect()
}

/// Segments stay apart, so that some of them are lost and some are not.
fn open(folder: &Path) -> Collection {
    let mut config = config(METRIC);
    config.most_rows = 60;
    Collection::open(folder, config).unwrap()
}

/// A collection with merged and young segments, graphs and deleted rows; some of the log is after its manifest.
fn made(folder: &Path, log: &[Batch]) {
    let collection = open(folder);
    replay(&collection, &log[..20], 1);
    collection.flush().unwrap();
    assert!(collection.settle(Duration::from_secs(60)));
    replay(&collection, &log[20..26], 21);
    collection.flush().unwrap();
    assert!(collection.settle(Duration::from_secs(60)));
    replay(&collection, &log[26..], 27);
}

fn copied(from: &Path, to: &Path) {
    for file in files(from) {
        let to = to.join(file.strip_prefix(from).unwrap());
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(&file, to).unwrap();
    }
}

/// Opens what is there, applies the log, and looks twice: also what was then made durable is whole.
fn recovers(folder: &Path, log: &[Batch]) -> u64 {
    let some = filter(&json!({"n": {"$gte": 5}}));
    let collection = open(folder);
    let sequence = collection.sequence();
    assert!(sequence <= log.len() as u64 && sequence <= collection.settled());
    if sequence == collection.settled() {
        Model::of(&log[..sequence as usize]).check(&collection, METRIC, &QUESTION, &some);
    }
    replay(&collection, log, 1);
    Model::of(log).check(&collection, METRIC, &QUESTION, &some);
    collection.flush().unwrap();
    drop(collection);
    let collection = open(folder);
    assert_eq!(collection.sequence(), log.len() as u64);
    Model::of(log).check(&collection, METRIC, &QUESTION, &some);
    sequence
}

#[test]
fn every_file_damaged_in_many_ways() {
    let (whole, log) = (tempfile::tempdir().unwrap(), log());
    made(whole.path(), &log);
    let mut sequences = BTreeSet::new();
    for (number, file) in files(whole.path()).iter().enumerate() {
        let name = file.strip_prefix(whole.path()).unwrap();
        let bytes = fs::read(file).unwrap();
        for way in [number % 4, (number + 1) % 4] {
            let folder = tempfile::tempdir().unwrap();
            copied(whole.path(), folder.path());
            let path = folder.path().join(name);
            let at = bytes.len() * (number * 7 + way * 13 + 5) % 97 / 97;
            match way {
                0 => fs::remove_file(&path).unwrap(),
                1 => fs::write(&path, &bytes[..at]).unwrap(),
                2 => fs::write(&path, bytes.iter().copied().chain([0, 1, 2]).collect::<Vec<_>>()).unwrap(),
                _ => {
                    let mut bytes = bytes.clone();
                    let at = (number * 31 + 7) % bytes.len().max(1);
                    if let Some(byte) = bytes.get_mut(at) {
                        *byte ^= 0x41;
                    }
                    fs::write(&path, bytes).unwrap();
                }
            }
            sequences.insert(recovers(folder.path(), &log));
        }
    }
    let between = sequences.iter().filter(|sequence| (1..26).contains(*sequence)).count();
    assert!(sequences.contains(&0) && sequences.contains(&26) && between > 0, "{sequences:?}");
}

#[test]
fn leftovers_are_removed() {
    let (folder, log) = (tempfile::tempdir().unwrap(), log());
    made(folder.path(), &log);
    let before = files(folder.path());
    for name in ["tmp-99", "999"] {
        fs::create_dir(folder.path().join(name)).unwrap();
        fs::write(folder.path().join(name).join("rows"), "half").unwrap();
    }
    fs::write(folder.path().join("tmp-manifest"), "half").unwrap();
    drop(open(folder.path()));
    let after = files(folder.path());
    assert!(
        after.iter().all(|file| before.contains(file) || file.to_string_lossy().contains("texts")),
        "{after:?}"
    );
}

#[test]
fn another_identity_starts_anew() {
    let (folder, log) = (tempfile::tempdir().unwrap(), log());
    made(folder.path(), &log);
    let mut other = config(METRIC);
    other.identity = "another".into();
    let collection = Collection::open(folder.path(), other).unwrap();
    assert_eq!((collection.sequence(), collection.describe().points), (0, 0));
}

#[test]
fn a_copy_is_a_collection() {
    let (folder, log) = (tempfile::tempdir().unwrap(), log());
    let (copy, new) = (folder.path().join("copy"), folder.path().join("new"));
    let collection = Collection::open(folder.path().join("old"), config(METRIC)).unwrap();
    replay(&collection, &log[..22], 1);
    assert_eq!(collection.export(&copy).unwrap(), 22);
    // What happens to the first afterwards is nothing to the copy.
    replay(&collection, &log, 1);
    collection.flush().unwrap();
    assert!(collection.settle(Duration::from_secs(60)));
    assert_eq!(import(&copy, &new).unwrap(), 22);
    assert_eq!(recovers(&new, &log), 22);
}
