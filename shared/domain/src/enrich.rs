//! Fills in what a publisher left out: from the task type's rule, then from measurements, then from defaults.

use serde::{Deserialize, Serialize};

use crate::requirements::Requirements;

/// The lane's capability for a task that requires none.
pub const ANY_CAPABILITY: &str = "any";

/// What a worker announces for a task type: the needs of a task whose publisher says nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rule {
    /// Capabilities a task of this type needs.
    pub required_capabilities: Vec<String>,
    /// The worker type that does it best.
    pub preferred_worker_type: Option<String>,
    /// How long one attempt may take, in milliseconds.
    pub max_processing_time_ms: Option<u64>,
    /// Memory one attempt may use, in MB.
    pub memory_requirement_mb: Option<u64>,
    /// How often it is attempted at most.
    pub max_attempts: Option<u32>,
}

/// What was measured of a task type on a pool.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Measured {
    /// How many attempts the figures come from.
    pub count: u64,
    /// Mean duration, in milliseconds.
    pub mean_ms: f64,
    /// 95th percentile of the duration, in milliseconds.
    pub p95_ms: f64,
    /// 95th percentile of the memory used, in MB. 0 if it was not measured.
    pub memory_p95_mb: f64,
}

impl Measured {
    /// Whether the figures can be reckoned with: they come over the wire, and anything may be in them.
    #[must_use]
    pub fn is_sane(&self) -> bool {
        let fine = |x: f64| (0.0..=1e15).contains(&x);
        self.count > 0 && fine(self.mean_ms) && fine(self.p95_ms) && fine(self.memory_p95_mb)
    }
}

/// One measurement of a task type from those of its pools: the mean weighted by count, and the largest p95, so
/// that a limit derived from it suits the slowest pool too. None if no measurement is sane.
#[must_use]
pub fn combine<'a>(of_pools: impl IntoIterator<Item = &'a Measured>) -> Option<Measured> {
    of_pools.into_iter().filter(|m| m.is_sane()).copied().reduce(|a, b| {
        let (na, nb) = (a.count as f64, b.count as f64);
        Measured {
            count: a.count.saturating_add(b.count),
            mean_ms: a.mean_ms * (na / (na + nb)) + b.mean_ms * (nb / (na + nb)),
            p95_ms: a.p95_ms.max(b.p95_ms),
            memory_p95_mb: a.memory_p95_mb.max(b.memory_p95_mb),
        }
    })
}

/// What stands when neither publisher nor rule says anything, and how measurements become limits.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Defaults {
    /// Max processing time where nothing is known, in milliseconds.
    pub max_time_ms: u64,
    /// Memory where nothing is known, in MB; 0 asks for nothing.
    pub memory_mb: u64,
    /// Attempts where neither publisher nor rule says a number.
    pub max_attempts: u32,
    /// Measurements of fewer attempts than this are not used.
    pub min_measurements: u64,
    /// The max time is the measured p95 times this.
    pub time_factor: f64,
    /// A max time from measurements is never shorter, in milliseconds.
    pub measured_time_min_ms: u64,
    /// A max time from measurements is never longer, in milliseconds.
    pub measured_time_max_ms: u64,
    /// The memory is the measured p95 times this.
    pub memory_headroom: f64,
}

impl Default for Defaults {
    fn default() -> Self {
        Self {
            max_time_ms: 60_000,
            memory_mb: 0,
            max_attempts: 3,
            min_measurements: 20,
            // Three times the p95 leaves a slow but healthy attempt alone and still ends a stuck one soon.
            time_factor: 3.0,
            measured_time_min_ms: 5_000,
            measured_time_max_ms: 3_600_000,
            memory_headroom: 1.5,
        }
    }
}

/// What a task needs, complete: the basis of routing.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Needs {
    /// Capabilities a pool must have, all of them; no duplicates, the first names the lane.
    pub capabilities: Vec<String>,
    /// The worker type that should do it; none if nobody has a preference.
    pub preferred_worker_type: Option<String>,
    /// How long one attempt may take, in milliseconds; at least 1 when it comes from [`enrich`].
    pub max_time_ms: u64,
    /// Memory one attempt may use, in MB; 0 if unstated.
    pub memory_mb: u64,
}

impl Needs {
    /// The capability in the subject of the task's lane and dead letter: the first one required, or
    /// [`ANY_CAPABILITY`].
    #[must_use]
    pub fn lane_capability(&self) -> &str {
        self.capabilities.first().map_or(ANY_CAPABILITY, String::as_str)
    }
}

/// The needs of a task, each from the first that has a word on it: publisher, rule, measurement (of at least
/// [`Defaults::min_measurements`] attempts; for time and memory), default.
#[must_use]
pub fn enrich(asked: &Requirements, rule: &Rule, measured: Option<&Measured>, defaults: &Defaults) -> Needs {
    let measured = measured.filter(|m| m.count >= defaults.min_measurements && m.is_sane());
    let named = if asked.required_capabilities.is_empty() {
        &rule.required_capabilities
    } else {
        &asked.required_capabilities
    };
    let mut capabilities: Vec<String> = Vec::with_capacity(named.len());
    for name in named {
        if !capabilities.contains(name) {
            capabilities.push(name.clone());
        }
    }
    let max_time_ms = asked
        .max_processing_time_ms
        .or(rule.max_processing_time_ms)
        .or_else(|| measured.and_then(|m| time_from(m, defaults)))
        .unwrap_or(defaults.max_time_ms);
    let memory_mb = asked
        .memory_requirement_mb
        .or(rule.memory_requirement_mb)
        .or_else(|| measured.and_then(|m| memory_from(m, defaults)))
        .unwrap_or(defaults.memory_mb);
    Needs {
        capabilities,
        preferred_worker_type: asked
            .preferred_worker_type
            .clone()
            .or_else(|| rule.preferred_worker_type.clone()),
        max_time_ms: max_time_ms.max(1),
        memory_mb,
    }
}

/// How often a task is attempted at most: as the publisher says, else the rule, else the default; at least once.
#[must_use]
pub fn max_attempts(asked: Option<u32>, rule: &Rule, defaults: &Defaults) -> u32 {
    asked.or(rule.max_attempts).unwrap_or(defaults.max_attempts).max(1)
}

fn time_from(m: &Measured, d: &Defaults) -> Option<u64> {
    let ms = scaled(m.p95_ms, d.time_factor)?;
    Some(ms.max(d.measured_time_min_ms).min(d.measured_time_max_ms.max(d.measured_time_min_ms)))
}

fn memory_from(m: &Measured, d: &Defaults) -> Option<u64> {
    scaled(m.memory_p95_mb, d.memory_headroom)
}

/// `value * factor` rounded up; none unless the product is a positive number. Factors below 1 count as 1: a limit
/// under what was measured would end healthy attempts.
fn scaled(value: f64, factor: f64) -> Option<u64> {
    let product = value * if factor.is_finite() { factor.max(1.0) } else { 1.0 };
    (product.is_finite() && product > 0.0).then(|| product.ceil() as u64)
}
