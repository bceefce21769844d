//! Keeps the cores awake. At a hundred calls a second a core sleeps most of the time, and what follows - waking, and caches
//! that have gone cold meanwhile - is several times what a proxy does; in a virtual machine most of all. So latency is
//! measured both ways. What keeps a core awake runs only while nobody else wants it.

use std::process::{Child, Command, Stdio};

use crate::error::LoadError;

/// While this lives, no core sleeps.
pub struct Awake(Vec<Child>);

impl Drop for Awake {
    fn drop(&mut self) {
        for child in &mut self.0 {
            // One that has gone already needs no end.
            drop(child.kill());
            drop(child.wait());
        }
    }
}

impl Awake {
    /// Starts a loop of idle priority on each core; none where the machine has no `chrt` for it.
    ///
    /// # Errors
    /// Where a loop does not start.
    pub fn keep() -> Result<Option<Self>, LoadError> {
        let there = Command::new("chrt").arg("--version").stdout(Stdio::null()).status();
        if !there.is_ok_and(|status| status.success()) {
            eprintln!(
                "  there is no `chrt`: latency is measured with cores that may sleep, and not with such as do not"
            );
            return Ok(None);
        }
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let mut kept = Self(Vec::with_capacity(cores));
        for _ in 0..cores {
            let mut spin = Command::new("chrt");
            spin.args(["--idle", "0", "sh", "-c", "while :; do :; done"]);
            kept.0.push(spin.spawn().map_err(LoadError::io("start chrt"))?);
        }
        Ok(Some(kept))
    }
}
