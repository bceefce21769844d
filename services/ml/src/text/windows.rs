//! A text that is longer than a model reads, as windows that overlap, and how what is said of them becomes one. Pure.

use std::ops::Range;

/// The windows over `length` tokens, each at most `room` long. Neighbours share about an eighth, so that what stands at a
/// border is read within its surroundings once; the last one is as long as the others.
pub fn windows(length: usize, room: usize) -> Vec<Range<usize>> {
    let room = room.max(1);
    if length <= room {
        return std::iter::once(0..length).collect();
    }
    let step = room - room / 8;
    let mut found: Vec<Range<usize>> = (0..)
        .map(|n| n * step)
        .take_while(|start| start + room < length)
        .map(|start| start..start + room)
        .collect();
    found.push(length - room..length);
    found
}

/// The mean of rows of numbers, each as heavy as its window is long.
pub fn mean(rows: &[Vec<f32>], weights: &[usize]) -> Vec<f32> {
    let Some(first) = rows.first() else { return Vec::new() };
    let whole: f64 = weights.iter().map(|&w| w.max(1) as f64).sum();
    let mut sums = vec![0f64; first.len()];
    for (row, &weight) in rows.iter().zip(weights) {
        for (sum, &value) in sums.iter_mut().zip(row) {
            *sum += f64::from(value) * weight.max(1) as f64;
        }
    }
    sums.into_iter().map(|sum| (sum / whole) as f32).collect()
}

/// For every token of the text the window that sees most around it, as (window, place in it).
pub fn best(windows: &[Range<usize>], length: usize) -> Vec<(usize, usize)> {
    let mut nearest = 0;
    (0..length)
        .map(|token| {
            let around = |window: &Range<usize>| {
                window.contains(&token).then(|| (token - window.start).min(window.end - 1 - token))
            };
            // Windows are in order, so that the best one never lies before the last token's.
            while windows
                .get(nearest + 1)
                .is_some_and(|next| around(next) > windows.get(nearest).and_then(around))
            {
                nearest += 1;
            }
            (nearest, token - windows.get(nearest).map_or(0, |window| window.start))
        })
        .collect()
}

/// A vector made as long as 1; one of zeros stays as it is.
pub fn normalise(vector: &mut [f32]) {
    let length = vector.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>().sqrt();
    if length > 1e-12 {
        for value in vector {
            *value = (f64::from(*value) / length) as f32;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn windows_cover_everything_in_order(length in 0usize..5_000, room in 1usize..600) {
            let found = windows(length, room);
            prop_assert_eq!(found[0].start, 0);
            prop_assert_eq!(found.last().unwrap().end, length);
            prop_assert!(found.iter().all(|w| w.len() <= room));
            prop_assert!(length <= room || found.iter().all(|w| w.len() == room));
            for pair in found.windows(2) {
                prop_assert!(pair[0].start < pair[1].start && pair[1].start <= pair[0].end);
            }
            // No more of them than the overlap explains.
            prop_assert!(found.len() <= length / (room - room / 8) + 1);
        }

        #[test]
        fn every_token_is_taken_from_where_most_is_seen_around_it(length in 0usize..2_000, room in 1usize..200) {
            let found = windows(length, room);
            let best = best(&found, length);
            prop_assert_eq!(best.len(), length);
            for (token, (window, place)) in best.into_iter().enumerate() {
                let around = |w: &Range<usize>| (token - w.start).min(w.end - 1 - token);
                prop_assert_eq!(found[window].start + place, token);
                let most = found.iter().filter(|w| w.contains(&token)).map(around).max().unwrap();
                prop_assert_eq!(around(&found[window]), most);
            }
        }
    }

    #[test]
    fn the_mean_is_as_heavy_as_the_windows_are_long() {
        assert_eq!(mean(&[vec![1.0, 0.0], vec![0.0, 4.0]], &[3, 1]), vec![0.75, 1.0]);
        assert_eq!(mean(&[vec![2.0]], &[0]), vec![2.0]);
        assert!(mean(&[], &[]).is_empty());
        let mut vector = vec![3.0, 4.0];
        normalise(&mut vector);
        assert_eq!(vector, vec![0.6, 0.8]);
        let mut zeros = vec![0.0; 2];
        normalise(&mut zeros);
        assert_eq!(zeros, vec![0.0; 2]);
    }
}
