//! What ends a script from outside while it runs: its time, a cancellation, the memory of the process.

use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

/// Cancellation and memory are looked at once in so many steps: each costs more than a step does, and one step takes
/// at most about a megabyte.
const EVERY: u64 = 64;

/// Why a script was ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// It ran as long as a script may.
    TimeUp,
    /// Its task is over.
    Cancelled,
    /// The process grew too much.
    Memory,
}

/// Watches one script.
pub struct Watch {
    until: Instant,
    cancelled: CancellationToken,
    most_pages: u64,
}

impl Watch {
    /// Begins now. `memory_mb` is what the process may grow by; 0: not looked at.
    pub fn begin(max_ms: u64, memory_mb: u64, cancelled: CancellationToken) -> Self {
        let most_pages = match resident_pages() {
            Some(pages) if memory_mb != 0 => pages.saturating_add((memory_mb << 20) / page_size()),
            _ => u64::MAX,
        };
        Self { until: Instant::now() + Duration::from_millis(max_ms), cancelled, most_pages }
    }

    /// Asked after each step.
    pub fn look(&self, step: u64) -> Option<Stop> {
        if Instant::now() >= self.until {
            return Some(Stop::TimeUp);
        }
        if !step.is_multiple_of(EVERY) {
            return None;
        }
        if self.cancelled.is_cancelled() {
            return Some(Stop::Cancelled);
        }
        let grown =
            self.most_pages != u64::MAX && resident_pages().is_some_and(|pages| pages > self.most_pages);
        grown.then_some(Stop::Memory)
    }
}

/// Pages of the process that are in memory, where the system tells (Linux).
fn resident_pages() -> Option<u64> {
    let mut text = [0; 128];
    let mut file = std::fs::File::open("/proc/self/statm").ok()?;
    let read = std::io::Read::read(&mut file, &mut text).ok()?;
    std::str::from_utf8(text.get(..read)?).ok()?.split(' ').nth(1)?.parse().ok()
}

fn page_size() -> u64 {
    u64::try_from(rustix::param::page_size()).unwrap_or(4096)
}
