//! Kernels against the plain ones, scans against brute force, files against what was written.

use half::f16;
use proptest::prelude::*;
use roaring::RoaringBitmap;

use super::kernels::Block;
use super::{MAX_NUMBER, Metric, Precision, Rows, Wrong, plain};

const METRICS: [Metric; 3] = [Metric::Cosine, Metric::Dot, Metric::L2];
const PRECISIONS: [Precision; 3] = [Precision::F32, Precision::F16, Precision::I8];

fn rows_of(vectors: &[Vec<f32>], metric: Metric, precision: Precision) -> Rows {
    let mut rows = Rows::new(vectors[0].len(), metric, precision);
    for vector in vectors {
        rows.check(vector).unwrap();
        rows.push(vector);
    }
    rows
}

/// Vectors without a zero vector among them.
fn vectors(most: usize) -> impl Strategy<Value = Vec<Vec<f32>>> {
    (1usize..150).prop_flat_map(move |dimension| {
        let vector = prop::collection::vec(-1.0f32..1.0, dimension).prop_map(|mut vector| {
            vector[0] += 1.5;
            vector
        });
        prop::collection::vec(vector, 1..most)
    })
}

fn metric() -> impl Strategy<Value = Metric> {
    prop::sample::select(METRICS.to_vec())
}

fn precision() -> impl Strategy<Value = Precision> {
    prop::sample::select(PRECISIONS.to_vec())
}

/// Brute force by what is kept.
fn brute(rows: &Rows, question: &[f32], k: usize, wanted: impl Fn(u32) -> bool) -> Vec<(f32, u32)> {
    let question = rows.question(question);
    let all = (0..rows.len()).filter(|&row| wanted(row));
    let mut all: Vec<_> = all.map(|row| (rows.exact(&question, row), row)).collect();
    all.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    all.truncate(k);
    all
}

#[cfg(target_arch = "x86_64")]
mod fast {
    use super::super::x86;
    use super::*;

    fn blocks(bytes: &[u8]) -> Vec<Block> {
        let block = |bytes: &[u8]| {
            let mut block = Block([128; 64]);
            block.0[..bytes.len()].copy_from_slice(bytes);
            block
        };
        bytes.chunks(64).map(block).collect()
    }

    fn close(a: f32, b: f32, size: f32) -> bool {
        (a - b).abs() <= 1e-5 * size.max(1.0)
    }

    proptest! {
        #[test]
        fn codes_are_summed_as_by_plain_kernels(per in 1usize..18, bytes in prop::collection::vec(any::<u8>(), 64 * 18 * 11)) {
            let codes = blocks(&bytes);
            let (question, codes) = codes.split_at(per);
            let there = codes.len() / per;
            let picked: Vec<u32> = (0..there as u32).rev().chain(0..2.min(there as u32)).collect();
            for level in x86::levels() {
                let mut sums = vec![0; picked.len()];
                if !x86::dots(level, codes, per, &picked, question, &mut sums) {
                    continue;
                }
                let mut in_line = vec![0; there];
                prop_assert!(x86::dots_in_line(level, codes, per, question, &mut in_line));
                for (&row, sum) in picked.iter().zip(sums) {
                    let row = &codes[row as usize * per..][..per];
                    prop_assert_eq!(sum, plain::dot_codes(row, question), "{:?}", level);
                    prop_assert_eq!(x86::dot_pair(level, row, question), Some(plain::dot_pair(row, question)));
                }
                for (row, sum) in codes.chunks_exact(per).zip(in_line) {
                    prop_assert_eq!(sum, plain::dot_codes(row, question));
                }
            }
        }

        #[test]
        fn floats_are_summed_as_by_plain_kernels(
            pairs in prop::collection::vec((-2.0f32..2.0, -2.0f32..2.0, any::<u8>()), 0..300), scale in 0.0f32..0.1,
        ) {
            let a: Vec<f32> = pairs.iter().map(|pair| pair.0).collect();
            let b: Vec<f32> = pairs.iter().map(|pair| pair.1).collect();
            let halves: Vec<f16> = b.iter().map(|&number| f16::from_f32(number)).collect();
            let codes = blocks(&pairs.iter().map(|pair| pair.2).collect::<Vec<_>>());
            let size = 4.0 * pairs.len() as f32;
            for level in x86::levels() {
                let Some(sum) = x86::dot_f32(level, &a, &b) else { continue };
                prop_assert!(close(sum, plain::dot_f32(&a, &b), size));
                let answers = [
                    (x86::l2_f32(level, &a, &b), plain::l2_f32(&a, &b), 4.0 * size),
                    (x86::dot_f16(level, &a, &halves), plain::dot_f16(&a, &halves), size),
                    (x86::l2_f16(level, &a, &halves, scale), plain::l2_f16(&a, &halves, scale), 4.0 * size),
                    (x86::dot_u8(level, &a, &codes), plain::dot_u8(&a, &codes), 64.0 * size),
                    (x86::l2_u8(level, &a, &codes, scale), plain::l2_u8(&a, &codes, scale), 64.0 * size),
                ];
                for (at, (fast, slow, size)) in answers.into_iter().enumerate() {
                    prop_assert!(close(fast.unwrap(), slow, size), "{level:?} {at}: {fast:?} {slow}");
                }
            }
        }
    }
}

