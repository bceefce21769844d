//! What batches look like, as metrics: how many texts share one, how long they waited, and what padding cost.

use std::time::Duration;

use tasklane_runtime::telemetry::metrics::{Counter, DURATION_BUCKETS, Family, Gauge, Histogram, Metrics};

/// Texts in a batch.
const TEXTS: [f64; 10] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 1024.0];

/// The metrics of all models. Cheap to clone; clones share everything.
#[derive(Debug, Clone)]
pub struct Meters {
    texts: Family<Histogram, 1>,
    wait: Family<Histogram, 1>,
    run: Family<Histogram, 1>,
    tokens: Family<Counter, 1>,
    padding: Family<Counter, 1>,
    waiting: Family<Gauge, 1>,
    alone: Family<Counter, 1>,
}

/// The metrics of one model.
#[derive(Debug, Clone)]
pub struct OfModel {
    texts: Histogram,
    wait: Histogram,
    run: Histogram,
    tokens: Counter,
    padding: Counter,
    waiting: Gauge,
    alone: Counter,
}

impl Meters {
    /// The metrics, as parts of the process's.
    pub fn new(metrics: &Metrics) -> Self {
        Self {
            texts: metrics.histogram("ml_batch_texts", "Texts that shared a computation", ["model"], &TEXTS),
            wait: metrics.histogram(
                "ml_batch_wait_seconds",
                "How long a text waited for its turn",
                ["model"],
                &DURATION_BUCKETS,
            ),
            run: metrics.histogram(
                "ml_batch_run_seconds",
                "How long a batch was computed",
                ["model"],
                &DURATION_BUCKETS,
            ),
            tokens: metrics.counter("ml_tokens", "Tokens that models read and wrote", ["model"]),
            padding: metrics.counter(
                "ml_padding_tokens",
                "Tokens computed only to fill a batch up",
                ["model"],
            ),
            waiting: metrics.gauge("ml_waiting", "Texts that wait for a model", ["model"]),
            alone: metrics.counter(
                "ml_batches_split",
                "Batches that failed and were run again text by text",
                ["model"],
            ),
        }
    }

    /// The metrics of one model.
    pub fn of(&self, model: &str) -> OfModel {
        let model = [model];
        OfModel {
            texts: self.texts.with(model),
            wait: self.wait.with(model),
            run: self.run.with(model),
            tokens: self.tokens.with(model),
            padding: self.padding.with(model),
            waiting: self.waiting.with(model),
            alone: self.alone.with(model),
        }
    }
}

impl OfModel {
    /// A batch was computed: its texts, their tokens, and those it was filled up with.
    pub fn ran(&self, texts: usize, tokens: usize, padding: usize, took: Duration) {
        self.texts.observe(texts as f64);
        self.tokens.inc_by(tokens as u64);
        self.padding.inc_by(padding as u64);
        self.run.observe_duration(took);
    }

    /// A text's turn came.
    pub fn waited(&self, wait: Duration) {
        self.wait.observe_duration(wait);
    }

    /// So many texts wait now, and as many as `before` did when this was last told. Versions of one name count together.
    pub fn waiting(&self, before: usize, now: usize) {
        let count = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        self.waiting.add(count(now) - count(before));
    }

    /// A batch failed and is run again text by text.
    pub fn split(&self) {
        self.alone.inc();
    }
}
