//! What was used, by tenant, model and day: counted in memory, merged into sheets in batches.
//!
//! A sheet remembers the number of the last batch of each replica. A batch whose write got no answer is sent again
//! unchanged, and counted once.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What models and tenants beyond the bounds are counted under. No configured name has parentheses.
pub const OTHER: &str = "(other)";

/// No sheet has more models.
pub const MAX_MODELS: usize = 512;

/// No replica holds more sheets in memory, which it only does while the bucket is away.
pub const MAX_SHEETS: usize = 10_000;

/// No sheet remembers more replicas.
pub const MAX_REPLICAS: usize = 256;

/// For how long a replica's last batch is surely remembered, in milliseconds: an hour.
pub const REMEMBERED_MS: u64 = 3_600_000;

/// The layout of a sheet.
const VERSION: u8 = 1;

/// What calls used. All sums saturate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Counters {
    /// Calls.
    pub requests: u64,
    /// Input tokens, cached ones included.
    pub input_tokens: u64,
    /// Input tokens that the provider had cached.
    pub cached_tokens: u64,
    /// Output tokens.
    pub output_tokens: u64,
    /// Money in nano-US-dollars.
    pub nano_usd: u64,
}

impl Counters {
    /// Adds others to these.
    pub fn add(&mut self, other: &Self) {
        self.requests = self.requests.saturating_add(other.requests);
        self.input_tokens = self.input_tokens.saturating_add(other.input_tokens);
        self.cached_tokens = self.cached_tokens.saturating_add(other.cached_tokens);
        self.output_tokens = self.output_tokens.saturating_add(other.output_tokens);
        self.nano_usd = self.nano_usd.saturating_add(other.nano_usd);
    }
}

/// Counters by model, at most [`MAX_MODELS`] and [`OTHER`].
pub type Models = BTreeMap<String, Counters>;

fn count(models: &mut Models, model: &str, counters: &Counters) {
    let model = if models.len() >= MAX_MODELS && !models.contains_key(model) { OTHER } else { model };
    match models.get_mut(model) {
        Some(sum) => sum.add(counters),
        None => {
            models.insert(model.to_owned(), *counters);
        }
    }
}

/// Counters that are written together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// Grows with every batch of a replica.
    pub sequence: u64,
    /// What to add.
    pub models: Models,
}

/// What became of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Applied {
    /// It is counted now.
    Now,
    /// It was counted before.
    Before,
    /// The sheet remembers [`MAX_REPLICAS`] others, all of the last hour: not counted.
    Full,
}

/// What one tenant used on one day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sheet {
    v: u8,
    /// What was used, by model.
    pub models: Models,
    // The last batch of each replica, and when it came.
    applied: BTreeMap<String, (u64, u64)>,
}

impl Default for Sheet {
    fn default() -> Self {
        Self { v: VERSION, models: Models::new(), applied: BTreeMap::new() }
    }
}

impl Sheet {
    /// Reads a sheet; no value is an empty one.
    ///
    /// # Errors
    /// What is wrong, if it is of another version or not a sheet.
    pub fn decode(value: Option<&[u8]>) -> Result<Self, String> {
        let Some(value) = value else { return Ok(Self::default()) };
        let sheet: Self = serde_json::from_slice(value).map_err(|error| error.to_string())?;
        if sheet.v != VERSION {
            return Err(format!("version {}, but this program reads {VERSION}", sheet.v));
        }
        Ok(sheet)
    }

    /// Writes a sheet.
    ///
    /// # Errors
    /// What is wrong; nothing that a sheet can hold is.
    pub fn encode(&self) -> Result<Vec<u8>, String> {
        serde_json::to_vec(self).map_err(|error| error.to_string())
    }

    /// Counts a batch of a replica, unless that was done.
    pub fn apply(&mut self, now_ms: u64, replica: &str, batch: &Batch) -> Applied {
        if self.applied.get(replica).is_some_and(|(sequence, _)| *sequence >= batch.sequence) {
            return Applied::Before;
        }
        if self.applied.len() >= MAX_REPLICAS && !self.applied.contains_key(replica) {
            self.applied.retain(|_, (_, at_ms)| at_ms.saturating_add(REMEMBERED_MS) > now_ms);
            if self.applied.len() >= MAX_REPLICAS {
                return Applied::Full;
            }
        }
        batch.models.iter().for_each(|(model, counters)| count(&mut self.models, model, counters));
        self.applied.insert(replica.to_owned(), (batch.sequence, now_ms));
        Applied::Now
    }
}

/// The sheet something is counted on: its day, from the epoch, and the tenant.
pub type SheetKey = (u64, String);

/// What a replica has counted and not yet confirmed to be written.
#[derive(Debug, Default)]
pub struct Tally {
    open: BTreeMap<SheetKey, Models>,
    // Sent, perhaps written: must not change until confirmed.
    sent: BTreeMap<SheetKey, Batch>,
    sequence: u64,
}

impl Tally {
    /// Counts.
    pub fn add(&mut self, day: u64, tenant: &str, model: &str, counters: &Counters) {
        let key = (day, tenant.to_owned());
        let full = self.open.len() >= MAX_SHEETS && !self.open.contains_key(&key);
        // One more per day at most, and days are few.
        let key = if full { (day, OTHER.to_owned()) } else { key };
        count(self.open.entry(key).or_default(), model, counters);
    }

    /// The batches to write now: those sent before and not confirmed, unchanged, and new ones for other sheets.
    pub fn batches(&mut self) -> Vec<(SheetKey, Batch)> {
        let sent = &self.sent;
        let ready: Vec<_> = self.open.keys().filter(|key| !sent.contains_key(*key)).cloned().collect();
        for key in ready {
            if let Some(models) = self.open.remove(&key) {
                self.sequence += 1;
                self.sent.insert(key, Batch { sequence: self.sequence, models });
            }
        }
        self.sent.iter().map(|(key, batch)| (key.clone(), batch.clone())).collect()
    }

    /// A batch is written.
    pub fn confirm(&mut self, key: &SheetKey, sequence: u64) {
        if self.sent.get(key).is_some_and(|batch| batch.sequence == sequence) {
            self.sent.remove(key);
        }
    }

    /// Whether everything is written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.open.is_empty() && self.sent.is_empty()
    }
}
