//! The ledger on a bucket of ours: which accounts a call is charged to, with which limits.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tasklane_runtime::bus::Bus;
use tasklane_runtime::bus::kv::Bucket;
use tasklane_runtime::contract::{streams, time};
use tokio::sync::OnceCell;

use crate::catalog::{Budget, Catalog, Limits as Written, Model, Per, Provider, Tenant};
use crate::ledger::cas::CasError;
use crate::ledger::{
    self, Amounts, Book, BookError, Charge, Limits, Period, PutError, Reservation, Store, Unavailable, What,
};
use crate::meters::Meters;
use crate::sheets::Sheets;

/// The bucket of the ledger, opened when it is first needed: the router may make it later than we start.
#[derive(Clone)]
pub struct BucketStore {
    bus: Bus,
    bucket: Arc<OnceCell<Bucket>>,
}

impl BucketStore {
    /// The bucket itself, for what the ledger does not need of it.
    ///
    /// # Errors
    /// [`Unavailable`] if it cannot be opened now.
    pub async fn bucket(&self) -> Result<&Bucket, Unavailable> {
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
    u64::try_from(time::now_us()).unwrap_or_default() / 1_000
}

/// Time and chance as they are.
fn sources() -> ledger::book::Sources {
    ledger::book::Sources { now_ms: Box::new(now_ms), random: Box::new(rand::random::<f64>) }
}

/// The accounts of this replica, and what its calls used.
pub struct Books {
    book: Book<BucketStore>,
    sheets: Sheets,
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
    /// Opens the ledger. `replica` is another one at every start; usage is kept for `keep_days`.
    pub fn open(bus: &Bus, replica: &str, keep_days: u64) -> Self {
        let store = BucketStore { bus: bus.clone(), bucket: Arc::default() };
        let sheets = Sheets::new(store.clone(), replica, sources(), keep_days);
        Self { book: Book::new(store, replica, sources()), sheets }
    }

    /// What was used, by tenant, model and day.
    pub fn sheets(&self) -> &Sheets {
        &self.sheets
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
        // Apart, for a lease ends soon, and the statistics may wait.
        tokio::join!(self.keep_leases(catalog, meters), self.sheets.keep());
    }

    async fn keep_leases(&self, catalog: impl Fn() -> Arc<Catalog>, meters: &Meters) {
        let mut now = catalog();
        let mut limits = all_limits(&now);
        for round in 0u64.. {
            tokio::time::sleep(EVERY).await;
            let newest = catalog();
            if !Arc::ptr_eq(&now, &newest) {
                limits = all_limits(&newest);
                now = newest;
            }
            if round % SHOWN_EVERY == 0 {
                self.show(&now, meters).await;
            }
            // No limits for an account that the catalog does not name any more.
            if let Err(e) = self.book.maintain(|key| limits.get(key).copied().unwrap_or_default()).await {
                tracing::warn!("the ledger could not be written now: {e}");
            }
        }
    }

    /// How much of every budget is spent.
    async fn show(&self, catalog: &Catalog, meters: &Meters) {
        for tenant in catalog.tenants().filter(|tenant| !tenant.budgets.is_empty()) {
            match self.spent(tenant).await {
                Ok(spent) => {
                    for (budget, used) in spent {
                        let share = used as f64 / budget.nano_usd as f64;
                        meters.spent(&tenant.name, budget.per.word(), share);
                    }
                }
                Err(e) => tracing::debug!(tenant = tenant.name, "its budgets are not known now: {e}"),
            }
        }
    }

    /// How much of each of a tenant's budgets is spent or held, in nano-US-dollars, as the bucket has it.
    ///
    /// # Errors
    /// [`CasError`] if its account cannot be read.
    pub async fn spent(&self, tenant: &Tenant) -> Result<Vec<(Budget, u64)>, CasError> {
        let account = self.book.account(&ledger::book::key("tenant", &tenant.name)).await?;
        let used = |budget: &Budget| {
            let period = match budget.per {
                Per::Day => Period::Day,
                Per::Month => Period::Month,
            };
            (*budget, account.used(What::Money(period), now_ms()))
        };
        Ok(tenant.budgets.iter().map(used).collect())
    }

    /// Gives back what is leased and not used, and writes what was used.
    pub async fn close(&self) {
        if let Err(e) = self.book.shutdown().await {
            tracing::warn!("the ledger could not be closed; what is leased comes back by itself: {e}");
        }
        self.sheets.close().await;
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

/// The limits of every account that a catalog names.
fn all_limits(catalog: &Catalog) -> HashMap<String, Limits> {
    let tenants = catalog.tenants().map(|t| (ledger::book::key("tenant", &t.name), of_tenant(t)));
    let models = catalog.models().map(|m| (ledger::book::key("model", &m.id), of(&m.limits)));
    let providers = catalog.providers().map(|p| (ledger::book::key("provider", &p.name), of(&p.limits)));
    tenants.chain(models).chain(providers).collect()
}
