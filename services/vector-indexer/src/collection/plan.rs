//! Which segments are to be merged, and which is to get a graph. Pure: sizes in, a choice out.
//!
//! Segments are in tiers, each four times as large as the one below; when a tier has four, they become one of the
//! next. So a row is rewritten once a tier, and there are few segments. While nothing is written, small ones are
//! taken into large ones where that is worth a new graph.

/// A segment's size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// All rows.
    pub rows: u32,
    /// Deleted ones among them.
    pub deleted: u32,
    /// Whether it has a graph.
    pub graph: bool,
}

/// The bounds of the choice.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// No merge makes a segment larger than that.
    pub most_rows: u32,
    /// Below that a scan is as fast as a graph.
    pub graph_rows: u32,
}

const FAN: usize = 4;
/// The largest segments of the lowest tier.
const LOWEST: u32 = 4096;
/// A segment of which one in so many rows is deleted is written again without them.
const DEAD: u32 = 4;
/// While nothing is written, small segments that are together one part in so many of the largest are merged into it.
const WORTH: u64 = 8;
/// While something is written, smaller ones will soon be merged anyway.
const BUSY_GRAPH: u32 = 32_768;

impl Size {
    fn live(self) -> u32 {
        self.rows.saturating_sub(self.deleted)
    }

    fn tier(self) -> u32 {
        (self.live() / LOWEST).max(1).ilog(FAN as u32)
    }
}

/// Which segments become one, if any; `quiet` when nothing is written.
#[must_use]
pub fn merge(sizes: &[Size], bounds: &Bounds, quiet: bool) -> Option<Vec<usize>> {
    let mut order: Vec<usize> = (0..sizes.len()).collect();
    let size = |at: &usize| sizes.get(*at).copied().unwrap_or(Size { rows: 0, deleted: 0, graph: false });
    order.sort_by_key(|at| (size(at).live(), *at));
    tiered(&order, size, bounds)
        .or_else(|| order.iter().find(|at| wasteful(size(at))).map(|at| vec![*at]))
        .or_else(|| if quiet { together(&order, size, bounds) } else { None })
}

fn wasteful(size: Size) -> bool {
    size.deleted > 0 && size.deleted >= size.rows.div_ceil(DEAD)
}

/// The smallest that fit into one segment.
fn fitting(order: &[usize], size: impl Fn(&usize) -> Size, bounds: &Bounds) -> Vec<usize> {
    let mut total = 0_u64;
    let fits = |at: &&usize| {
        total += u64::from(size(at).live());
        total <= u64::from(bounds.most_rows)
    };
    order.iter().take_while(fits).copied().collect()
}

fn tiered(order: &[usize], size: impl Fn(&usize) -> Size + Copy, bounds: &Bounds) -> Option<Vec<usize>> {
    let tiers = order.iter().map(|at| size(at).tier()).max()?;
    (0..=tiers).find_map(|tier| {
        let in_tier = order.iter().filter(|at| size(at).tier() == tier).count();
        if in_tier < FAN {
            return None;
        }
        let upto: Vec<usize> = order.iter().filter(|at| size(at).tier() <= tier).copied().collect();
        let chosen = fitting(&upto, size, bounds);
        (chosen.len() > 1).then_some(chosen)
    })
}

fn together(order: &[usize], size: impl Fn(&usize) -> Size + Copy, bounds: &Bounds) -> Option<Vec<usize>> {
    let mut chosen = fitting(order, size, bounds);
    while chosen.len() > 1 {
        let (largest, small) = chosen.split_last()?;
        let sum: u64 = small.iter().map(|at| u64::from(size(at).live())).sum();
        if sum * WORTH >= u64::from(size(largest).live()) {
            return Some(chosen);
        }
        chosen.pop();
    }
    None
}

/// Which segment gets a graph next: the largest that is worth one.
#[must_use]
pub fn graph(sizes: &[Size], bounds: &Bounds, quiet: bool) -> Option<usize> {
    let least = if quiet { bounds.graph_rows } else { bounds.graph_rows.max(BUSY_GRAPH) };
    let without = sizes.iter().enumerate().filter(|(_, size)| !size.graph && size.live() >= least.max(1));
    without.max_by_key(|(_, size)| size.live()).map(|(at, _)| at)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BOUNDS: Bounds = Bounds { most_rows: 500_000, graph_rows: 4096 };

    fn sizes(rows: &[u32]) -> Vec<Size> {
        rows.iter().map(|rows| Size { rows: *rows, deleted: 0, graph: true }).collect()
    }

    #[test]
    fn four_of_a_tier_become_one() {
        assert_eq!(merge(&sizes(&[16_384; 3]), &BOUNDS, false), None);
        assert_eq!(merge(&sizes(&[16_384; 4]), &BOUNDS, false), Some(vec![0, 1, 2, 3]));
        assert_eq!(merge(&sizes(&[200_000, 16_384, 16_384, 16_384]), &BOUNDS, false), None);
        assert_eq!(merge(&sizes(&[200_000, 16_384, 16_384, 16_384]), &BOUNDS, true), Some(vec![1, 2, 3, 0]));
        assert_eq!(merge(&sizes(&[200_000, 100]), &BOUNDS, true), None, "not worth a new graph");
        assert_eq!(merge(&sizes(&[400_000, 400_000]), &BOUNDS, true), None, "too large together");
    }

    #[test]
    fn dead_rows_are_written_off() {
        let wasteful = [Size { rows: 400_000, deleted: 100_000, graph: true }];
        assert_eq!(merge(&wasteful, &BOUNDS, false), Some(vec![0]));
        assert_eq!(merge(&[Size { rows: 400_000, deleted: 99_999, graph: true }], &BOUNDS, true), None);
    }

    #[test]
    fn the_largest_gets_a_graph_first() {
        let without = |rows| Size { rows, deleted: 0, graph: false };
        assert_eq!(graph(&[without(5000), without(9000)], &BOUNDS, true), Some(1));
        assert_eq!(graph(&[without(5000), without(9000)], &BOUNDS, false), None);
        assert_eq!(graph(&[without(4000)], &BOUNDS, true), None);
    }

    proptest! {
        /// Merging comes to an end, with few segments that are not too large.
        #[test]
        fn it_ends(mut rows in proptest::collection::vec((1_u32..300_000, 0_u32..300_000), 0..40), quiet: bool) {
            for _ in 0..200 {
                let sizes: Vec<_> = rows.iter().map(|(rows, deleted)| Size { rows: *rows, deleted: *deleted.min(rows), graph: true }).collect();
                let Some(chosen) = merge(&sizes, &BOUNDS, quiet) else {
                    let total: u64 = sizes.iter().map(|size| u64::from(size.live())).sum();
                    prop_assert!(rows.len() as u64 <= 4 + 4 * 4 + total / 100_000);
                    return Ok(());
                };
                let live: u32 = chosen.iter().map(|at| sizes[*at].live()).sum();
                prop_assert!(live <= BOUNDS.most_rows);
                let mut at = 0;
                rows.retain(|_| { at += 1; !chosen.contains(&(at - 1)) });
                if live > 0 { rows.push((live, 0)); }
            }
            prop_assert!(false, "it goes on for ever");
        }
    }
}
