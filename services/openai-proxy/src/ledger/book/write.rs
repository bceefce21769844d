//! How a replica writes its row of an account.

use tokio::sync::MutexGuard;

use super::{Book, must_write};
use crate::ledger::amounts::{Amounts, Decision, Limits};
use crate::ledger::calendar::day;
use crate::ledger::cas::{self, CasError};
use crate::ledger::lease::{Snapshot, ends_ms, size};
use crate::ledger::reservation::Holding;
use crate::ledger::row::Row;
use crate::ledger::store::Store;
use crate::ledger::window::Account;

/// What one attempt to lease came to.
enum Leased {
    /// Written: this much is free now.
    Free(Amounts),
    /// Not written.
    Not(Decision),
    /// The row was closed, for it had not been renewed for long: a new one has to be opened.
    Lost,
}

impl<S: Store> Book<S> {
    fn row_id(&self, serial: u64) -> String {
        format!("{}.{serial}", self.replica)
    }

    /// Writes what was used, and leases what is needed and somewhat more. A need of zero renews the lease while
    /// calls go on taking from it; otherwise they wait, so that nobody takes away what this one is leasing.
    pub(super) async fn lease(
        &self,
        holding: &Holding,
        _writing: &MutexGuard<'_, ()>,
        need: Amounts,
        limits: &Limits,
    ) -> Result<Decision, CasError> {
        // A second round only if the row was lost: the new one cannot be.
        loop {
            let now_ms = (self.sources.now_ms)();
            let until_ms = ends_ms(now_ms);
            let (serial, opened, snapshot, held) = {
                let mut state = holding.state();
                let lease = state.open(day(now_ms), &self.serials);
                let snapshot = lease.snapshot(now_ms);
                // Whatever comes of the write, there may be something to give back later.
                lease.leased = true;
                let held = if lease.is_over(now_ms) {
                    // It stays held, should the clock go back: what is written need not cover it.
                    lease.hold();
                    None
                } else {
                    (need != Amounts::ZERO).then(|| lease.hold())
                };
                (lease.serial, lease.opened, snapshot, held)
            };
            let id = self.row_id(serial);
            let leased = cas::update(&self.store, &holding.key, &self.sources.random, |value| {
                let mut account = Account::decode(value)?;
                account.tidy(now_ms);
                if opened && !account.has(&id) {
                    return Ok((None, Leased::Lost));
                }
                let leased = grant(&mut account, now_ms, &id, &snapshot, need, limits, until_ms);
                let value = matches!(leased, Leased::Free(_)).then(|| account.encode()).transpose()?;
                Ok((value, leased))
            })
            .await;
            let mut state = holding.state();
            let lease = state.open(day(now_ms), &self.serials);
            match (leased, held) {
                (Ok(Leased::Free(free)), _) => {
                    lease.written(now_ms, &snapshot, free, until_ms);
                    return Ok(Decision::Granted);
                }
                (Ok(Leased::Lost), _) => state.leases.retain(|lease| lease.serial != serial),
                (Ok(Leased::Not(decision)), held) => {
                    held.into_iter().for_each(|until_ms| lease.resume(until_ms));
                    return Ok(decision);
                }
                (Err(error), held) => {
                    held.into_iter().for_each(|until_ms| lease.resume(until_ms));
                    return Err(error);
                }
            }
        }
    }

    /// Writes the rows of leases that are over without anything free, and closes those without running calls.
    pub(super) async fn give_back(
        &self,
        holding: &Holding,
        _writing: &MutexGuard<'_, ()>,
        now_ms: u64,
    ) -> Result<(), CasError> {
        let over: Vec<_> = {
            let mut state = holding.state();
            let over = state.leases.iter_mut().filter(|lease| lease.is_over(now_ms));
            over.filter(|lease| lease.running == 0 || must_write(lease, now_ms))
                .map(|lease| {
                    lease.hold();
                    (lease.serial, lease.running == 0, lease.snapshot(now_ms))
                })
                .collect()
        };
        if over.is_empty() {
            return Ok(());
        }
        cas::update(&self.store, &holding.key, &self.sources.random, |value| {
            let mut account = Account::decode(value)?;
            account.tidy(now_ms);
            for (serial, close, snapshot) in &over {
                let id = self.row_id(*serial);
                // A row that is not there was never opened, or is closed already.
                if account.has(&id) && account.put(now_ms, &id, snapshot.used.clone()) && *close {
                    account.close(&id);
                }
            }
            Ok((Some(account.encode()?), ()))
        })
        .await?;
        let mut state = holding.state();
        for (serial, close, snapshot) in &over {
            if *close {
                state.leases.retain(|lease| lease.serial != *serial);
            } else if let Some(lease) = state.serial(*serial) {
                lease.written(now_ms, snapshot, Amounts::ZERO, 0);
            }
        }
        Ok(())
    }
}

/// Puts what was used into the row, and a lease if there is room for the need.
fn grant(
    account: &mut Account,
    now_ms: u64,
    id: &str,
    snapshot: &Snapshot,
    need: Amounts,
    limits: &Limits,
    until_ms: u64,
) -> Leased {
    if !account.put(now_ms, id, snapshot.used.clone()) {
        return Leased::Not(Decision::Crowded);
    }
    let decision = account.check(now_ms, need, limits);
    if decision != Decision::Granted {
        return Leased::Not(decision);
    }
    let leased = size(need, snapshot.recent, account.room(now_ms, limits));
    let free = leased.zip(snapshot.free, u64::max);
    // There is a row of this name now, so this cannot fail.
    if account.put(now_ms, id, Row { free, until_ms, ..snapshot.used.clone() }) {
        Leased::Free(free)
    } else {
        Leased::Not(Decision::Crowded)
    }
}
