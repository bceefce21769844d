//! A child process in a group of its own: its log in a file, signals, its end.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};

use crate::{guard, wait};

/// Lines of a log that a failed test shows.
const SHOWN: usize = 60;

/// How a process is started, again and again.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Its name in this test.
    pub name: String,
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
    /// Its environment, beside that of the test.
    pub env: BTreeMap<String, String>,
}

/// A running process. It is killed when it is dropped.
#[derive(Debug)]
pub struct Running {
    child: Child,
    group: u32,
    name: String,
}

/// A program without our variables: the settings of whoever runs the tests are not the test's.
pub fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    for (key, _) in std::env::vars_os() {
        if key.to_str().is_some_and(|k| k.starts_with("TASKLANE_") || k.starts_with("OTEL_")) {
            command.env_remove(key);
        }
    }
    command
}

impl Plan {
    /// Starts it; what it writes is appended to `<logs>/<name>.log`.
    ///
    /// # Panics
    /// Where it cannot be started.
    pub fn start(&self, logs: &Path) -> Running {
        let log = log_file(logs, &self.name);
        let errors = log.try_clone().unwrap_or_else(|e| panic!("the log of {}: {e}", self.name));
        let mut command = command(&self.program);
        command.args(&self.args).stdin(Stdio::null()).stdout(log).stderr(errors).process_group(0);
        let spawned = command.envs(&self.env).spawn();
        let child = spawned.unwrap_or_else(|e| panic!("{} cannot be started: {e}", self.program.display()));
        guard::watch(child.id());
        Running { group: child.id(), child, name: self.name.clone() }
    }
}

fn log_path(logs: &Path, name: &str) -> PathBuf {
    logs.join(format!("{name}.log"))
}

fn log_file(logs: &Path, name: &str) -> File {
    let path = log_path(logs, name);
    let opened = OpenOptions::new().create(true).append(true).open(&path);
    opened.unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// What a process has written so far.
///
/// # Panics
/// Where there is no such log.
pub fn log(logs: &Path, name: &str) -> String {
    let path = log_path(logs, name);
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Shows the ends of all logs in a folder, for a test that fails.
pub fn show_logs(logs: &Path) {
    let Ok(files) = std::fs::read_dir(logs) else { return };
    let mut paths: Vec<PathBuf> = files.filter_map(|file| Some(file.ok()?.path())).collect();
    paths.sort();
    for path in paths {
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        let from = lines.len().saturating_sub(SHOWN);
        eprintln!("--- {} (lines {} to {})", path.display(), from + 1, lines.len());
        for line in &lines[from..] {
            eprintln!("{line}");
        }
    }
}

impl Running {
    /// Its process id, which is also its group's.
    pub fn id(&self) -> u32 {
        self.group
    }

    /// Sends a signal to its whole group.
    ///
    /// # Panics
    /// Where it is gone already.
    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.group).ok().and_then(Pid::from_raw);
        let pid = pid.unwrap_or_else(|| panic!("{} has no process id", self.name));
        kill_process_group(pid, signal).unwrap_or_else(|e| panic!("{} cannot be signalled: {e}", self.name));
    }

    /// Whether it still runs.
    ///
    /// # Panics
    /// Where the system does not say.
    pub fn is_running(&mut self) -> bool {
        self.ended().is_none()
    }

    fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap_or_else(|e| panic!("{}: {e}", self.name))
    }

    /// Waits until it has ended by itself.
    ///
    /// # Panics
    /// Where it has not within `patience`.
    pub async fn ended_within(&mut self, patience: Duration) -> ExitStatus {
        let what = format!("{} has ended", self.name);
        wait::until_within(&what, patience, async || self.ended()).await
    }

    /// Kills it without a word (SIGKILL) and waits until it is gone.
    ///
    /// # Panics
    /// Where it had ended by itself.
    pub fn kill9(&mut self) {
        assert!(self.is_running(), "{} was to be killed and had ended by itself", self.name);
        self.signal(Signal::KILL);
        self.reap();
    }

    fn reap(&mut self) {
        if let Err(e) = self.child.wait() {
            eprintln!("{}: {e}", self.name);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.signal(Signal::KILL);
            self.reap();
        }
        guard::forget(self.group);
    }
}
