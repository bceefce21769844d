//! Graphs against scans: what is found, under filters too, after being written and read, and from damaged bytes.

use std::sync::atomic::AtomicBool;

use proptest::prelude::*;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use roaring::RoaringBitmap;

use super::pool::{distance, key, row};
use super::{Graph, Params, Scratch};
use crate::space::{Metric, Precision, Rows};

fn built(rows: &Rows, m: u32, threads: usize) -> Graph {
    let params = Params { m, ef_construction: 64, seed: 3 };
    Graph::build(rows, &params, threads, &AtomicBool::new(false)).unwrap()
}

/// Vectors around some centres.
fn clustered(count: usize, dimension: usize, metric: Metric) -> Rows {
    let mut random = StdRng::seed_from_u64(11);
    let centres: Vec<Vec<f32>> =
        (0..20).map(|_| (0..dimension).map(|_| random.random_range(-1.0..1.0)).collect()).collect();
    let mut rows = Rows::new(dimension, metric, Precision::F16);
    for _ in 0..count {
        let centre = &centres[random.random_range(0..20)];
        rows.push(&centre.iter().map(|number| number + random.random_range(-0.5..0.5)).collect::<Vec<_>>());
    }
    rows
}

fn recall(rows: &Rows, graph: &Graph, ef: usize, keep: Option<&dyn Fn(u32) -> bool>) -> f64 {
    let kept = keep.map(|keep| (0..rows.len()).filter(|&row| keep(row)).collect::<RoaringBitmap>());
    let mut scratch = Scratch::new();
    let (mut found, mut wanted) = (0, 0);
    for at in (0..rows.len()).step_by(29) {
        let question = rows.question(&rows.get(at).iter().map(|number| number + 0.03).collect::<Vec<_>>());
        let truth = rows.scan(&question, kept.as_ref(), &RoaringBitmap::new(), 10);
        let hits = graph.search(rows, &question, 10, ef, keep, &mut scratch);
        assert!(hits.is_sorted_by(|a, b| (a.0, a.1) < (b.0, b.1)));
        found += hits.iter().filter(|hit| truth.contains(hit)).count();
        wanted += truth.len();
    }
    found as f64 / wanted as f64
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn with_all_rows_held_a_search_is_brute_force(
        // Few values, so that many vectors are the same: the hardest for reaching all.
        vectors in prop::collection::vec(prop::collection::vec(0i8..3, 3), 1..300),
        keep in prop::collection::vec(any::<bool>(), 300), filtered: bool, m in 2u32..6,
        metric in prop::sample::select(vec![Metric::Dot, Metric::L2]),
    ) {
        let mut rows = Rows::new(3, metric, Precision::F32);
        for vector in &vectors {
            rows.push(&vector.iter().map(|&number| f32::from(number)).collect::<Vec<_>>());
        }
        let graph = built(&rows, m, 1);
        let question = rows.question(&[0.9, 1.2, 0.1]);
        let allowed = |row: u32| keep[row as usize];
        let allowed: Option<&dyn Fn(u32) -> bool> = if filtered { Some(&allowed) } else { None };
        let kept = (0..rows.len()).filter(|&row| !filtered || keep[row as usize]).collect::<RoaringBitmap>();
        for k in [3, vectors.len()] {
            let truth = rows.scan(&question, Some(&kept), &RoaringBitmap::new(), k);
            let found = graph.search(&rows, &question, k, vectors.len(), allowed, &mut Scratch::new());
            prop_assert_eq!(found, truth);
        }
    }

    #[test]
    fn keys_sort_as_distances_do(a in -1e9f32..1e9, b in -1e9f32..1e9, one in 0u32..1 << 31, other in 0u32..1 << 31) {
        prop_assert_eq!((distance(key(a, one)), row(key(a, one))), (a, one));
        prop_assert_eq!(key(a, one).cmp(&key(b, other)), a.total_cmp(&b).then(one.cmp(&other)));
    }
}

