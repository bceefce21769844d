//! What can be asked of a collection, and what comes back.

use std::fmt;

use serde_json::{Map, Value};

use crate::filter::Predicate;
use crate::space::Metric;

/// Most hits of one search.
pub const MOST_HITS: usize = 10_000;

/// A search: by vector, by text, or by both, fused by rank.
#[derive(Clone, Debug, Default)]
pub struct Search {
    /// The nearest to this.
    pub vector: Option<Vec<f32>>,
    /// The best for these words.
    pub text: Option<String>,
    /// How many hits, at most [`MOST_HITS`].
    pub k: usize,
    /// Only points that match.
    pub filter: Option<Predicate>,
    /// Only hits with at least this score, as [`Hit::score`] is; for Euclidean distances, at most.
    pub min_score: Option<f32>,
    /// The beam of a graph's search; without it as wide as the segment wants.
    pub ef: Option<usize>,
    /// What of the hits is wanted.
    pub with: With,
}

impl Search {
    /// How many candidates each question wants: of both together the best hits are to be among them.
    pub fn candidates(&self) -> usize {
        let k = self.k.min(MOST_HITS);
        if self.vector.is_some() && self.text.is_some() { (k * 4).max(50) } else { k }
    }

    /// Whether a hit's score is as good as was asked for.
    pub fn admits(&self, score: f32, metric: Metric) -> bool {
        let is_far_more = metric == Metric::L2 && self.text.is_none();
        match self.min_score {
            Some(most) if is_far_more => score <= most,
            Some(least) => score >= least,
            None => true,
        }
    }
}

/// What of a point is wanted besides its id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct With {
    /// Its vector, as it is kept.
    pub vector: bool,
    /// Its text.
    pub text: bool,
    /// Its metadata.
    pub metadata: bool,
}

impl With {
    /// Text and metadata.
    pub const USUAL: Self = Self { vector: false, text: true, metadata: true };

    pub(super) fn record(self) -> bool {
        self.text || self.metadata
    }
}

/// What a search found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found {
    /// Everything up to this one was searched by vectors and filters.
    pub sequence: u64,
    /// Everything up to this one was searched by text.
    pub text_sequence: u64,
    /// Best first.
    pub hits: Vec<Hit>,
    /// How it was found.
    pub way: Way,
}

/// A point that was found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Hit {
    /// Its id.
    pub id: String,
    /// Cosine similarity, dot product or Euclidean distance; BM25; or the fused score of both.
    pub score: f32,
    /// Its vector, if wanted.
    pub vector: Option<Vec<f32>>,
    /// Its text, if wanted and there.
    pub text: Option<String>,
    /// Its metadata, if wanted.
    pub metadata: Option<Map<String, Value>>,
}

/// How vectors were searched, in the largest segment that was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Vectors {
    /// Not at all.
    #[default]
    Not,
    /// One by one.
    Scan,
    /// By the graph, keeping what a filter selects.
    FilteredGraph,
    /// By the graph.
    Graph,
}

/// How a search was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Way {
    /// By vectors.
    pub vectors: Vectors,
    /// By text.
    pub text: bool,
}

impl fmt::Display for Way {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(match (self.vectors, self.text) {
            (Vectors::Not, true) => "text",
            (Vectors::Not, false) => "nothing",
            (Vectors::Scan, false) => "scan",
            (Vectors::FilteredGraph, false) => "filtered graph",
            (Vectors::Graph, false) => "graph",
            (Vectors::Scan, true) => "scan and text",
            (Vectors::FilteredGraph, true) => "filtered graph and text",
            (Vectors::Graph, true) => "graph and text",
        })
    }
}
