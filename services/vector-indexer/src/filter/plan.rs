//! How a filtered search is best done, by what it would cost. Pure: numbers in, a way out.

/// A way to the nearest rows that a filter lets through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Every selected row is compared: exact, and best where few are selected.
    Scan,
    /// The graph is walked through all rows, and selected ones are kept.
    InGraph,
    /// All rows are selected: the graph is searched as if there were no filter.
    Plain,
}

/// What a filtered walk through a graph costs, in rows of a filtered scan.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Costs {
    /// For each entry of the beam when every row is selected. When one in n is, the walk meets n times as many rows
    /// until the beam is full, and costs n times as much.
    pub entry: f64,
    /// Once a search: the way down the upper layers, and the first steps on the ground.
    pub down: f64,
}

impl Costs {
    /// For m = 16 and i8 codes, from times that `examples/way_bench.rs` measured with made vectors in topics (x86-64
    /// with AVX-512 VNNI, other work on the same two cores). 384 dimensions: it says entry 28 to 30 for 50,000 rows
    /// and 24 for 200,000; 128 dimensions: 36. `down` comes out as anything from 80 to 1,250 and hardly decides. With
    /// these two the faster way is taken in 47 of 48 cases (1% to 90% selected, ef 32 to 256) at 50,000 rows of 384
    /// as of 128 dimensions, and the other one is slower by a seventh at most. Other m and metrics, and real vectors,
    /// were not measured.
    pub const USUAL: Self = Self { entry: 30.0, down: 330.0 };
}

/// Entries of the beam for ten hits among [`BEAM_ROWS`] rows, for a recall of 0.99; it grows with the root of the rows.
const BEAM: f64 = 192.0;
const BEAM_ROWS: f64 = 50_000.0;
/// No beam is narrower or wider than that, where nobody says.
const BEAMS: (f64, f64) = (64.0, 1024.0);
/// A walk that keeps few of what it meets still has to find its way.
const LEAST_FILTERED: f64 = 32.0;

/// How many entries a walk holds where nobody says: enough for a recall of 0.99 at ten hits, as
/// `tasklane-loadtest vectors-search` measures it (docs/benchmarks.md: of drawn vectors 50,000
/// want some 160, 200,000 some 370; of real ones fewer do).
///
/// A walk that keeps one row in n meets n times as many until its beam is full, so that an n-th of the beam finds as much.
pub fn beam(rows: u64, selected: u64, k: usize) -> usize {
    let (rows, selected) = (rows.max(1) as f64, selected as f64);
    let whole = (BEAM * (rows / BEAM_ROWS).sqrt()).clamp(BEAMS.0, BEAMS.1);
    let share = (selected / rows).min(1.0);
    ((whole * share).max(LEAST_FILTERED).ceil() as usize).max(k.saturating_mul(2))
}

/// The way for `selected` of `rows` rows, `k` results and a beam of `ef` entries.
pub fn way(rows: u64, selected: u64, k: usize, ef: usize) -> Way {
    way_by(&Costs::USUAL, rows, selected, k, ef)
}

/// The same, by costs that were measured elsewhere.
pub fn way_by(costs: &Costs, rows: u64, selected: u64, k: usize, ef: usize) -> Way {
    let beam = k.max(ef) as u64;
    if selected <= beam {
        return Way::Scan;
    }
    let (rows, chosen, beam) = (rows.max(selected) as f64, selected as f64, beam as f64);
    let walk = beam * costs.entry * rows / chosen + costs.down;
    if chosen <= walk {
        Way::Scan
    } else if selected as f64 >= rows {
        Way::Plain
    } else {
        Way::InGraph
    }
}
