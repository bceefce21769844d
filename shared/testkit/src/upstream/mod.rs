//! A scripted upstream: an HTTP/1.1 server on a loopback port that speaks OpenAI's API, well or as badly as a test asks
//! for, and keeps what it was sent.
//!
//! It writes its answers byte by byte on the socket, since a framework would not let it break off inside a character.
//! How a request is answered: by the script [pushed](Upstream::push) for the next POST; else by the one
//! [set](Upstream::set) for its model; else by the model's [name](Script::named); else well.

mod api;
mod cases;
mod chat;
mod echo;
mod log;
mod responses;
mod script;
mod serve;
mod shelf;
mod tools;
mod wire;

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub use log::{End, Recorded};
pub use script::{Ending, NAMES, Reply, Script, Shape, Split, TEXT};

use log::Log;
use shelf::Shelf;

/// How a server is started.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// The port of the loopback address; 0 for a free one.
    pub port: u16,
    /// How many requests are kept at least, the latest ones. Up to twice as many are held.
    pub keep: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { port: 0, keep: 1_000 }
    }
}

/// What all connections share.
#[derive(Debug)]
struct Shared {
    queue: Mutex<VecDeque<Script>>,
    models: Mutex<HashMap<String, Script>>,
    /// How often a model whose name counts was asked.
    counts: Mutex<HashMap<String, u64>>,
    shelf: Mutex<Shelf>,
    next_id: AtomicU64,
    log: Log,
}

/// The server. It stops, with all its connections, when it is dropped.
#[derive(Debug)]
pub struct Upstream {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Upstream {
    /// Starts a server on a free port.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn start() -> io::Result<Self> {
        Self::start_with(Options::default()).await
    }

    /// Starts a server.
    ///
    /// # Errors
    /// When the port cannot be had.
    pub async fn start_with(options: Options) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, options.port)).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            queue: Mutex::default(),
            models: Mutex::default(),
            counts: Mutex::default(),
            shelf: Mutex::default(),
            next_id: AtomicU64::new(1),
            log: Log::new(options.keep),
        });
        let task = tokio::spawn(serve::accept(listener, shared.clone()));
        Ok(Self { address, shared, task })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What a client takes as its base URL, with `/v1`.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// Answers the next POST that has no script yet in this way. Scripts pushed before come first.
    pub fn push(&self, script: Script) {
        lock(&self.shared.queue).push_back(script);
    }

    /// How many pushed scripts have not been used.
    #[must_use]
    pub fn pushed(&self) -> usize {
        lock(&self.shared.queue).len()
    }

    /// Answers every request for this model in this way from now on.
    pub fn set(&self, model: &str, script: Script) {
        lock(&self.shared.models).insert(model.to_owned(), script);
    }

    /// What was asked, oldest first, with how it went so far.
    #[must_use]
    pub fn requests(&self) -> Vec<Recorded> {
        self.shared.log.requests()
    }

    /// How many requests there were, also those that are not kept any more.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.shared.log.count()
    }

    /// Waits until the kept requests are as `enough` wants them, and gives them.
    ///
    /// # Panics
    /// After a minute, naming `what` was waited for and showing what there is.
    pub async fn until(&self, what: &str, enough: impl FnMut(&[Recorded]) -> bool) -> Vec<Recorded> {
        self.shared.log.until(what, enough).await
    }
}

impl Shared {
    /// A number that no other answer has.
    fn id(&self) -> u64 {
        self.next_id.fetch_add(1, Ordering::Relaxed)
    }

    fn script(&self, method: &str, model: Option<&str>) -> Script {
        let pushed = if method == "POST" { lock(&self.queue).pop_front() } else { None };
        let of_model = || {
            let model = model?;
            let set = lock(&self.models).get(model).cloned();
            set.or_else(|| Script::named(model, || self.turn(model)))
        };
        pushed.or_else(of_model).unwrap_or_default()
    }

    /// How often this model was asked before.
    fn turn(&self, model: &str) -> u64 {
        let mut counts = lock(&self.counts);
        let count = counts.entry(model.to_owned()).or_default();
        *count += 1;
        *count - 1
    }
}

/// A test that panicked with the lock shall not take the others with it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