#[test]
fn the_longest_vectors_run_over_nowhere() {
    let long = vec![Block([255; 64]); super::MAX_DIMENSION / 64];
    let most = vec![Block([127; 64]); super::MAX_DIMENSION / 64];
    assert_eq!(i64::from(plain::dot_codes(&long, &most)), 255 * 127 * super::MAX_DIMENSION as i64);
}

proptest! {
    #[test]
    fn a_scan_is_brute_force(
        vectors in vectors(80), metric in metric(), precision in precision(), k in 0usize..12,
        some in prop::collection::btree_set(0u32..90, 0..60), deleted in prop::collection::btree_set(0u32..90, 0..20),
        filtered: bool,
    ) {
        let rows = rows_of(&vectors, metric, precision);
        let deleted: RoaringBitmap = deleted.into_iter().collect();
        let some: RoaringBitmap = some.into_iter().collect();
        let question = &vectors[vectors.len() / 2];
        let wanted = |row| !deleted.contains(row) && (!filtered || some.contains(row));
        let found = rows.scan(&rows.question(question), filtered.then_some(&some), &deleted, k);
        prop_assert_eq!(found, brute(&rows, question, k, wanted));
    }

    #[test]
    fn codes_tell_a_distance_within_their_slack(vectors in vectors(20), metric in metric()) {
        let rows = rows_of(&vectors, metric, Precision::F32);
        let question = rows.question(&vectors[0]);
        for row in 0..rows.len() {
            let (near, exact) = (rows.near(&question, row), rows.exact(&question, row));
            // Three standard deviations are no bound: twice that is one for what is tried here.
            let slack = 2.0 * rows.slack(&question, row, near) + 1e-4;
            prop_assert!((near - exact).abs() <= slack, "{near} {exact} {slack}");
        }
    }

    #[test]
    fn what_is_written_is_read(vectors in vectors(20), metric in metric(), precision in precision()) {
        let rows = rows_of(&vectors, metric, precision);
        let mut bytes = Vec::new();
        rows.write(&mut bytes).unwrap();
        bytes.push(7);
        let mut left = &bytes[..];
        let read = Rows::read(&mut left, rows.len()).unwrap();
        prop_assert_eq!(left, &[7], "no further than the rows go");
        let mut merged = Rows::new(rows.dimension(), metric, precision);
        for row in 0..rows.len() {
            prop_assert_eq!(merged.append_from(&read, row), Ok(row));
        }
        let question = rows.question(&vectors[0]);
        for row in 0..rows.len() {
            prop_assert_eq!(rows.get(row), merged.get(row));
            prop_assert_eq!(rows.exact(&question, row), merged.exact(&question, row));
            prop_assert_eq!(rows.near(&question, row), merged.near(&question, row));
        }
        prop_assert!(Rows::read(&mut &bytes[..], rows.len() - 1).is_err(), "more than the limit");
    }
}

