//! `api.llm.budgets`: how much of its budgets a tenant has spent, and when they are whole again.

use serde::Deserialize;
use serde_json::{Value, json};
use tasklane_runtime::contract::Refusal;

use super::unread;
use crate::books::now_ms;
use crate::catalog::{Budget, Per, Tenant};
use crate::gateway::Gateway;
use crate::ledger::calendar::{day, day_end_ms, month_end_ms, time_name};

/// What may be asked.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Question {
    /// One tenant, or all. One that the file does not name is held to the rules, and so to the budgets, of `default`.
    tenant: Option<String>,
}

pub(super) async fn answer(gateway: &Gateway, question: &Question) -> Result<Value, Refusal> {
    let catalog = gateway.catalog();
    let asked: Vec<&Tenant> = match &question.tenant {
        Some(name) => vec![catalog.tenant(name)],
        None => catalog.tenants().collect(),
    };
    let mut budgets = Vec::new();
    for tenant in asked.into_iter().filter(|tenant| !tenant.budgets.is_empty()) {
        let spent = gateway.books().spent(tenant).await.map_err(|e| unread(&e))?;
        budgets.extend(spent.iter().map(|(budget, used)| row(tenant, budget, *used, now_ms())));
    }
    Ok(json!({"budgets": budgets}))
}

fn row(tenant: &Tenant, budget: &Budget, used: u64, now_ms: u64) -> Value {
    let opens_ms = match budget.per {
        Per::Day => day_end_ms(day(now_ms)),
        Per::Month => month_end_ms(day(now_ms)),
    };
    json!({
        "tenant": tenant.name,
        "window": budget.per.word(),
        "budget_nano_usd": budget.nano_usd,
        "used_nano_usd": used,
        "left_nano_usd": budget.nano_usd.saturating_sub(used),
        "opens_at": time_name(opens_ms),
        "when_spent": tenant.when_spent.word(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{Limits, WhenSpent};

    #[test]
    fn a_budget_says_what_is_left_and_when_it_is_whole_again() {
        let tenant = Tenant {
            name: "acme".into(),
            limits: Limits::default(),
            budgets: vec![],
            when_spent: WhenSpent::Cheaper,
            models: None,
        };
        let noon = 1_795_262_400_000; // 2026-11-21T12:00:00Z
        let said = row(&tenant, &Budget { nano_usd: 500, per: Per::Day }, 120, noon);
        let expected = json!({"tenant": "acme", "window": "day", "budget_nano_usd": 500, "used_nano_usd": 120,
            "left_nano_usd": 380, "opens_at": "2026-11-22T00:00:00Z", "when_spent": "cheaper"});
        assert_eq!(said, expected);
        // A call may use more than was estimated; what is left is never less than nothing.
        let said = row(&tenant, &Budget { nano_usd: 500, per: Per::Month }, 501, noon);
        assert_eq!((&said["left_nano_usd"], &said["opens_at"]), (&json!(0), &json!("2026-12-01T00:00:00Z")));
    }
}
