//! The instruments services hold. They hide `prometheus-client`, so that this crate stays its only owner.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::metrics::{counter, gauge, histogram};

/// Buckets of durations in seconds: from half a millisecond (an `echo`) to ten minutes (a batch of documents).
pub const DURATION_BUCKETS: [f64; 18] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0,
    600.0,
];

/// Counts what happened; never falls. Cloning shares the count.
#[derive(Clone, Debug, Default)]
pub struct Counter(pub(super) counter::Counter);

impl Counter {
    /// Adds one.
    pub fn inc(&self) {
        self.0.inc();
    }

    /// Adds `n`.
    pub fn inc_by(&self, n: u64) {
        self.0.inc_by(n);
    }

    /// The count so far.
    pub fn get(&self) -> u64 {
        self.0.get()
    }
}

/// A number of things at this moment. Cloning shares the value.
#[derive(Clone, Debug, Default)]
pub struct Gauge(pub(super) gauge::Gauge);

impl Gauge {
    /// Sets the value.
    pub fn set(&self, value: i64) {
        self.0.set(value);
    }

    /// Adds one.
    pub fn inc(&self) {
        self.0.inc();
    }

    /// Takes one away.
    pub fn dec(&self) {
        self.0.dec();
    }

    /// Adds so many, or takes them away.
    pub fn add(&self, n: i64) {
        self.0.inc_by(n);
    }

    /// The value now.
    pub fn get(&self) -> i64 {
        self.0.get()
    }
}

/// Counts an amount that is no whole number, such as money; never falls. Cloning shares it.
#[derive(Clone, Debug, Default)]
pub struct Amount(pub(super) counter::Counter<f64, AtomicU64>);

impl Amount {
    /// Adds an amount; what is negative or no number is left out.
    pub fn add(&self, amount: f64) {
        if amount.is_finite() && amount > 0.0 {
            self.0.inc_by(amount);
        }
    }

    /// The amount so far.
    pub fn get(&self) -> f64 {
        self.0.get()
    }
}

/// A share or another number that is not whole, at this moment. Cloning shares the value.
#[derive(Clone, Debug, Default)]
pub struct Level(pub(super) gauge::Gauge<f64, AtomicU64>);

impl Level {
    /// Sets the value.
    pub fn set(&self, value: f64) {
        self.0.set(value);
    }

    /// The value now.
    pub fn get(&self) -> f64 {
        self.0.get()
    }
}

/// How values are distributed. Cloning shares the distribution.
#[derive(Clone, Debug)]
pub struct Histogram(pub(super) histogram::Histogram);

impl Histogram {
    pub(super) fn new(buckets: &[f64]) -> Self {
        Self(histogram::Histogram::new(buckets.iter().copied()))
    }

    /// Records a value, in the unit of the name.
    pub fn observe(&self, value: f64) {
        self.0.observe(value);
    }

    /// Records a duration in seconds.
    pub fn observe_duration(&self, duration: Duration) {
        self.0.observe(duration.as_secs_f64());
    }
}
