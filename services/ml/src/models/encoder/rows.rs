//! How many rows a batch has in memory. oneDNN makes code for each number of rows that it has not seen, which takes half as
//! long as the multiplication itself, and keeps it for some thousand numbers, a megabyte each. So batches are filled up to
//! few numbers of rows; nobody looks at the rows on top.

/// Numbers of rows between a power of two and the next: 3% are on top, in the mean.
const STEPS: usize = 8;
/// The smallest step.
const LEAST: usize = 4;

/// The rows for so many tokens.
pub fn rows(tokens: usize) -> usize {
    let octave = 1usize << tokens.max(1).ilog2();
    tokens.next_multiple_of((octave / STEPS).max(LEAST))
}

/// All the numbers of rows that batches of up to so many tokens have, in ascending order.
pub fn all(most: usize) -> impl Iterator<Item = usize> {
    std::iter::successors(Some(rows(1)), |&last| Some(rows(last + 1))).take_while(move |&rows| rows <= most)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn rows_are_enough_and_few_and_there_are_few_numbers_of_them() {
        let mut on_top = 0.0;
        for tokens in 1..=8_192 {
            let rows = rows(tokens);
            assert!(rows >= tokens && rows <= tokens + (tokens / STEPS).max(LEAST), "{rows} for {tokens}");
            on_top += (rows - tokens) as f64 / tokens as f64;
        }
        assert!(on_top / 8_192.0 < 0.05);
        let numbers: BTreeSet<usize> = (1..=8_192).map(rows).collect();
        assert!(numbers.len() < 80, "{}", numbers.len());
        assert!(all(8_192).eq(numbers));
        assert_eq!((rows(0), rows(12), rows(13), rows(1_025)), (0, 12, 16, 1_152));
    }
}
