//! `api.llm.models`: what may be asked for, who answers it, at which price, and whether it can be asked now.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::breaker::State;
use crate::catalog::{Catalog, Limits, Model};
use crate::gateway::Gateway;
use crate::ledger::calendar::time_name;

/// Prices are held in nano-USD per thousand tokens; this many of those are a dollar per million tokens.
const PER_USD: f64 = 1e6;

/// What may be asked.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Question {
    /// Only what this tenant may ask for.
    tenant: Option<String>,
}

pub(super) fn answer(gateway: &Gateway, question: &Question) -> Value {
    let catalog = gateway.catalog();
    let tenant = question.tenant.as_deref();
    list(
        &catalog,
        |alias| tenant.is_none_or(|t| catalog.tenant(t).allows(alias)),
        |m| gateway.breakers().state(m),
    )
}

/// Every model stands once, however many routes lead to it, so that the answer is no larger than the file.
fn list(catalog: &Catalog, allowed: impl Fn(&str) -> bool, state: impl Fn(&str) -> State) -> Value {
    let mut models = Map::new();
    let mut aliases = Vec::new();
    for route in catalog.routes().filter(|route| allowed(&route.alias)) {
        let candidates = route.as_written();
        for model in &candidates {
            if !models.contains_key(&model.id) {
                models.insert(model.id.clone(), one(model, state(&model.id)));
            }
        }
        let ids: Vec<&str> = candidates.iter().map(|model| model.id.as_str()).collect();
        let is_route = catalog.model(&route.alias).is_none();
        aliases
            .push(json!({"alias": route.alias, "kind": route.kind.word(), "route": is_route, "models": ids}));
    }
    json!({"aliases": aliases, "models": models})
}

fn one(model: &Model, state: State) -> Value {
    let usd = |price: u64| price as f64 / PER_USD;
    let (breaker, open_until) = match state {
        State::Closed => ("closed", None),
        State::Open { until_ms } => ("open", Some(time_name(until_ms))),
        State::HalfOpen { .. } => ("half_open", None),
    };
    json!({
        "provider": {"name": model.provider.name, "limits": limits(&model.provider.limits)},
        "name": model.name,
        "kind": model.kind.word(),
        "context_tokens": model.context_tokens,
        "max_output_tokens": model.max_output_tokens,
        "usd_per_million_tokens": {
            "input": usd(model.price.input),
            "cached_input": usd(model.price.cached_input),
            "output": usd(model.price.output),
        },
        "limits": limits(&model.limits),
        "breaker": breaker,
        "open_until": open_until,
    })
}

fn limits(limits: &Limits) -> Value {
    json!({"requests_per_minute": limits.requests_per_minute, "tokens_per_minute": limits.tokens_per_minute})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::parse;

    const FILE: &str = r#"
        [providers.p]
        base_url = "https://secret-host.example/v1"
        key = { env = "PROVIDER_KEY" }
        tokens_per_minute = 5000
        [models.a]
        provider = "p"
        name = "upstream-a"
        context_tokens = 8000
        max_output_tokens = 100
        price = { input = 0.4, cached_input = 0.1, output = 1.6 }
        [models.v]
        provider = "p"
        kind = "embedding"
        context_tokens = 8000
        free = true
        [routes.fast]
        candidates = ["a"]
        [tenants.acme]
        keys = [{ env = "ACME_KEY" }]
        models = ["fast"]
    "#;

    fn catalog() -> Catalog {
        // No two keys may be the same.
        let n = std::cell::Cell::new(0);
        let key = |_: &_| {
            n.set(n.get() + 1);
            Ok(Some(format!("sk-a-key-that-nobody-may-see-{}", n.get())))
        };
        parse(FILE, &key).unwrap()
    }

    #[test]
    fn all_that_may_be_asked_for_stands_there_and_nothing_secret() {
        let said = list(&catalog(), |_| true, |_| State::Open { until_ms: 1_763_683_200_000 });
        let aliases: Vec<&str> =
            said["aliases"].as_array().unwrap().iter().map(|a| a["alias"].as_str().unwrap()).collect();
        assert_eq!(aliases, ["a", "fast", "v"]);
        let model = &said["models"]["a"];
        assert_eq!(
            model["usd_per_million_tokens"],
            json!({"input": 0.4, "cached_input": 0.1, "output": 1.6})
        );
        assert_eq!(
            (&model["breaker"], &model["open_until"]),
            (&json!("open"), &json!("2025-11-21T00:00:00Z"))
        );
        assert_eq!(model["provider"]["limits"]["tokens_per_minute"], 5000);
        let text = said.to_string();
        for secret in ["nobody-may-see", "PROVIDER_KEY", "ACME_KEY", "secret-host"] {
            assert!(!text.contains(secret), "{secret}: {text}");
        }
    }

    #[test]
    fn a_tenant_sees_what_it_may_ask_for() {
        let catalog = catalog();
        let said = list(&catalog, |alias| catalog.tenant("acme").allows(alias), |_| State::Closed);
        assert_eq!(
            said["aliases"],
            json!([{"alias": "fast", "kind": "chat", "route": true, "models": ["a"]}])
        );
        assert!(said["models"]["a"].is_object() && said["models"]["v"].is_null(), "{said}");
    }
}