#[test]
fn a_scan_of_many_is_brute_force() {
    let vectors: Vec<Vec<f32>> = (0..5000u32)
        .map(|row| (0..32).map(|at| ((row * 37 + at * at * 11 + row * at) as f32).sin() + 0.1).collect())
        .collect();
    for metric in METRICS {
        for precision in PRECISIONS {
            let rows = rows_of(&vectors, metric, precision);
            for question in vectors.iter().step_by(700) {
                let found = rows.scan(&rows.question(question), None, &RoaringBitmap::new(), 10);
                assert_eq!(found, brute(&rows, question, 10, |_| true), "{metric:?} {precision:?}");
            }
        }
    }
}

#[test]
fn every_byte_of_written_rows_is_checked_or_harmless() {
    for precision in PRECISIONS {
        let vectors = vec![vec![1.0, 2.0, 3.0], vec![-1.0, 0.5, 0.0], vec![4.0, 4.0, -4.0]];
        let mut written = Vec::new();
        rows_of(&vectors, Metric::L2, precision).write(&mut written).unwrap();
        for at in 0..written.len() {
            assert!(Rows::read(&mut &written[..at], 3).is_err(), "cut at {at}");
            for value in 0..=u8::MAX {
                let mut bytes = written.clone();
                bytes[at] = value;
                if let Ok(rows) = Rows::read(&mut &bytes[..], 3) {
                    let question = rows.question(&vec![1.0; rows.dimension()]);
                    let found = rows.scan(&question, None, &RoaringBitmap::new(), 2);
                    assert!(
                        found.len() <= 2
                            && (0..rows.len()).all(|row| rows.get(row).len() == rows.dimension())
                    );
                }
            }
        }
    }
}

#[test]
fn what_cannot_be_compared_is_refused() {
    let rows = Rows::new(2, Metric::Cosine, Precision::F16);
    assert_eq!(rows.check(&[1.0]), Err(Wrong::Dimension { wanted: 2, given: 1 }));
    assert_eq!(rows.check(&[1.0, f32::NAN]), Err(Wrong::NotANumber { at: 1 }));
    assert_eq!(rows.check(&[f32::INFINITY, 1.0]), Err(Wrong::NotANumber { at: 0 }));
    assert_eq!(rows.check(&[1.0, MAX_NUMBER * 2.0]), Err(Wrong::TooLarge { at: 1 }));
    assert_eq!(rows.check(&[0.0, -0.0]), Err(Wrong::Zero));
    assert_eq!(Rows::new(2, Metric::L2, Precision::F16).check(&[0.0, 0.0]), Ok(()));
    let mut others = Rows::new(2, Metric::L2, Precision::F16);
    assert_eq!(others.append_from(&rows, 0), Err(Wrong::Unlike));
}

#[test]
fn huge_and_tiny_numbers_are_kept() {
    for size in [MAX_NUMBER, 1.0, 1e-30] {
        for precision in PRECISIONS {
            let rows = rows_of(&[vec![size, -size / 2.0, 0.0]], Metric::L2, precision);
            let kept = rows.get(0);
            assert!((kept[0] - size).abs() <= size / 100.0 && (kept[1] + size / 2.0).abs() <= size / 100.0);
            assert!(rows.exact(&rows.question(&[-size, size, size]), 0).is_finite());
        }
    }
}

#[test]
fn scores_are_what_users_know() {
    assert_eq!(Metric::Cosine.score(0.25), 0.75);
    assert_eq!(Metric::Dot.score(-3.0), 3.0);
    assert_eq!(Metric::L2.score(9.0), 3.0);
    for metric in METRICS {
        assert_eq!(metric.score(metric.distance(2.0)), 2.0);
    }
}
