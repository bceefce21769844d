//! A log that has gone back: a server that lost the end of its store, or a backup that is older than the snapshots. Its next
//! messages would have numbers that a snapshot has already, and nobody would apply them. So its numbers are brought past
//! all snapshots before anything is applied.

use std::time::Duration;

use tasklane_runtime::bus::publish::Outgoing;
use tasklane_runtime::bus::{Bus, BusError};
use tasklane_runtime::contract::streams::VECTORS;

use super::{NOBODYS, subject};

/// Numbers that are used up by messages to nobody; with more than that the log is of another time altogether.
const MOST: u64 = 1_000_000;
/// How long a log must have gone back to be believed.
const SURE: Duration = Duration::from_secs(1);
/// Messages that are on their way at once.
const AT_ONCE: usize = 1_000;

/// The log's last number, which is at least `base` afterwards. `applied` is the highest that is applied here.
///
/// # Errors
/// Where NATS refuses, or the log is too far behind to be one with these snapshots.
pub async fn past(bus: &Bus, base: u64, applied: u64) -> Result<u64, BusError> {
    let mut log = bus.stream_load(VECTORS).await?;
    if log.last < base.max(applied) {
        // What follows is not done for a server of a cluster that was just elected, and is not as far yet.
        tokio::time::sleep(SURE).await;
        log = bus.stream_load(VECTORS).await?;
    }
    if log.last >= base {
        return Ok(log.last);
    }
    tracing::error!(
        log = log.last,
        snapshot = base,
        "the log has gone back behind a snapshot: its numbers are brought past it"
    );
    if log.messages == 0 {
        bus.purge(VECTORS, ">", Some(base)).await?;
    } else if base - log.last <= MOST {
        use_up(bus, base - log.last).await?;
    } else {
        let reason =
            format!("the log is at {} and a snapshot at {base}: docs/backup.md says what to do", log.last);
        return Err(BusError::JetStream { what: "follow the log".into(), reason });
    }
    Ok(bus.stream_load(VECTORS).await?.last)
}

async fn use_up(bus: &Bus, numbers: u64) -> Result<(), BusError> {
    let mut left = usize::try_from(numbers).unwrap_or(usize::MAX);
    while left > 0 {
        let some = left.min(AT_ONCE);
        let sending = (0..some).map(|_| bus.store(Outgoing::new(subject(NOBODYS), Vec::new())));
        futures::future::try_join_all(sending).await?;
        left -= some;
    }
    Ok(())
}
