//! A graph over rows in which the nearest are found by walking: HNSW (Malkov & Yashunin 2016). It holds numbers of
//! rows only; the rows stand beside it. A graph is built once, of all rows, and does not change.

mod build;
mod lists;
mod marks;
mod pool;
mod reach;
mod search;
mod select;
mod store;
mod walk;

pub use walk::Scratch;

use lists::Lists;

/// How a graph is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Params {
    /// How many neighbours a row is linked to, 2..=256; twice as many on the ground.
    pub m: u32,
    /// How many nearest are held while a row's neighbours are looked for.
    pub ef_construction: u32,
    /// What the levels are drawn from, together with a row's number.
    pub seed: u64,
}

impl Default for Params {
    fn default() -> Self {
        Self { m: 16, ef_construction: 128, seed: 42 }
    }
}

/// The links between rows, on several levels.
pub struct Graph {
    lists: Lists<u32>,
    /// The row where every search begins; it is on all levels.
    entry: u32,
}

impl Graph {
    /// How many rows it spans.
    pub fn len(&self) -> u32 {
        self.lists.len()
    }

    /// Whether it spans none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The memory that it takes.
    pub fn bytes(&self) -> u64 {
        self.lists.bytes()
    }
}

#[cfg(test)]
mod tests;
