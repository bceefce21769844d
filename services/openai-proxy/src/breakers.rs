//! The circuit breakers of this process: one for each provider and model.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::books::now_ms;
use crate::breaker::{Breaker, Config, Outcome, Permit, Refused, State};
use crate::catalog::Model;

/// All breakers.
#[derive(Default)]
pub struct Breakers(Mutex<HashMap<String, Breaker>>);

/// A call that is let through. Dropped without a word, as where a client went away, it says nothing; but it says that, for
/// while a probe is under way nobody else is let through.
pub struct Turn {
    all: Arc<Breakers>,
    model: String,
    permit: Option<Permit>,
}

impl Turn {
    /// What came of the call.
    pub fn record(mut self, outcome: Outcome) {
        self.end(outcome);
    }

    fn end(&mut self, outcome: Outcome) {
        if let Some(permit) = self.permit.take() {
            self.all.with(&self.model, |breaker| breaker.record(permit, outcome, now_ms(), rand::random()));
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.end(Outcome::Unknown);
    }
}

impl Breakers {
    /// Whether a call may go to a model now.
    ///
    /// # Errors
    /// When it may be asked again.
    pub fn admit(self: &Arc<Self>, model: &Model) -> Result<Turn, Refused> {
        let permit = self.with(&model.id, |breaker| breaker.admit(now_ms()))?;
        Ok(Turn { all: Arc::clone(self), model: model.id.clone(), permit: Some(permit) })
    }

    /// What a model's breaker does now.
    pub fn state(&self, model: &str) -> State {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get_mut(model).map_or(State::Closed, |breaker| breaker.state(now_ms()))
    }

    fn with<T>(&self, model: &str, act: impl FnOnce(&mut Breaker) -> T) -> T {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // The catalog's names are few, and bounded by its file.
        act(all.entry(model.to_owned()).or_insert_with(|| Breaker::new(Config::default())))
    }
}
