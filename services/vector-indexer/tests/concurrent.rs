//! Searches beside writers, merges and graphs: each sees every point once, never none and never two.
#![allow(clippy::unwrap_used, reason = "tests: what fails there is to fail")]

mod common;

use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
    time::Duration,
};

use common::{config, point, replay};
use tasklane_vector_indexer::{
    collection::{Collection, Search, With},
    ops::{Batch, Kind},
    space::Metric,
};

const POINTS: u32 = 150;

fn look(collection: &Collection, round: usize) {
    let vector = Some(vec![1.0, round as f32, -1.0, 0.3, 2.0]);
    let search = Search { vector, k: 1000, ef: Some(1000), with: With::USUAL, ..Search::default() };
    let found = collection.search(&search).unwrap();
    let ids: BTreeSet<String> = found.hits.iter().map(|hit| hit.id.clone()).collect();
    assert_eq!((found.hits.len(), ids.len()), (POINTS as usize, POINTS as usize), "{}", found.way);
    let (all, _) = collection.list(None, None, 1000, With::default()).unwrap();
    assert_eq!(all.len(), POINTS as usize);
    let some = Search { text: Some("alpha".into()), k: 5, with: With::USUAL, ..Search::default() };
    let hits = collection.search(&some).unwrap().hits;
    assert!(hits.iter().all(|hit| hit.text.as_ref().is_some_and(|text| text.contains("alpha"))));
}

#[test]
fn every_search_sees_every_point_once() {
    let folder = tempfile::tempdir().unwrap();
    let collection = Collection::open(folder.path(), config(Metric::L2)).unwrap();
    let all: Batch = (0..POINTS).map(|id| Kind::Upsert(point(id, 0))).collect();
    replay(&collection, &[all], 1);
    let (stop, looks) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    look(&collection, looks.fetch_add(1, Ordering::Relaxed));
                }
            });
        }
        for sequence in 2..200_u32 {
            let ids = (0..20).map(|at| (sequence * 17 + at * 7) % POINTS);
            let batch = ids.map(|id| Kind::Upsert(point(id, u64::from(sequence)))).collect();
            replay(&collection, &[batch], u64::from(sequence));
            if sequence % 50 == 0 {
                collection.flush().unwrap();
            }
        }
        assert!(collection.settle(Duration::from_secs(60)));
        stop.store(true, Ordering::Relaxed);
    });
    assert!(looks.load(Ordering::Relaxed) > 10);
    assert_eq!(collection.describe().points, u64::from(POINTS));
}
