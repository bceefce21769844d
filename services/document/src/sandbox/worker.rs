//! One parsing child as the service sees it: started, given documents, watched, and killed.

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::AsyncReadExt;
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout, timeout_at};

use super::child::FLAG;
use super::frame::{Header, Report, receive_report, send_request};
use super::pool::SandboxConfig;
use crate::error::DocError;

/// How often a busy child's memory is looked at. Between two looks the hard limit in the child holds.
const LOOK: Duration = Duration::from_millis(20);
/// Address space beyond the resident limit: code, stacks, file mappings and freed but kept memory.
const ADDRESS_SLACK_MB: u64 = 256;
/// What is kept of a child's stderr, in bytes.
const STDERR_TAIL: usize = 4096;
/// How long a killed or dying child may take to be gone.
const GRACE: Duration = Duration::from_secs(5);

/// A running child. Dropping it kills it.
pub(super) struct Worker {
    child: Child,
    group: Option<Pid>,
    stdin: ChildStdin,
    stdout: ChildStdout,
    stderr: Arc<Mutex<Vec<u8>>>,
    /// Documents it has read.
    pub served: u32,
    /// Its peak resident memory as it last reported it, in KiB.
    pub peak_rss_kb: u64,
}

impl Worker {
    /// Starts a child. Must be called on a thread that outlives it: its death signal follows that thread.
    pub fn start(config: &SandboxConfig) -> io::Result<Self> {
        let memory = (config.memory_mb + ADDRESS_SLACK_MB) << 20;
        let mut child = Command::new(&config.program)
            .args([FLAG, &std::process::id().to_string(), &memory.to_string()])
            .arg(&config.pdfium_library)
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let group = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        let (Some(stdin), Some(stdout), Some(errors)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(io::Error::other("a child without its pipes"));
        };
        let stderr = Arc::new(Mutex::new(Vec::new()));
        tokio::spawn(keep_tail(errors, stderr.clone()));
        Ok(Self { child, group, stdin, stdout, stderr, served: 0, peak_rss_kb: 0 })
    }

    /// Has the child read `body`. After an error other than the document's own the child is dead.
    pub async fn parse(&mut self, config: &SandboxConfig, header: &Header, body: &[u8]) -> Attempt {
        let deadline = Instant::now() + Duration::from_millis(config.timeout_ms);
        // Answers are JSON, at most a few bytes for every byte of text, plus the blocks around them.
        let answer_limit = header.limits.max_text_bytes.saturating_mul(8).max(64 << 20);
        let group = self.group;
        let conversation = async {
            // Both directions at once: a child that dies early must not leave us writing.
            let (sent, received) = tokio::join!(
                send_request(&mut self.stdin, header, body),
                receive_report(&mut self.stdout, answer_limit)
            );
            received.map_err(|error| sent.err().unwrap_or(error))
        };
        let mut watch = MemoryWatch { group, limit_kb: config.memory_mb << 10, last_kb: 0 };
        let ended = tokio::select! {
            answer = timeout_at(deadline, conversation) => answer.map_or(End::Late, End::Answer),
            () = watch.exceeded() => End::Swollen,
        };
        match ended {
            End::Answer(Ok(report)) => {
                self.served += 1;
                self.peak_rss_kb = report.usage.peak_rss_kb;
                Attempt::Answered(report)
            }
            End::Late => {
                self.kill();
                Attempt::Died(DocError::TimedOut { limit_ms: config.timeout_ms })
            }
            End::Swollen => {
                self.kill();
                Attempt::Died(DocError::OutOfMemory { limit_mb: config.memory_mb })
            }
            End::Answer(Err(error)) => {
                let died = self.post_mortem(config, watch.last_kb, &error).await;
                Attempt::Died(died)
            }
        }
    }

    /// Why a child went away in the middle of a document.
    async fn post_mortem(&mut self, config: &SandboxConfig, last_kb: u64, error: &io::Error) -> DocError {
        let status = match timeout(GRACE, self.child.wait()).await {
            Ok(Ok(status)) => status,
            // It closed its pipes, or spoke nonsense, and lives.
            _ => {
                self.kill();
                return DocError::Crashed { how: format!("a broken answer ({error})") };
            }
        };
        let said = self.stderr.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let said = String::from_utf8_lossy(&said);
        if status.signal() == Some(Signal::XCPU.as_raw()) {
            return DocError::TimedOut { limit_ms: config.timeout_ms };
        }
        // A C++ library that gets no memory aborts without a word: it is told by how much it had taken.
        let out_of_memory = said.contains("memory allocation of") || said.contains("bad_alloc");
        if out_of_memory || last_kb > (config.memory_mb << 10) / 2 {
            return DocError::OutOfMemory { limit_mb: config.memory_mb };
        }
        tracing::warn!(status = %status, stderr = %said.trim(), "a parsing child died");
        DocError::Crashed { how: describe(status) }
    }

    /// Kills the whole group: the child itself and whatever it may have started.
    fn kill(&mut self) {
        // Never a group whose leader is reaped: its number may belong to others by now.
        if let (Some(group), Ok(None)) = (self.group, self.child.try_wait())
            && let Err(error) = kill_process_group(group, Signal::KILL)
        {
            tracing::warn!(%error, "a parsing child could not be killed");
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.kill();
    }
}

/// How a document's turn ended.
pub(super) enum Attempt {
    /// The child answered and can go on.
    Answered(Report),
    /// The child is gone, for this reason.
    Died(DocError),
}

enum End {
    Answer(io::Result<Report>),
    Late,
    Swollen,
}

/// Follows a child's resident memory.
struct MemoryWatch {
    group: Option<Pid>,
    limit_kb: u64,
    last_kb: u64,
}

impl MemoryWatch {
    /// Returns when the child holds more than its limit; never, if it cannot be looked at.
    async fn exceeded(&mut self) {
        let mut ticks = interval(LOOK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks.tick().await;
        while self.last_kb <= self.limit_kb {
            ticks.tick().await;
            if let Some(kb) = self.group.and_then(resident_kb) {
                self.last_kb = kb;
            }
        }
    }
}

/// Resident memory of a process in KiB; `/proc/<pid>/statm` is answered from memory and does not block.
fn resident_kb(pid: Pid) -> Option<u64> {
    let statm = std::fs::read_to_string(format!("/proc/{}/statm", pid.as_raw_nonzero())).ok()?;
    let pages: u64 = statm.split_whitespace().nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size() as u64 / 1024)
}

async fn keep_tail(mut errors: ChildStderr, tail: Arc<Mutex<Vec<u8>>>) {
    let mut chunk = [0; 1024];
    while let Ok(count @ 1..) = errors.read(&mut chunk).await {
        let mut kept = tail.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend_from_slice(&chunk[..count]);
        let excess = kept.len().saturating_sub(STDERR_TAIL);
        kept.drain(..excess);
    }
}

fn describe(status: ExitStatus) -> String {
    match (status.signal(), status.code()) {
        (Some(signal), _) => format!("signal {signal}"),
        (None, Some(code)) => format!("exit status {code}"),
        (None, None) => "an unknown cause".into(),
    }
}
