//! How well an eligible pool suits a task: `0.6 x capabilities + 0.3 x preferred type + 0.1 x performance - pressure`.

use serde::{Deserialize, Serialize};

use crate::enrich::Needs;
use crate::pool::Pool;
use crate::requirements::Violation;

/// What counts how much. All are between 0 and [`Weights::MOST`]; what is not a number counts as 0.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Weights {
    /// Of the capability match.
    pub capability: f64,
    /// Of the preferred worker type.
    pub preferred: f64,
    /// Of the performance.
    pub performance: f64,
    /// Of the pressure.
    pub pressure: f64,
    /// The mean duration assumed where nothing was measured, in milliseconds.
    pub unknown_mean_ms: f64,
}

impl Weights {
    /// The largest weight.
    pub const MOST: f64 = 1e6;

    /// Checks a configuration.
    ///
    /// # Errors
    /// With every weight that is negative, too large or not a number.
    pub fn validate(&self) -> Result<(), Vec<Violation>> {
        let named = [
            ("capability", self.capability),
            ("preferred", self.preferred),
            ("performance", self.performance),
            ("pressure", self.pressure),
            ("unknown_mean_ms", self.unknown_mean_ms),
        ];
        let wrong: Vec<Violation> = named
            .into_iter()
            .filter(|(_, w)| !(0.0..=Self::MOST).contains(w))
            .map(|(name, w)| {
                Violation::new(
                    format!("weights.{name}"),
                    format!("{w} is out of range; give 0 to {}", Self::MOST),
                )
            })
            .collect();
        if wrong.is_empty() { Ok(()) } else { Err(wrong) }
    }
}

impl Default for Weights {
    fn default() -> Self {
        Self { capability: 0.6, preferred: 0.3, performance: 0.1, pressure: 1.0, unknown_mean_ms: 1_000.0 }
    }
}

/// A score with its parts, before weighting. Every number is finite.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Score {
    /// Required capabilities the pool has, as a share: 0 to 1.
    pub capability: f64,
    /// 1 if the pool's type is the preferred one or none is preferred, else 0.
    pub preferred: f64,
    /// How well the measured p95 fits the max time: 0 to 1.
    pub performance: f64,
    /// How much the expected wait weighs against it: 0 for an idle pool, 1 when it reaches the max time.
    pub pressure: f64,
    /// The expected wait, in milliseconds.
    pub wait_ms: f64,
    /// The weighted sum.
    pub total: f64,
}

/// Scores a pool for a task, whether or not it is eligible. Allocates nothing.
#[must_use]
pub fn score(pool: &Pool, task_type: &str, needs: &Needs, weights: &Weights) -> Score {
    let wait_ms = expected_wait_ms(pool, task_type, weights);
    let capability = capability_match(pool, needs);
    let preferred = preferred_match(pool, needs);
    let performance = performance(pool, task_type, needs);
    let pressure = pressure(wait_ms, needs.max_time_ms);
    let total = weight(weights.capability) * capability
        + weight(weights.preferred) * preferred
        + weight(weights.performance) * performance
        - weight(weights.pressure) * pressure;
    Score { capability, preferred, performance, pressure, wait_ms, total }
}

/// The share of the required capabilities that a pool has; 1 if none is required.
#[must_use]
pub fn capability_match(pool: &Pool, needs: &Needs) -> f64 {
    if needs.capabilities.is_empty() {
        return 1.0;
    }
    let has = needs.capabilities.iter().filter(|c| pool.capabilities.contains(*c)).count();
    has as f64 / needs.capabilities.len() as f64
}

/// 1 if the pool's workers are of the preferred type. Also 1, for every pool, if none is preferred: a publisher
/// without a preference must not change the order, and its scores stay comparable with those of one who has it.
#[must_use]
pub fn preferred_match(pool: &Pool, needs: &Needs) -> f64 {
    match &needs.preferred_worker_type {
        Some(preferred) if *preferred != pool.worker_type => 0.0,
        _ => 1.0,
    }
}

/// How well the pool's measured p95 fits the max time: 1 for an instant, falling evenly to 0 where the p95 reaches
/// the max time. 0.5 if nothing was measured, so that a new pool is neither shunned nor flooded.
#[must_use]
pub fn performance(pool: &Pool, task_type: &str, needs: &Needs) -> f64 {
    match pool.measured(task_type) {
        Some(m) => 1.0 - (m.p95_ms / needs.max_time_ms.max(1) as f64).min(1.0),
        None => 0.5,
    }
}

/// How long a task would wait for a slot, in milliseconds: backlog x mean time / slots. Where nothing was measured
/// the mean is [`Weights::unknown_mean_ms`].
#[must_use]
pub fn expected_wait_ms(pool: &Pool, task_type: &str, weights: &Weights) -> f64 {
    let mean_ms = pool.measured(task_type).map_or(weight(weights.unknown_mean_ms), |m| m.mean_ms);
    pool.backlog as f64 * mean_ms / f64::from(pool.slots.max(1))
}

/// How much an expected wait weighs: `(r + r^2) / 2` of its ratio `r` to the max time.
///
/// The linear half spreads work between pools that are otherwise equal; the quadratic half stays small for short
/// waits and outweighs the preferred type (0.3 of 1) from `r = 0.42` on, preferred type and best performance
/// together (0.4) from `r = 0.53` on: before the wait reaches the max time, work spills over.
#[must_use]
pub fn pressure(wait_ms: f64, max_time_ms: u64) -> f64 {
    // Beyond a million times the max time, longer makes no difference; the bound keeps every sum finite.
    let ratio = (wait_ms / max_time_ms.max(1) as f64).clamp(0.0, 1e6);
    ratio.midpoint(ratio * ratio)
}

fn weight(given: f64) -> f64 {
    if given.is_nan() { 0.0 } else { given.clamp(0.0, Weights::MOST) }
}
