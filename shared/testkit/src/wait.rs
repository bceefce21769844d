//! Waiting for a state that can be observed, within a bound.

use std::time::Duration;

use tokio::time::Instant;

/// How long a test waits for what should happen soon. Long, for machines that are busy; nobody waits it out where all
/// is well.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// How often a state is looked at that nobody tells us of.
const LOOK: Duration = Duration::from_millis(20);

/// Looks until `look` gives something, and returns it.
///
/// # Panics
/// After `patience`, naming what was waited for.
pub async fn until_within<T>(what: &str, patience: Duration, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let give_up = Instant::now() + patience;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < give_up, "waited {patience:?} in vain until {what}");
        tokio::time::sleep(LOOK).await;
    }
}

/// [`until_within`] the usual [`PATIENCE`].
///
/// # Panics
/// After [`PATIENCE`].
pub async fn until<T>(what: &str, look: impl AsyncFnMut() -> Option<T>) -> T {
    until_within(what, PATIENCE, look).await
}
