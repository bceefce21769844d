//! What a collection's own threads and its callers share.
//!
//! Locks are taken in this order: `order` (who applies), `ledger` (what is durable), `state` (what searches see),
//! `hub`. Whoever holds `state` does nothing that takes long, and never waits for another lock but the hub's.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, atomic::AtomicBool},
};

use tokio::sync::watch;

use super::{
    config::Config,
    hub::{Hub, lock},
    ledger::{Checkpoint, Ledger},
    state::State,
};
use crate::{space::Rows, text::Texts};

/// What is applied, and by whom: one at a time.
pub struct Order {
    pub sequence: u64,
}

/// See above.
pub struct Shared {
    pub folder: PathBuf,
    pub config: Config,
    /// No rows, of the collection's kind.
    pub like: Rows,
    pub order: Mutex<Order>,
    pub ledger: Mutex<Ledger>,
    state: RwLock<State>,
    /// Up to there a replay passes through states that never were: texts may be further than the manifest, and after
    /// damage everything else is.
    pub settled: u64,
    pub hub: Hub,
    pub texts: RwLock<Arc<Texts>>,
    pub applied: watch::Sender<u64>,
    /// Ends the building of a graph.
    pub stop: AtomicBool,
}

impl Shared {
    pub fn new(
        folder: PathBuf,
        config: Config,
        like: Rows,
        ledger: Ledger,
        state: State,
        texts: Texts,
    ) -> Self {
        let sequence = ledger.durable.sequence;
        Self {
            hub: Hub::new(sequence, texts.sequence()),
            settled: ledger.settled.max(texts.sequence()),
            folder,
            config,
            like,
            order: Mutex::new(Order { sequence }),
            ledger: Mutex::new(ledger),
            state: RwLock::new(state),
            texts: RwLock::new(Arc::new(texts)),
            applied: watch::Sender::new(sequence),
            stop: AtomicBool::new(false),
        }
    }

    pub fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn texts(&self) -> Arc<Texts> {
        Arc::clone(&self.texts.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The growing part becomes a segment, and the collection as it is now is to be made durable. The caller holds the
    /// order, so that this is exactly the state at its sequence.
    pub fn seal(&self, order: &Order) {
        let mut ledger = lock(&self.ledger);
        if ledger.durable.sequence == order.sequence && ledger.working.is_none() && ledger.wanted.is_none() {
            return;
        }
        let number = ledger.number();
        let mut state = self.write();
        state.seal(number, &self.like);
        let entries: Vec<_> =
            state.places.iter().filter(|place| !place.dead()).map(super::state::Place::entry).collect();
        let working = ledger.working.as_ref().map(|working| working.entries.as_slice()).unwrap_or_default();
        let worked = |number| working.iter().any(|entry| entry.number == number);
        // The dead are forgotten, but for those whose files are still to be written for an earlier sequence.
        state
            .places
            .retain(|place| !place.dead() || (!place.segment.saved() && worked(place.segment.number)));
        let unsaved = state.places.iter().filter(|place| !place.segment.saved()).count();
        drop(state);
        ledger.wanted = Some(Checkpoint { sequence: order.sequence, entries });
        drop(ledger);
        self.hub.change(|board| {
            board.wanted = true;
            board.unsaved = unsaved;
        });
    }
}
