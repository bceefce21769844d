//! The accounts of one replica: takes for a call from all of them or from none, and keeps the leases.

use std::collections::HashMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, PoisonError, RwLock};

use futures::StreamExt as _;
use thiserror::Error;

use super::amounts::{Amounts, Decision, Limits, Refusal, What};
use super::calendar::day;
use super::cas::CasError;
use super::lease::Lease;
use super::reservation::{Holding, Part, Refused, Reservation, Taking};
use super::store::{Store, token};
use super::window::{Account, GRACE_MS};

mod write;

/// How long a refusal is repeated without asking the bucket again, in milliseconds.
const REFUSED_MS: u64 = 250;

/// How often a call leases anew when its lease ends before it could take from it, which takes a bucket that needs
/// longer to answer than a lease lasts.
const MAX_REFILLS: u32 = 4;

/// How many accounts are written at once by [`Book::maintain`].
const WRITES_AT_ONCE: usize = 16;

/// What a call asks of one account.
#[derive(Debug, Clone, Copy)]
pub struct Charge<'a> {
    /// The account, as [`key`] names it.
    pub key: &'a str,
    /// Its limits now; they may change from call to call.
    pub limits: &'a Limits,
}

/// The key of an account: a kind (`provider`, `model`, `tenant`) and a name, which may hold anything.
#[must_use]
pub fn key(kind: &str, name: &str) -> String {
    format!("limit.{}.{}", token(kind), token(name))
}

/// Why a call may not be made.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BookError {
    /// A limit is reached; it may be tried again later.
    #[error("{} of {} are used up: {} of {}", .1.what.unit(), .0, .1.used, .1.limit)]
    Refused(String, Refusal),
    /// It asks for more than the whole limit, so no waiting helps.
    #[error("the call needs {wanted} {}, and {key} never has more than {limit}", .what.unit())]
    Never {
        /// The account.
        key: String,
        /// What it needs too much of.
        what: What,
        /// The whole limit.
        limit: u64,
        /// How much the call needs.
        wanted: u64,
    },
    /// More replicas than an account has room for.
    #[error("{0} is shared by too many replicas")]
    Crowded(String),
    /// The bucket answers more slowly than a lease lasts.
    #[error("the ledger's bucket is too slow: leases on {0} end before they can be used")]
    Slow(String),
    /// The bucket is away, contended, or holds something unreadable.
    #[error(transparent)]
    Store(#[from] CasError),
}

/// Where a book gets time and chance from.
pub struct Sources {
    /// Milliseconds since the epoch.
    pub now_ms: Box<dyn Fn() -> u64 + Send + Sync>,
    /// A number in `[0, 1)`.
    pub random: Box<dyn Fn() -> f64 + Send + Sync>,
}

/// The accounts of one replica.
pub struct Book<S> {
    store: S,
    replica: String,
    sources: Sources,
    serials: AtomicU64,
    holdings: RwLock<HashMap<Arc<str>, Arc<Holding>>>,
}

impl<S: Store> Book<S> {
    /// A book on a bucket. `replica` must be another one at every start of the process: rows of the process before
    /// are not known to this one, and must not be overwritten.
    pub fn new(store: S, replica: &str, sources: Sources) -> Self {
        Self {
            store,
            replica: token(replica),
            sources,
            serials: AtomicU64::new(1),
            holdings: RwLock::default(),
        }
    }

