//! What calls used, by tenant, model and day: kept in the ledger's bucket beside the accounts, and told to who asks.
//!
//! It is statistics, not the ledger: no call waits for it, and a replica that is killed takes its last second along.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use tasklane_runtime::bus::BusError;
use tokio::time::{Instant, MissedTickBehavior};

use crate::books::{BucketStore, now_ms};
use crate::ledger::book::Sources;
use crate::ledger::calendar::day;
use crate::ledger::cas::CasError;
use crate::ledger::flush::Usage as Counting;
use crate::ledger::report::{self, By, Report, Span};
use crate::ledger::usage::Counters;
use crate::ledger::{Unavailable, store};
use crate::sse::Usage;

/// How often it is written.
const EVERY: Duration = Duration::from_secs(1);
/// How often what is past its time is removed.
const SWEEP: Duration = Duration::from_secs(3_600);
/// Sheets that one report reads at most.
const MAX_SHEETS: usize = 10_000;
/// Sheets that are looked at when old ones are removed; the rest has its turn with the next sweep.
const MAX_SWEPT: usize = 1_000_000;
/// How many sheets are read at once.
const READS_AT_ONCE: usize = 32;

/// What a report is asked about.
#[derive(Debug, Clone)]
pub struct Question {
    /// The days.
    pub span: Span,
    /// One tenant, or all.
    pub tenant: Option<String>,
    /// One model, or all.
    pub model: Option<String>,
    /// What rows are told apart by.
    pub by: By,
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum NoReport {
    /// The bucket.
    #[error(transparent)]
    Sheet(#[from] CasError),
    /// The bucket, while sheets were looked for.
    #[error(transparent)]
    Bus(#[from] BusError),
    /// It would be too long.
    #[error("that is more than {0}; ask for fewer days, for one tenant, or by fewer things")]
    TooMuch(String),
}

impl From<Unavailable> for NoReport {
    fn from(e: Unavailable) -> Self {
        Self::Sheet(e.into())
    }
}

/// The usage of all replicas.
pub struct Sheets {
    counting: Counting<BucketStore>,
    store: BucketStore,
    keep_days: u64,
    /// The last write failed, and that was told.
    behind: AtomicBool,
}

impl Sheets {
    /// On a bucket. `replica` is another one at every start.
    pub fn new(store: BucketStore, replica: &str, sources: Sources, keep_days: u64) -> Self {
        let counting = Counting::new(store.clone(), replica, sources);
        Self { counting, store, keep_days, behind: AtomicBool::new(false) }
    }

    /// For how many days it is kept.
    pub fn keep_days(&self) -> u64 {
        self.keep_days
    }

    /// Counts a call.
    pub fn record(&self, tenant: &str, model: &str, usage: Usage, nano_usd: u64) {
        let counters = Counters {
            requests: 1,
            input_tokens: usage.input,
            cached_tokens: usage.cached,
            output_tokens: usage.output,
            nano_usd,
        };
        self.counting.record(tenant, model, &counters);
    }

    /// Writes what was counted and removes what is past its time, until the process ends.
    pub async fn keep(&self) {
        let mut tick = tokio::time::interval(EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut sweep = Instant::now();
        loop {
            tick.tick().await;
            self.write().await;
            if sweep <= Instant::now() {
                // Before the router has made the bucket there is nothing to remove; it has its turn later.
                if let Err(e) = self.expire().await {
                    tracing::debug!("old usage could not be removed now: {e}");
                }
                sweep = Instant::now() + SWEEP;
            }
        }
    }

    async fn write(&self) {
        let written = self.counting.flush().await;
        let was_behind = self.behind.swap(written.is_err(), Ordering::Relaxed);
        match written {
            Err(e) if !was_behind => tracing::warn!("usage cannot be written now, and is kept here: {e}"),
            Ok(()) if was_behind => tracing::info!("usage is written again"),
            _ => {}
        }
    }

    /// Writes everything, for the end of the process.
    pub async fn close(&self) {
        if let Err(e) = self.counting.shutdown().await {
            tracing::warn!("what was used last could not be written, and is lost to the statistics: {e}");
        }
    }

    /// Removes the sheets of days that are past their time.
    ///
    /// # Errors
    /// The bucket's; what is left is removed the next time.
    pub async fn expire(&self) -> Result<(), NoReport> {
        let bucket = self.store.bucket().await?;
        let keys = bucket.keys("usage.*.*", MAX_SWEPT).await?;
        for day in report::expired(&keys, day(now_ms()), self.keep_days) {
            bucket.purge(&format!("usage.{day}.*")).await?;
        }
        Ok(())
    }

    /// What was used, as the bucket has it: up to a second late.
    ///
    /// # Errors
    /// [`NoReport`], as its variants say.
    pub async fn report(&self, question: &Question) -> Result<Report, NoReport> {
        let sheets = self.sheets(question).await?;
        let reading = sheets.into_iter().map(|(day, tenant)| async move {
            self.counting.sheet(day, &tenant).await.map(|sheet| (day, tenant, sheet))
        });
        let mut read = stream::iter(reading).buffer_unordered(READS_AT_ONCE);
        let mut report = Report::new(question.by, question.model.clone());
        while let Some((day, tenant, sheet)) = read.try_next().await? {
            if !report.add(day, &tenant, &sheet.models) {
                return Err(NoReport::TooMuch(format!("{} rows", report::MAX_ROWS)));
            }
        }
        Ok(report)
    }

    /// The sheets there are. Asking which spares asking for every day and tenant, and finds tenants that the catalog does
    /// not name any more.
    async fn sheets(&self, question: &Question) -> Result<Vec<(u64, String)>, NoReport> {
        let tenant = question.tenant.as_deref().map_or("*".to_owned(), store::token);
        let keys = self.store.bucket().await?.keys(&format!("usage.*.{tenant}"), MAX_SWEPT).await?;
        let mut sheets: Vec<_> = keys
            .iter()
            .filter_map(|key| report::sheet_of(key))
            .filter(|(day, _)| question.span.has(*day))
            .collect();
        if sheets.len() > MAX_SHEETS {
            return Err(NoReport::TooMuch(format!("{MAX_SHEETS} sheets of a tenant's day")));
        }
        sheets.sort();
        Ok(sheets)
    }
}
