//! A task that is suspected of killing workers runs alone: it shall not take its neighbours along again.
//! Others that are suspected of the same are not even in hand meanwhile: each death counts as an attempt of whatever
//! was, and tasks that never began would use up their attempts beside the one that kills.

use std::sync::Arc;

use tokio::sync::{Mutex, OwnedMutexGuard, OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock};

/// Who may run beside whom on one worker.
#[derive(Default)]
pub(crate) struct Quarantine {
    room: Arc<RwLock<()>>,
    suspect: Arc<Mutex<()>>,
}

/// Leave to run, as long as it is held.
#[derive(Debug)]
pub(crate) enum Turn {
    /// Beside others.
    Together { _room: OwnedRwLockReadGuard<()> },
    /// With nobody else.
    Alone { _room: OwnedRwLockWriteGuard<()>, _suspect: OwnedMutexGuard<()> },
}

impl Quarantine {
    /// Waits until a task may run. `None`: it is a suspect, and another one has its turn; let go of it.
    pub async fn enter(&self, is_suspect: bool) -> Option<Turn> {
        if !is_suspect {
            return Some(Turn::Together { _room: Arc::clone(&self.room).read_owned().await });
        }
        let suspect = Arc::clone(&self.suspect).try_lock_owned().ok()?;
        Some(Turn::Alone { _room: Arc::clone(&self.room).write_owned().await, _suspect: suspect })
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn a_suspect_runs_alone_and_others_like_it_go_away() {
        let quarantine = Quarantine::default();
        let ordinary = quarantine.enter(false).await;
        let mut first = Box::pin(quarantine.enter(true));
        assert!(first.as_mut().now_or_never().is_none(), "it waits for those that run");
        assert!(quarantine.enter(true).await.is_none(), "one suspect at a time, the waiting one included");
        drop(ordinary);
        let first = first.await;
        assert!(matches!(first, Some(Turn::Alone { .. })));
        assert!(quarantine.enter(false).now_or_never().is_none(), "nobody runs beside it");
        assert!(quarantine.enter(true).await.is_none());
        drop(first);
        assert!(matches!(quarantine.enter(false).await, Some(Turn::Together { .. })));
        assert!(matches!(quarantine.enter(true).await, Some(Turn::Alone { .. })));
    }
}
