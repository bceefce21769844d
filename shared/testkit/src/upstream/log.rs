//! What the upstream was asked, and how it went.

use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;
use tokio::sync::watch;

/// How long a test waits for what should happen soon.
const PATIENCE: Duration = Duration::from_secs(60);

/// How a request went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It is being answered.
    Pending,
    /// The whole answer was written, as scripted.
    Answered,
    /// The client closed the connection before that. Seen while the upstream waits or writes: an answer that fits into
    /// the buffers of the system at once is written all the same.
    ClientGone,
    /// The script broke it off.
    Broken,
}

/// A request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// Counted from 0, in the order in which requests came in.
    pub number: u64,
    /// Such as `POST`.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// Names in lower case, in the order sent.
    pub headers: Vec<(String, String)>,
    /// The body, without its framing.
    pub body: Bytes,
    /// How it went so far.
    pub end: End,
}

impl Recorded {
    /// The first header of this name, which is given in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// The body as JSON; null where it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

#[derive(Debug)]
pub(super) struct Log {
    keep: usize,
    kept: watch::Sender<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    count: u64,
    requests: Vec<Recorded>,
}

impl Log {
    pub(super) fn new(keep: usize) -> Self {
        Self { keep, kept: watch::Sender::new(Kept::default()) }
    }

    /// Keeps a request, gives it its number, and forgets old ones.
    pub(super) fn add(&self, mut request: Recorded) -> u64 {
        let mut number = 0;
        self.kept.send_modify(|kept| {
            number = kept.count;
            request.number = number;
            kept.count += 1;
            kept.requests.push(request);
            // By halves, so that forgetting costs little.
            if kept.requests.len() > 2 * self.keep {
                let old = kept.requests.len() - self.keep;
                kept.requests.drain(..old);
            }
        });
        number
    }

    pub(super) fn end(&self, number: u64, end: End) {
        self.kept.send_modify(|kept| {
            if let Some(request) = kept.requests.iter_mut().rev().find(|r| r.number == number) {
                request.end = end;
            }
        });
    }

    pub(super) fn requests(&self) -> Vec<Recorded> {
        self.kept.borrow().requests.clone()
    }

    pub(super) fn count(&self) -> u64 {
        self.kept.borrow().count
    }

    pub(super) async fn until(
        &self,
        what: &str,
        mut enough: impl FnMut(&[Recorded]) -> bool,
    ) -> Vec<Recorded> {
        let mut changes = self.kept.subscribe();
        let waited = tokio::time::timeout(PATIENCE, changes.wait_for(|kept| enough(&kept.requests))).await;
        match waited {
            // The sender lives as long as we do.
            Ok(kept) => kept.map(|kept| kept.requests.clone()).unwrap_or_default(),
            Err(_) => panic!("waited {PATIENCE:?} in vain until {what}; there is {:#?}", self.requests()),
        }
    }
}
