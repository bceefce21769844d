//! What a job used: calls, tokens, money, templates, models; and what its reader should know.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};

use super::prompts::Edition;
use crate::answers::Used;

/// Warnings of a result, at most.
const MOST_WARNINGS: usize = 50;

/// Counts while a job runs.
#[derive(Default)]
pub struct Tally(Mutex<Sums>);

#[derive(Default)]
struct Sums {
    begun: u32,
    calls: u32,
    repairs: u32,
    input: u64,
    output: u64,
    nano_usd: u64,
    models: BTreeSet<String>,
    templates: BTreeMap<String, Edition>,
    warnings: Vec<String>,
    asked: HashMap<u64, u32>,
}

impl Tally {
    fn sums(&self) -> MutexGuard<'_, Sums> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether another call may begin, of `most`; it counts as begun.
    pub fn may_call(&self, most: u32) -> bool {
        let mut sums = self.sums();
        sums.begun += 1;
        sums.begun <= most
    }

    /// A call that was begun was not made.
    pub fn not_called(&self) {
        self.sums().begun -= 1;
    }

    /// How often this very request was made before, which counts one more. Requests that share a hash only miss the
    /// answers of an earlier attempt.
    pub fn times_asked(&self, request: &str) -> u32 {
        let mut hasher = DefaultHasher::new();
        request.hash(&mut hasher);
        let mut sums = self.sums();
        let times = sums.asked.entry(hasher.finish()).or_default();
        *times += 1;
        *times - 1
    }

    /// A call was answered.
    pub fn called(&self, model: &str, used: Used) {
        let mut sums = self.sums();
        sums.calls += 1;
        sums.input += used.input;
        sums.output += used.output;
        sums.nano_usd += used.nano_usd;
        if !sums.models.contains(model) {
            sums.models.insert(model.to_owned());
        }
    }

    /// An answer had to be repaired.
    pub fn repaired(&self) {
        self.sums().repairs += 1;
    }

    /// A template was used.
    pub fn used_template(&self, name: &str, edition: &Edition) {
        let mut sums = self.sums();
        if !sums.templates.contains_key(name) {
            sums.templates.insert(name.to_owned(), edition.clone());
        }
    }

    /// The reader should know.
    pub fn warn(&self, text: impl Into<String>) {
        let mut sums = self.sums();
        if sums.warnings.len() < MOST_WARNINGS {
            sums.warnings.push(text.into());
        }
    }

    /// Adds all of it to a job's result.
    pub fn into_result(&self, result: &mut Value) {
        let sums = self.sums();
        result["usage"] = json!({"calls": sums.calls, "repairs": sums.repairs, "input_tokens": sums.input,
            "output_tokens": sums.output, "cost_usd": sums.nano_usd as f64 / 1e9});
        result["models"] = json!(sums.models);
        result["templates"] = json!(sums.templates);
        result["warnings"] = json!(sums.warnings);
    }
}
