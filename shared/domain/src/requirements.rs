//! What a publisher may ask for, and whether it is asked for properly.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::name;

/// What a publisher says a task needs. What is left out, the router fills in ([`crate::enrich`]).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Requirements {
    /// Capabilities a pool must have, all of them. Empty means: as the task type's rule says.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub required_capabilities: Vec<String>,
    /// The worker type that should do it, if it can and is not overloaded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preferred_worker_type: Option<String>,
    /// How long one attempt may take, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_processing_time_ms: Option<u64>,
    /// Memory one attempt may use, in MB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_requirement_mb: Option<u64>,
}

/// How much a publisher may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// The most capabilities one task may require.
    pub max_capabilities: usize,
    /// The longest processing time, in milliseconds.
    pub max_processing_time_ms: u64,
    /// The most memory, in MB.
    pub max_memory_mb: u64,
}

impl Default for Limits {
    /// 16 capabilities, 24 hours, 1 TiB.
    fn default() -> Self {
        Self { max_capabilities: 16, max_processing_time_ms: 24 * 3_600_000, max_memory_mb: 1024 * 1024 }
    }
}

/// One thing that is wrong with a submission.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Violation {
    /// Where it is, as a path into the JSON: `requirements.required_capabilities[2]`.
    pub field: String,
    /// What is wrong there, and what to do.
    pub problem: String,
}

impl Violation {
    pub(crate) fn new(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { field: field.into(), problem: problem.into() }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.problem)
    }
}

/// Checks what a publisher asks for: names, number of capabilities, duplicates, time and memory.
///
/// # Errors
/// With everything that is wrong, not just the first.
pub fn validate(asked: &Requirements, limits: &Limits) -> Result<(), Vec<Violation>> {
    let mut wrong = Vec::new();
    check_capabilities(&asked.required_capabilities, limits, &mut wrong);
    if let Some(Err(e)) = asked.preferred_worker_type.as_deref().map(name::check_worker_type) {
        wrong.push(Violation::new("requirements.preferred_worker_type", e.to_string()));
    }
    check_range(
        "requirements.max_processing_time_ms",
        asked.max_processing_time_ms,
        limits.max_processing_time_ms,
        "ms",
        &mut wrong,
    );
    check_range(
        "requirements.memory_requirement_mb",
        asked.memory_requirement_mb,
        limits.max_memory_mb,
        "MB",
        &mut wrong,
    );
    if wrong.is_empty() { Ok(()) } else { Err(wrong) }
}

fn check_capabilities(names: &[String], limits: &Limits, wrong: &mut Vec<Violation>) {
    const FIELD: &str = "requirements.required_capabilities";
    let most = limits.max_capabilities;
    if names.len() > most {
        let problem = format!("{} capabilities are required; require at most {most}", names.len());
        wrong.push(Violation::new(FIELD, problem));
    }
    let mut seen = BTreeSet::new();
    // What is too long a list is not read to its end: the answer must stay small too.
    for (i, capability) in names.iter().take(most).enumerate() {
        if let Err(e) = name::check_capability(capability) {
            wrong.push(Violation::new(format!("{FIELD}[{i}]"), e.to_string()));
        } else if !seen.insert(capability) {
            let problem = format!("capability `{capability}` is listed twice; list it once");
            wrong.push(Violation::new(format!("{FIELD}[{i}]"), problem));
        }
    }
}

fn check_range(field: &str, value: Option<u64>, most: u64, unit: &str, wrong: &mut Vec<Violation>) {
    if let Some(v) = value.filter(|v| !(1..=most).contains(v)) {
        let problem = format!("{v} {unit} is out of range; give 1 to {most} {unit}, or leave it out");
        wrong.push(Violation::new(field, problem));
    }
}
