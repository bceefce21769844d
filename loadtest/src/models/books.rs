//! The proxy's books as the bucket has them, read from outside: what is charged to a tenant, and by whom.

use std::collections::BTreeMap;

use serde::Deserialize;
use tasklane_runtime::bus::Bus;
use tasklane_runtime::contract::streams;

use crate::error::LoadError;

/// What the books say of a tenant, in nano-US-dollars.
#[derive(Debug, Clone, Default)]
pub struct Balance {
    /// By rows that were closed: those of replicas that ended well.
    pub closed: u64,
    /// By each row that is open, what it may still use included.
    pub open: Vec<u64>,
    /// Requests and tokens that count now.
    pub in_minute: u64,
}

/// An account, as far as it is needed here.
#[derive(Deserialize)]
struct Account {
    closed: Closed,
    rows: BTreeMap<String, Row>,
}

#[derive(Deserialize)]
struct Closed {
    slots: BTreeMap<u64, (u64, u64)>,
    days: BTreeMap<u64, u64>,
}

#[derive(Deserialize)]
struct Row {
    nano_usd: u64,
    slots: BTreeMap<u64, (u64, u64)>,
    free: Free,
    until_ms: u64,
}

#[derive(Deserialize)]
struct Free {
    requests: u64,
    tokens: u64,
    nano_usd: u64,
}

/// A slot is two seconds, and counts for a minute.
const SLOT_MS: u64 = 2_000;
const MINUTE_MS: u64 = 60_000;

impl Account {
    fn balance(&self, now_ms: u64) -> Balance {
        let counts = |slot: u64| (slot + 1) * SLOT_MS + MINUTE_MS > now_ms;
        let slots = self.rows.values().flat_map(|row| &row.slots).chain(&self.closed.slots);
        let used: u64 =
            slots.filter(|(slot, _)| counts(**slot)).map(|(_, (requests, tokens))| requests + tokens).sum();
        let held = self.rows.values().filter(|row| counts(row.until_ms.saturating_sub(1) / SLOT_MS));
        Balance {
            closed: self.closed.days.values().sum(),
            open: self.rows.values().map(|row| row.nano_usd + row.free.nano_usd).collect(),
            in_minute: used + held.map(|row| row.free.requests + row.free.tokens).sum::<u64>(),
        }
    }
}

/// Reads the accounts of tenants, whose names need no quoting.
///
/// # Errors
/// Where one is not there, or cannot be read.
pub async fn read(bus: &Bus, tenants: &[&str]) -> Result<BTreeMap<String, Balance>, LoadError> {
    let bucket = bus.bucket(streams::LLM).await?;
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let now_ms = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
    let mut balances = BTreeMap::new();
    for tenant in tenants {
        let missing = || LoadError::Wrong(format!("the books know nothing of {tenant}"));
        let text = bucket.get(&format!("limit.tenant.{tenant}")).await?.ok_or_else(missing)?;
        let account: Account = serde_json::from_slice(&text)
            .map_err(|e| LoadError::Wrong(format!("the account of {tenant} cannot be read: {e}")))?;
        balances.insert((*tenant).to_owned(), account.balance(now_ms));
    }
    Ok(balances)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_is_told_apart_by_who_charged_it_and_a_minute_passes() {
        let text = r#"{"v": 1, "closed": {"slots": {"50": [1, 10]}, "days": {"7": 500}, "months": {"1": 500}},
            "rows": {"r.1": {"day": 7, "nano_usd": 30, "slots": {"50": [2, 20], "60": [1, 5]},
                             "free": {"requests": 1, "tokens": 2, "nano_usd": 4}, "until_ms": 122000}}}"#;
        let account: Account = serde_json::from_str(text).unwrap();
        let now = account.balance(122_000);
        assert_eq!((now.closed, now.open.as_slice(), now.in_minute), (500, [34].as_slice(), 42));
        assert_eq!(account.balance(162_000).in_minute, 9);
        assert_eq!(account.balance(182_001).in_minute, 0);
    }
}
