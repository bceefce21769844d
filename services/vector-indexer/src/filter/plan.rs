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

/// What the steps of a search cost, in comparisons of a scan. The proportions are what matters.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Costs {
    /// A comparison in the graph: rows lie scattered in memory, and there are lists and marks beside it.
    pub step: f64,
    /// Comparisons for each entry of the beam. With m = 16 a node of the ground layer has up to 32 neighbours, and of
    /// those that a walk meets more than half were met before.
    pub met: f64,
    /// Comparisons on the way down the upper layers, for each layer.
    pub layer: f64,
    /// Neighbours of a node in the upper layers (m): the layers are log(rows) / log(m).
    pub m: f64,
}

impl Costs {
    /// For m = 16 and rows of i8 codes with 384 dimensions. `met` and `layer` are counts of comparisons in graphs of
    /// random and of real vectors (Malkov & Yashunin 2016 have the same order); `step` is the time of one in the graph
    /// over one in a scan.
    pub const USUAL: Self = Self { step: 3.0, met: 14.0, layer: 24.0, m: 16.0 };
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
    let down = costs.layer * rows.ln() / costs.m.max(2.0).ln();
    // To keep as many selected rows as the beam has entries, the walk meets that many times more of all; it meets
    // none twice.
    let walked = (beam * costs.met * rows / chosen).min(rows) + down;
    if chosen <= walked * costs.step {
        Way::Scan
    } else if selected as f64 >= rows {
        Way::Plain
    } else {
        Way::InGraph
    }
}
