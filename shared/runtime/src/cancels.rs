//! Cancellations: which tasks are cancelled, and telling the attempts that run. The router asks too: tasks that wait
//! for somebody who can do them reach no worker.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use tasklane_bus::kv::Change;
use tasklane_bus::{Bus, BusError};
use tasklane_contract::streams;
use tokio_util::sync::CancellationToken;

use crate::follow::follow;

/// Cancelled ids that are remembered; the oldest go first.
const REMEMBERED: usize = 100_000;

/// What is cancelled, and what runs.
#[derive(Default)]
pub struct Cancels(Mutex<State>);

#[derive(Default)]
struct State {
    cancelled: HashSet<String>,
    order: VecDeque<String>,
    running: HashMap<String, CancellationToken>,
}

impl Cancels {
    /// Whether the task is cancelled.
    pub fn is_cancelled(&self, task_id: &str) -> bool {
        self.lock().cancelled.contains(task_id)
    }

    /// A token that fires when the task is cancelled, until [`Cancels::done`].
    pub fn begin(&self, task_id: &str) -> CancellationToken {
        let mut state = self.lock();
        let token = CancellationToken::new();
        if state.cancelled.contains(task_id) {
            token.cancel();
        }
        state.running.insert(task_id.to_owned(), token.clone());
        token
    }

    /// The attempt is over.
    pub fn done(&self, task_id: &str) {
        self.lock().running.remove(task_id);
    }

    fn add(&self, task_id: String) {
        let mut state = self.lock();
        if let Some(token) = state.running.get(&task_id) {
            token.cancel();
        }
        if state.cancelled.insert(task_id.clone()) {
            state.order.push_back(task_id);
        }
        if state.order.len() > REMEMBERED
            && let Some(oldest) = state.order.pop_front()
        {
            state.cancelled.remove(&oldest);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Follows the bucket of cancelled ids, and watches again where the server forgot us.
///
/// # Errors
/// Where the bucket cannot be opened or watched the first time.
pub async fn watch(bus: &Bus, cancels: Arc<Cancels>, alive: CancellationToken) -> Result<(), BusError> {
    let hear = move |change| {
        if let Change::Put { key, .. } = change {
            cancels.add(key);
        }
    };
    follow(bus, streams::CANCELLED, alive, hear).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_running_task_is_told_and_a_coming_one_is_known() {
        let cancels = Cancels::default();
        let token = cancels.begin("a");
        cancels.add("a".into());
        assert!(token.is_cancelled());
        cancels.add("b".into());
        assert!(cancels.is_cancelled("b") && cancels.begin("b").is_cancelled());
        cancels.done("a");
        assert!(!cancels.begin("c").is_cancelled());
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let cancels = Cancels::default();
        for n in 0..REMEMBERED + 10 {
            cancels.add(n.to_string());
        }
        assert!(!cancels.is_cancelled("0") && cancels.is_cancelled("10"));
        assert_eq!(cancels.lock().cancelled.len(), REMEMBERED);
    }
}
