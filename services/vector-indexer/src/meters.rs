//! What the service measures of collections and searches.

use std::time::Duration;

use tasklane_runtime::telemetry::metrics::{Counter, DURATION_BUCKETS, Family, Gauge, Histogram, Metrics};

/// The metrics. Cheap to clone; clones share everything.
#[derive(Debug, Clone)]
pub struct Meters {
    points: Family<Gauge, 1>,
    segments: Family<Gauge, 1>,
    bytes: Family<Gauge, 1>,
    applied: Family<Gauge, 1>,
    behind: Family<Gauge, 0>,
    refused: Family<Counter, 0>,
    search: Family<Histogram, 1>,
}

impl Meters {
    /// The metrics, as parts of the process's.
    pub fn new(metrics: &Metrics) -> Self {
        let meters = Self {
            points: metrics.gauge("vector_points", "Points of a collection", ["collection"]),
            segments: metrics.gauge("vector_segments", "Segments of a collection", ["collection"]),
            bytes: metrics.gauge("vector_memory_bytes", "Memory of a collection", ["collection"]),
            applied: metrics.gauge(
                "vector_applied_sequence",
                "Up to where the log is applied to a collection",
                ["collection"],
            ),
            behind: metrics.gauge("vector_behind", "Messages of the log that are not applied yet", []),
            refused: metrics.counter(
                "vector_refused_ops",
                "Operations of the log that could not be applied",
                [],
            ),
            search: metrics.histogram(
                "vector_search_seconds",
                "How long a search took, by the way that it went",
                ["way"],
                &DURATION_BUCKETS,
            ),
        };
        // A rise from nothing is no rise for who watches it.
        meters.refused(0);
        meters
    }

    /// What a collection is now.
    pub fn collection(&self, name: &str, points: u64, segments: usize, bytes: u64, applied: u64) {
        let count = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        self.points.with([name]).set(count(points));
        self.segments.with([name]).set(count(segments as u64));
        self.bytes.with([name]).set(count(bytes));
        self.applied.with([name]).set(count(applied));
    }

    /// Forgets collections that are not among these.
    pub fn only(&self, names: &dyn Fn(&str) -> bool) {
        for family in [&self.points, &self.segments, &self.bytes, &self.applied] {
            family.forget(|[name]| !names(name));
        }
    }

    /// So many messages wait.
    pub fn behind(&self, messages: u64) {
        self.behind.with([]).set(i64::try_from(messages).unwrap_or(i64::MAX));
    }

    /// Operations could not be applied.
    pub fn refused(&self, ops: usize) {
        self.refused.with([]).inc_by(ops as u64);
    }

    /// A search was answered.
    pub fn searched(&self, way: &str, took: Duration) {
        self.search.with([way]).observe_duration(took);
    }
}
