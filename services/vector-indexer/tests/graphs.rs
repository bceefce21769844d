//! Searches of a collection by its graphs: with deleted rows, with filters, after a restart, and without a graph's file.
#![allow(clippy::unwrap_used, reason = "tests: what fails there is to fail")]

use std::{collections::BTreeSet, fs, path::Path, time::Duration};

use rand::{Rng, SeedableRng, rngs::StdRng};
use serde_json::json;
use tasklane_vector_indexer::{
    collection::{Collection, Config, Search},
    filter::Predicate,
    ops::{Batch, Delete, Kind, Upsert},
    space::{Metric, Precision},
};

const POINTS: usize = 6000;
const DIMENSION: usize = 12;

fn open(folder: &Path) -> Collection {
    let mut config = Config::new("graphs", DIMENSION, Metric::L2, Precision::F32);
    config.growing_rows = 2000;
    config.graph_rows = 500;
    config.quiet = Duration::ZERO;
    Collection::open(folder, config).unwrap()
}

/// The share of the ten nearest that are found, and how: of points that are there, and match.
fn recall(collection: &Collection, points: &[Vec<f32>], filter: Option<usize>, gone: usize) -> (f64, String) {
    let mut random = StdRng::seed_from_u64(7);
    let (mut right, mut way) = (0, String::new());
    for _ in 0..40 {
        let question: Vec<f32> = (0..DIMENSION).map(|_| random.random_range(-1.0..1.0)).collect();
        let far = |point: &[f32]| point.iter().zip(&question).map(|(a, b)| (a - b) * (a - b)).sum::<f32>();
        let there = |at: &usize| *at >= gone && filter.is_none_or(|part| at % part == 0);
        let mut nearest: Vec<usize> = (0..points.len()).filter(there).collect();
        nearest.sort_by(|one, other| far(&points[*one]).total_cmp(&far(&points[*other])));
        let nearest: BTreeSet<String> = nearest.iter().take(10).map(|at| format!("p{at}")).collect();
        let wanted = filter.map(|part| Predicate::parse(&json!({format!("in{part}"): true})).unwrap());
        let search =
            Search { vector: Some(question), k: 10, filter: wanted, ef: Some(20), ..Search::default() };
        let found = collection.search(&search).unwrap();
        assert_eq!(found.hits.len(), 10);
        right += found.hits.iter().filter(|hit| nearest.contains(&hit.id)).count();
        way = found.way.to_string();
    }
    (right as f64 / 400.0, way)
}

fn check(collection: &Collection, points: &[Vec<f32>], gone: usize) {
    for (filter, wanted) in [(None, "graph"), (Some(2), "filtered graph"), (Some(100), "scan")] {
        let (recall, way) = recall(collection, points, filter, gone);
        assert_eq!(way, wanted, "one in {filter:?}");
        assert!(recall >= 0.93, "recall {recall} of one in {filter:?}");
    }
}

#[test]
fn graphs_are_searched_and_kept() {
    let folder = tempfile::tempdir().unwrap();
    let mut random = StdRng::seed_from_u64(1);
    let points: Vec<Vec<f32>> =
        (0..POINTS).map(|_| (0..DIMENSION).map(|_| random.random_range(-1.0..1.0)).collect()).collect();
    let collection = open(folder.path());
    for (part, sequence) in points.chunks(1000).zip(1..) {
        let one = |(at, vector): (usize, &Vec<f32>)| {
            let at = at + (sequence as usize - 1) * 1000;
            let metadata = json!({"in2": at % 2 == 0, "in100": at % 100 == 0}).to_string();
            Kind::Upsert(Upsert { id: format!("p{at}"), vector: vector.clone(), metadata, text: None })
        };
        collection.apply(sequence, &part.iter().enumerate().map(one).collect::<Batch>()).unwrap();
    }
    collection.flush().unwrap();
    assert!(collection.settle(Duration::from_secs(120)));
    let segments = collection.describe().segments;
    assert!(
        segments.len() == 1 && segments.iter().all(|segment| segment.graph && segment.saved),
        "{segments:?}"
    );
    check(&collection, &points, 0);
    let ids = (0..200).map(|at| format!("p{at}")).collect();
    collection.apply(7, &Batch::from_iter([Kind::Delete(Delete { ids })])).unwrap();
    check(&collection, &points, 200);
    assert_eq!(collection.flush().unwrap(), 7);
    drop(collection);
    let collection = open(folder.path());
    assert_eq!(collection.sequence(), 7);
    check(&collection, &points, 200);
    let graph = folder.path().join(segments[0].number.to_string()).join("graph");
    drop(collection);
    fs::write(&graph, "torn").unwrap();
    let collection = open(folder.path());
    assert_eq!((collection.sequence(), collection.describe().points), (7, 5800));
    assert!(collection.settle(Duration::from_secs(120)));
    check(&collection, &points, 200);
}
