//! The ledger on a bucket of ours: which accounts a call is charged to, with which limits.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tasklane_runtime::bus::Bus;
use tasklane_runtime::bus::kv::Bucket;
use tasklane_runtime::contract::streams;
use tokio::sync::OnceCell;

use crate::catalog::{Catalog, Limits as Written, Model, Per, Provider, Tenant};
use crate::ledger::{
    self, Amounts, Book, BookError, Charge, Limits, Period, PutError, Reservation, Store, Unavailable, What,
};
use crate::meters::Meters;

/// The bucket of the ledger, opened when it is first needed: the router may make it later than we start.
pub struct BucketStore {
    bus: Bus,
    bucket: OnceCell<Bucket>,
}

impl BucketStore {
    async fn bucket(&self) -> Result<&Bucket, Unavailable> {
        self.bucket
            .get_or_try_init(|| self.bus.bucket(streams::LLM))
            .await
            .map_err(|e| Unavailable(e.to_string()))
    }
}

impl Store for BucketStore {
    async fn get(&self, key: &str) -> Result<Option<(Vec<u8>, u64)>, Unavailable> {
        let found = self.bucket().await?.read(key).await.map_err(|e| Unavailable(e.to_string()))?;
        Ok(found.map(|(value, revision)| (value.to_vec(), revision)))
    }

    async fn put(&self, key: &str, value: Vec<u8>, expected: Option<u64>) -> Result<u64, PutError> {
        let swapped = self.bucket().await?.swap(key, value.into(), expected.unwrap_or(0)).await;
        swapped.map_err(|e| Unavailable(e.to_string()))?.ok_or(PutError::Conflict)
    }
}

/// Leases last some seconds; they are looked after this often.
const EVERY: Duration = Duration::from_millis(250);
/// Budgets are shown every so many times of that.
const SHOWN_EVERY: u64 = 40;

/// Milliseconds since the epoch.
pub fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// The accounts of this replica.
pub struct Books {
    book: Book<BucketStore>,
}

/// Whose limit was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// The tenant's: another model does not help, unless it is cheaper.
    Tenant,
    /// The model's or its provider's: another may have room.
    Candidate,
}

impl Books {
    /// Opens the ledger. `replica` is another one at every start.
    pub fn open(bus: &Bus, replica: &str) -> Self {
        let store = BucketStore { bus: bus.clone(), bucket: OnceCell::new() };
        let sources =
            ledger::book::Sources { now_ms: Box::new(now_ms), random: Box::new(rand::random::<f64>) };
        Self { book: Book::new(store, replica, sources) }
    }

    /// Reserves an estimate in the accounts of tenant, model and provider: in all of them or in none.
    ///
    /// # Errors
    /// Whose limit it is, and what the ledger says.
    pub async fn reserve(
        &self,
        tenant: &Tenant,
        model: &Model,
        need: Amounts,
    ) -> Result<(Reservation, Reservation), (Whose, BookError)> {
        let (limits, key) = (of_tenant(tenant), ledger::book::key("tenant", &tenant.name));
        let charge = [Charge { key: &key, limits: &limits }];
        let first = self.book.reserve(need, &charge).await.map_err(|e| (Whose::Tenant, e))?;
        let keys =
            [ledger::book::key("model", &model.id), ledger::book::key("provider", &model.provider.name)];
        let limits = [of(&model.limits), of(&model.provider.limits)];
        let charges =
            [Charge { key: &keys[0], limits: &limits[0] }, Charge { key: &keys[1], limits: &limits[1] }];
        match self.book.reserve(need, &charges).await {
            Ok(second) => Ok((first, second)),
            Err(e) => {
                first.release();
                Err((Whose::Candidate, e))
            }
        }
    }

    /// Reserves one request of a tenant and a provider.
    ///
    /// # Errors
    /// What the ledger says.
    pub async fn one(&self, tenant: &Tenant, provider: &Provider) -> Result<Reservation, BookError> {
        let keys = [ledger::book::key("tenant", &tenant.name), ledger::book::key("provider", &provider.name)];
        let limits = [of_tenant(tenant), of(&provider.limits)];
        let charges =
            [Charge { key: &keys[0], limits: &limits[0] }, Charge { key: &keys[1], limits: &limits[1] }];
        self.book.reserve(Amounts { requests: 1, ..Amounts::ZERO }, &charges).await
    }

    /// Keeps leases and writes what was used, until the process ends.
    pub async fn keep(&self, catalog: impl Fn() -> Arc<Catalog>, meters: &Meters) {
        for round in 0u64.. {
            tokio::time::sleep(EVERY).await;
            let now = catalog();
            if round % SHOWN_EVERY == 0 {
                self.show(&now, meters).await;
            }
            if let Err(e) = self.book.maintain(|key| limits_of(&now, key)).await {
                tracing::warn!("the ledger could not be written now: {e}");
            }
        }
    }

    /// How much of every budget is spent.
    async fn show(&self, catalog: &Catalog, meters: &Meters) {
        for tenant in catalog.tenants() {
            for budget in &tenant.budgets {
                let (period, window) = match budget.per {
                    Per::Day => (Period::Day, "day"),
                    Per::Month => (Period::Month, "month"),
                };
                match self.book.account(&ledger::book::key("tenant", &tenant.name)).await {
                    Ok(account) => {
                        let used = account.used(What::Money(period), now_ms());
                        meters.spent(&tenant.name, window, used as f64 / budget.nano_usd as f64);
                    }
                    Err(e) => tracing::debug!(tenant = tenant.name, "its budget is not known now: {e}"),
                }
            }
        }
    }

    /// Gives back what is leased and not used.
    pub async fn close(&self) {
        if let Err(e) = self.book.shutdown().await {
            tracing::warn!("the ledger could not be closed; what is leased comes back by itself: {e}");
        }
    }
}

fn of(written: &Written) -> Limits {
    Limits {
        requests_per_minute: written.requests_per_minute,
        tokens_per_minute: written.tokens_per_minute,
        ..Limits::default()
    }
}

/// A tenant's limits with its budgets.
pub fn of_tenant(tenant: &Tenant) -> Limits {
    let budget = |per| tenant.budgets.iter().find(|b| b.per == per).map(|b| b.nano_usd);
    Limits {
        nano_usd_per_day: budget(Per::Day),
        nano_usd_per_month: budget(Per::Month),
        ..of(&tenant.limits)
    }
}

/// The limits that hold for an account now; none for one that the catalog does not name any more.
fn limits_of(catalog: &Catalog, key: &str) -> Limits {
    let tenant = catalog.tenants().find(|t| ledger::book::key("tenant", &t.name) == key).map(of_tenant);
    let model = || catalog.models().find(|m| ledger::book::key("model", &m.id) == key).map(|m| of(&m.limits));
    let provider =
        || catalog.providers().find(|p| ledger::book::key("provider", &p.name) == key).map(|p| of(&p.limits));
    tenant.or_else(model).or_else(provider).unwrap_or_default()
}
