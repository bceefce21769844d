//! Who is next at a model that does one thing after the other: the most urgent, and among equals who came first. Bounded.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// What waits for its turn.
pub struct Turns<T> {
    state: Mutex<State<T>>,
    bell: Condvar,
    most: usize,
}

struct State<T> {
    waiting: BinaryHeap<Waiting<T>>,
    came: u64,
    open: bool,
}

struct Waiting<T> {
    /// The smallest is next.
    order: Reverse<(u8, u64)>,
    item: T,
}

impl<T> Turns<T> {
    /// At most so many wait.
    pub fn new(most: usize) -> Self {
        let state = State { waiting: BinaryHeap::new(), came: 0, open: true };
        Self { state: Mutex::new(state), bell: Condvar::new(), most }
    }

    /// Lines up.
    ///
    /// # Errors
    /// Too many wait already; the item comes back.
    pub fn put(&self, priority: u8, item: T) -> Result<(), T> {
        let mut state = self.lock();
        if state.waiting.len() >= self.most {
            return Err(item);
        }
        state.came += 1;
        let order = Reverse((priority, state.came));
        state.waiting.push(Waiting { order, item });
        self.bell.notify_one();
        Ok(())
    }

    /// How many wait.
    pub fn waiting(&self) -> usize {
        self.lock().waiting.len()
    }

    /// The next, as soon as there is one; nothing when it is closed.
    pub fn take(&self) -> Option<T> {
        let mut state = self.lock();
        while state.open {
            if let Some(next) = state.waiting.pop() {
                return Some(next.item);
            }
            state = self.bell.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        None
    }

    /// Nobody is served any more; what waits is dropped. Says how many that were.
    pub fn close(&self) -> usize {
        let mut state = self.lock();
        state.open = false;
        let dropped = state.waiting.drain().count();
        self.bell.notify_all();
        dropped
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> PartialEq for Waiting<T> {
    fn eq(&self, other: &Self) -> bool {
        self.order == other.order
    }
}

impl<T> Eq for Waiting<T> {}

impl<T> PartialOrd for Waiting<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Waiting<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.order.cmp(&other.order)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_urgent_come_first_and_equals_in_the_order_they_came(priorities in prop::collection::vec(0u8..4, 0..50)) {
            let turns = Turns::new(30);
            let mut expected: Vec<(u8, usize)> = Vec::new();
            for (n, priority) in priorities.iter().enumerate() {
                match turns.put(*priority, (*priority, n)) {
                    Ok(()) => expected.push((*priority, n)),
                    Err(item) => prop_assert_eq!((item, expected.len()), ((*priority, n), 30)),
                }
            }
            expected.sort_unstable();
            for next in expected {
                prop_assert_eq!(turns.take(), Some(next));
            }
        }
    }

    #[test]
    fn who_waits_for_the_next_is_woken_and_the_end_is_the_end() {
        let turns = std::sync::Arc::new(Turns::new(8));
        let taking = std::sync::Arc::clone(&turns);
        let taker = std::thread::spawn(move || (taking.take(), taking.take()));
        turns.put(1, "a").unwrap();
        while turns.waiting() == 1 {
            std::thread::yield_now();
        }
        assert_eq!(turns.close(), 0);
        assert_eq!(taker.join().unwrap(), (Some("a"), None));
        turns.put(1, "late").unwrap();
        assert_eq!((turns.take(), turns.close()), (None, 1));
    }
}
