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
