//! A bucket in memory that delays, conflicts and fails as it is told.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tasklane_openai_proxy::ledger::book::Sources;
use tasklane_openai_proxy::ledger::{PutError, Store, Unavailable};
use tokio::time::{Instant, sleep};

/// How often what goes wrong, from 0 to 1, and the longest delay before and after each step.
#[derive(Debug, Clone, Copy, Default)]
pub struct Faults {
    pub conflict: f64,
    pub lost_before: f64,
    pub lost_after: f64,
    pub delay_ms: u64,
}

#[derive(Clone)]
pub struct Memory(Arc<Inner>);

struct Inner {
    data: Mutex<HashMap<String, (Vec<u8>, u64)>>,
    faults: Mutex<Faults>,
    rng: Mutex<StdRng>,
    pub gets: AtomicU64,
    pub puts: AtomicU64,
}

impl Memory {
    pub fn new(seed: u64, faults: Faults) -> Self {
        Self(Arc::new(Inner {
            data: Mutex::default(),
            faults: Mutex::new(faults),
            rng: Mutex::new(StdRng::seed_from_u64(seed)),
            gets: AtomicU64::new(0),
            puts: AtomicU64::new(0),
        }))
    }

    pub fn set(&self, faults: Faults) {
        *self.0.faults.lock().unwrap() = faults;
    }

    pub fn gets(&self) -> u64 {
        self.0.gets.load(Ordering::Relaxed)
    }

    pub fn puts(&self) -> u64 {
        self.0.puts.load(Ordering::Relaxed)
    }

    pub fn raw(&self, key: &str) -> Option<(Vec<u8>, u64)> {
        self.0.data.lock().unwrap().get(key).cloned()
    }

    pub fn write_raw(&self, key: &str, value: &[u8]) {
        self.0.data.lock().unwrap().insert(key.to_owned(), (value.to_vec(), 1));
    }

    pub fn longest(&self) -> usize {
        self.0.data.lock().unwrap().values().map(|(value, _)| value.len()).max().unwrap_or(0)
    }

    fn chance(&self, probability: f64) -> bool {
        probability > 0.0 && self.0.rng.lock().unwrap().random::<f64>() < probability
    }

    async fn delay(&self) {
        let longest = self.0.faults.lock().unwrap().delay_ms;
        if longest > 0 {
            let delay = self.0.rng.lock().unwrap().random_range(0..=longest * 1000);
            sleep(Duration::from_micros(delay)).await;
        }
    }
}

impl Store for Memory {
    async fn get(&self, key: &str) -> Result<Option<(Vec<u8>, u64)>, Unavailable> {
        self.0.gets.fetch_add(1, Ordering::Relaxed);
        let faults = *self.0.faults.lock().unwrap();
        self.delay().await;
        let found = self.raw(key);
        self.delay().await;
        if self.chance(faults.lost_before) { Err(Unavailable("get".into())) } else { Ok(found) }
    }

    async fn put(&self, key: &str, value: Vec<u8>, expected: Option<u64>) -> Result<u64, PutError> {
        self.0.puts.fetch_add(1, Ordering::Relaxed);
        let faults = *self.0.faults.lock().unwrap();
        self.delay().await;
        if self.chance(faults.lost_before) {
            return Err(Unavailable("put, before it happened".into()).into());
        }
        if self.chance(faults.conflict) {
            return Err(PutError::Conflict);
        }
        let revision = {
            let mut data = self.0.data.lock().unwrap();
            if data.get(key).map(|(_, revision)| *revision) != expected {
                return Err(PutError::Conflict);
            }
            let revision = expected.unwrap_or(0) + 1;
            data.insert(key.to_owned(), (value, revision));
            revision
        };
        self.delay().await;
        if self.chance(faults.lost_after) {
            return Err(Unavailable("put, after it happened".into()).into());
        }
        Ok(revision)
    }
}

/// A clock that follows tokio's (which tests pause), from a given time on.
#[derive(Clone, Copy)]
pub struct Clock {
    start: Instant,
    epoch_ms: u64,
}

impl Clock {
    pub fn new(epoch_ms: u64) -> Self {
        Self { start: Instant::now(), epoch_ms }
    }

    pub fn now_ms(&self) -> u64 {
        self.epoch_ms + u64::try_from(self.start.elapsed().as_millis()).unwrap()
    }

    /// What a replica gets whose clock is ahead by so much.
    pub fn sources(self, ahead_ms: u64, seed: u64) -> Sources {
        let rng = Mutex::new(StdRng::seed_from_u64(seed));
        Sources {
            now_ms: Box::new(move || self.now_ms() + ahead_ms),
            random: Box::new(move || rng.lock().unwrap().random()),
        }
    }
}