    /// Takes an estimate from every account of a call, or from none. Without a round trip as long as this replica's
    /// leases suffice; accounts without limits are left out. May be cancelled at any point.
    ///
    /// The accounts are asked in the order given, which should be the same for all calls: tenant, model, provider.
    /// Another order is no deadlock, as no lock is held while another account is asked; but two calls could then
    /// each be refused for what the other one is about to give back.
    ///
    /// # Errors
    /// [`BookError`], as its variants say; nothing is taken then.
    pub async fn reserve(&self, need: Amounts, charges: &[Charge<'_>]) -> Result<Reservation, BookError> {
        let mut taking = Taking(Vec::with_capacity(charges.len()));
        for charge in charges.iter().filter(|charge| !charge.limits.is_none()) {
            let holding = self.holding(charge.key);
            let part = match self.take(&holding, need, charge.limits) {
                Ok(Some(part)) => part,
                Ok(None) => self.refill(&holding, need, charge.limits).await?,
                Err(decision) => return Err(failed(charge.key, decision)),
            };
            taking.0.push(part);
        }
        Ok(taking.done())
    }

    /// Takes from the lease there is; `None` if it does not suffice.
    fn take(&self, holding: &Arc<Holding>, need: Amounts, limits: &Limits) -> Result<Option<Part>, Decision> {
        let now_ms = (self.sources.now_ms)();
        let mut state = holding.state();
        if let Some(lease) = state.lease(day(now_ms))
            && let Some(slot) = lease.take(now_ms, need)
        {
            let (holding, serial) = (Arc::clone(holding), lease.serial);
            return Ok(Some(Part { holding, serial, slot, estimate: need }));
        }
        match limits.never(need).or_else(|| state.refused(now_ms, need, limits)) {
            Some(decision) => Err(decision),
            None => Ok(None),
        }
    }

    /// Leases more and takes from it. Whoever else needs more waits, and then finds what is left of the lease.
    async fn refill(
        &self,
        holding: &Arc<Holding>,
        need: Amounts,
        limits: &Limits,
    ) -> Result<Part, BookError> {
        let writing = holding.writing.lock().await;
        for _ in 0..MAX_REFILLS {
            match self.take(holding, need, limits) {
                Ok(Some(part)) => return Ok(part),
                Ok(None) => {}
                Err(decision) => return Err(failed(&holding.key, decision)),
            }
            let decision = self.lease(holding, &writing, need, limits).await?;
            if let Decision::Refused(refusal) = decision {
                let until_ms = (self.sources.now_ms)() + REFUSED_MS;
                let until_ms = until_ms.min(refusal.available_at_ms);
                holding.state().refused = Some(Refused { decision, need, limits: *limits, until_ms });
            }
            if decision != Decision::Granted {
                return Err(failed(&holding.key, decision));
            }
        }
        Err(BookError::Slow(holding.key.to_string()))
    }

    fn holding(&self, key: &str) -> Arc<Holding> {
        if let Some(holding) = self.holdings.read().unwrap_or_else(PoisonError::into_inner).get(key) {
            return Arc::clone(holding);
        }
        let mut holdings = self.holdings.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(holding) = holdings.get(key) {
            return Arc::clone(holding);
        }
        let holding = Arc::new(Holding::new(key));
        holdings.insert(Arc::clone(&holding.key), Arc::clone(&holding));
        holding
    }

    fn all(&self) -> Vec<Arc<Holding>> {
        self.holdings.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// Renews leases that are in use and about to end, gives back what is free in those that are over, and forgets
    /// idle accounts. To be called about four times a second. `limits` says an account's limits now.
    ///
    /// # Errors
    /// The first of the errors there were; the other accounts are kept nevertheless, and all are tried again with
    /// the next call.
    pub async fn maintain(&self, limits: impl Fn(&str) -> Limits) -> Result<(), CasError> {
        let limits = &limits;
        let work = self.all().into_iter().map(|holding| async move {
            // Whoever writes the account just now keeps it as well.
            let Ok(writing) = holding.writing.try_lock() else { return Ok(()) };
            let now_ms = (self.sources.now_ms)();
            let renew = holding.state().leases.iter().any(|lease| lease.wants_renewal(now_ms));
            if renew {
                self.lease(&holding, &writing, Amounts::ZERO, &limits(&holding.key)).await?;
            }
            self.give_back(&holding, &writing, now_ms).await
        });
        let results: Vec<_> = futures::stream::iter(work).buffer_unordered(WRITES_AT_ONCE).collect().await;
        self.forget_idle();
        results.into_iter().collect()
    }

    /// Gives back everything that is free and writes what was used. For the end of the process, when no more calls
    /// are made; those still running stay charged as estimated.
    ///
    /// # Errors
    /// The first of the errors there were; what could not be given back stays charged.
    pub async fn shutdown(&self) -> Result<(), CasError> {
        let work = self.all().into_iter().map(|holding| async move {
            let writing = holding.writing.lock().await;
            holding.state().leases.iter_mut().for_each(|lease| {
                lease.hold();
            });
            self.give_back(&holding, &writing, (self.sources.now_ms)()).await
        });
        let results: Vec<_> = futures::stream::iter(work).buffer_unordered(WRITES_AT_ONCE).collect().await;
        results.into_iter().collect()
    }

    /// An account as the bucket has it, for showing.
    ///
    /// # Errors
    /// [`CasError`] if it cannot be read.
    pub async fn account(&self, key: &str) -> Result<Account, CasError> {
        let found = self.store.get(key).await?;
        Account::decode(found.as_ref().map(|(value, _)| value.as_slice()))
            .map_err(|why| CasError::Unreadable { key: key.to_owned(), why })
    }

    /// How many accounts are held in memory, for a gauge.
    #[must_use]
    pub fn accounts_held(&self) -> usize {
        self.holdings.read().unwrap_or_else(PoisonError::into_inner).len()
    }

    fn forget_idle(&self) {
        let mut holdings = self.holdings.write().unwrap_or_else(PoisonError::into_inner);
        // With the map locked, nobody else can get hold of what only the map holds.
        holdings.retain(|_, holding| Arc::strong_count(holding) > 1 || !holding.state().leases.is_empty());
    }
}

/// Whether a lease that is over has to be written: something to give back or to correct, or calls that run so long
/// that the row would be closed under them.
fn must_write(lease: &Lease, now_ms: u64) -> bool {
    lease.leased || lease.dirty || now_ms.saturating_sub(lease.written_ms) > GRACE_MS / 3
}

fn failed(key: &str, decision: Decision) -> BookError {
    match decision {
        Decision::Refused(refusal) => BookError::Refused(key.to_owned(), refusal),
        Decision::Never { what, limit, wanted } => {
            BookError::Never { key: key.to_owned(), what, limit, wanted }
        }
        Decision::Crowded | Decision::Granted => BookError::Crowded(key.to_owned()),
    }
}
