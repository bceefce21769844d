//! The example file is right, and says what its comments claim.

use std::time::Duration;

use tasklane_openai_proxy::catalog::{Budget, Dialect, Kind, Limits, Per, Price, Timeouts, WhenSpent};

use super::catalog;

pub const EXAMPLE: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/providers.example.toml"));

#[test]
fn providers_and_models_are_as_written() {
    let catalog = catalog(EXAMPLE);
    let openai = catalog.provider("openai").unwrap();
    assert_eq!(openai.base_url, "https://api.openai.com/v1");
    assert_eq!(openai.key.as_ref().unwrap().expose(), "key-of-OPENAI_API_KEY");
    assert_eq!((openai.dialect, openai.timeouts), (Dialect::OpenAi, Timeouts::default()));
    let limits = Limits { requests_per_minute: Some(5_000), tokens_per_minute: Some(2_000_000) };
    assert_eq!(openai.limits, limits);
    let local = catalog.provider("local").unwrap();
    assert!(local.key.is_none() && local.limits == Limits::default());
    assert_eq!(local.timeouts, Timeouts { first_chunk: Duration::from_secs(300), ..Timeouts::default() });

    let small = catalog.model("gpt-small").unwrap();
    assert_eq!(
        (small.name.as_str(), small.provider.name.as_str(), small.kind),
        ("gpt-4.1-mini", "openai", Kind::Chat)
    );
    assert_eq!((small.context_tokens, small.max_output_tokens), (1_047_576, 32_768));
    assert_eq!(small.price, Price { input: 400_000, cached_input: 100_000, output: 1_600_000 });
    assert_eq!(small.limits.requests_per_minute, Some(1_000));
    let embed = catalog.model("embed").unwrap();
    assert_eq!(embed.price, Price { input: 20_000, cached_input: 20_000, output: 0 });
    assert_eq!((embed.kind, embed.max_output_tokens), (Kind::Embedding, 0));
    assert_eq!(catalog.model("local-small").unwrap().price, Price::FREE);
    assert_eq!(catalog.models().count(), 5);
    assert_eq!(catalog.providers().count(), 2);
}

#[test]
fn a_models_name_is_a_route_to_it() {
    let catalog = catalog(EXAMPLE);
    let aliases: Vec<&str> = catalog.routes().map(|r| r.alias.as_str()).collect();
    let all = ["best", "careful", "embed", "fast", "gpt-large", "gpt-small", "local-small", "moderate"];
    assert_eq!(aliases, all);
    let own = catalog.route("embed").unwrap();
    assert_eq!(
        (own.kind, own.as_written().len(), own.as_written()[0].id.as_str()),
        (Kind::Embedding, 1, "embed")
    );
    assert!(catalog.route("gpt-4.1-mini").is_none(), "the name at the provider is no name here");
    assert!(catalog.candidates_in_order("nothing", 0.5).is_empty());
}

#[test]
fn tenants_are_as_written_and_others_get_the_default() {
    let catalog = catalog(EXAMPLE);
    let acme = catalog.tenant("acme");
    assert_eq!(acme.limits, Limits { requests_per_minute: Some(600), tokens_per_minute: Some(500_000) });
    let day = Budget { nano_usd: 50_000_000_000, per: Per::Day };
    assert_eq!(acme.budgets, [day, Budget { nano_usd: 800_000_000_000, per: Per::Month }]);
    assert_eq!(acme.when_spent, WhenSpent::Cheaper);
    assert!(acme.allows("fast") && acme.allows("embed") && !acme.allows("local-small") && !acme.allows("x"));

    let other = catalog.tenant("whoever");
    assert_eq!((other.name.as_str(), other.limits.requests_per_minute), ("default", Some(60)));
    assert!(other.allows("best") && other.when_spent == WhenSpent::Refuse);
    assert_eq!(catalog.tenants().count(), 2);
}

#[test]
fn without_a_default_others_have_no_limits() {
    let catalog = catalog(&EXAMPLE.replace("[tenants.default]", "[tenants.somebody]"));
    let other = catalog.tenant("whoever");
    assert_eq!((other.name.as_str(), other.limits, other.budgets.len()), ("default", Limits::default(), 0));
    assert_eq!(catalog.tenant("somebody").limits.requests_per_minute, Some(60));
}