#[test]
fn several_threads_build_as_good_a_graph() {
    for metric in [Metric::Cosine, Metric::L2] {
        let rows = clustered(3000, 24, metric);
        for threads in [1, 4] {
            let graph = built(&rows, 8, threads);
            assert_eq!(graph.len(), 3000);
            let recall = recall(&rows, &graph, 96, None);
            assert!(recall >= 0.97, "{metric:?} {threads} threads: {recall}");
        }
    }
}

#[test]
fn a_filter_is_kept_and_what_it_allows_is_found() {
    let rows = clustered(3000, 24, Metric::Cosine);
    let graph = built(&rows, 8, 1);
    for one_in in [2, 10, 100, 1000] {
        let keep = |row: u32| (row.wrapping_mul(0x9E37_79B1) >> 8).is_multiple_of(one_in);
        let recall = recall(&rows, &graph, 64, Some(&keep));
        assert!(recall >= 0.97, "one in {one_in}: {recall}");
        let hits =
            graph.search(&rows, &rows.question(&rows.get(1)), 50, 64, Some(&keep), &mut Scratch::new());
        assert!(!hits.is_empty() && hits.iter().all(|hit| keep(hit.1)));
    }
    assert!(
        graph
            .search(&rows, &rows.question(&rows.get(1)), 5, 9, Some(&|_| false), &mut Scratch::new())
            .is_empty()
    );
}

#[test]
fn a_build_is_the_same_again_and_can_be_stopped() {
    let rows = clustered(400, 8, Metric::L2);
    let written = || {
        let mut bytes = Vec::new();
        built(&rows, 4, 1).write(&mut bytes).unwrap();
        bytes
    };
    assert_eq!(written(), written());
    assert!(Graph::build(&rows, &Params::default(), 2, &AtomicBool::new(true)).is_none());
}

#[test]
fn no_rows_and_one_row_are_graphs() {
    for count in [0, 1] {
        let rows = clustered(count, 4, Metric::L2);
        let mut bytes = Vec::new();
        built(&rows, 4, 2).write(&mut bytes).unwrap();
        let graph = Graph::read(&mut &bytes[..], rows.len()).unwrap();
        let found = graph.search(&rows, &rows.question(&[0.1; 4]), 3, 8, None, &mut Scratch::new());
        assert_eq!(found.len(), count);
    }
}

#[test]
fn a_graph_that_was_written_and_read_gives_the_same_answers() {
    let rows = clustered(800, 16, Metric::Cosine);
    let graph = built(&rows, 6, 2);
    let mut bytes = Vec::new();
    graph.write(&mut bytes).unwrap();
    let read = Graph::read(&mut &bytes[..], rows.len()).unwrap();
    let mut scratch = Scratch::new();
    for at in 0..50 {
        let question = rows.question(&rows.get(at * 7));
        let before = graph.search(&rows, &question, 10, 40, None, &mut scratch);
        assert_eq!(before, read.search(&rows, &question, 10, 40, None, &mut scratch));
    }
    assert!(Graph::read(&mut &bytes[..], 799).is_err(), "of other rows");
}

#[test]
fn every_byte_of_a_written_graph_is_checked_or_harmless() {
    let rows = clustered(60, 4, Metric::L2);
    let mut written = Vec::new();
    built(&rows, 2, 1).write(&mut written).unwrap();
    let question = rows.question(&rows.get(5));
    let mut scratch = Scratch::new();
    for at in 0..written.len() {
        assert!(Graph::read(&mut &written[..at], 60).is_err(), "cut at {at}");
        for change in [1, 2, 4, 8, 16, 32, 64, 128, 255] {
            let mut bytes = written.clone();
            bytes[at] ^= change;
            if let Ok(graph) = Graph::read(&mut &bytes[..], 60) {
                let keep = |row: u32| row.is_multiple_of(2);
                assert!(graph.search(&rows, &question, 60, 60, None, &mut scratch).len() <= 60);
                assert!(graph.search(&rows, &question, 5, 8, Some(&keep), &mut scratch).len() <= 5);
            }
        }
    }
}
