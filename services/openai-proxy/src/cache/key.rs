//! Which requests may be answered from the cache, and when two are the same. Pure.

use std::collections::BTreeMap;

use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};

use crate::body::{Body, Endpoint};
use crate::catalog::Route;
use crate::config::{CacheConfig, ChatCache};

/// What the asker wishes of the cache for one request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Wish {
    /// As it is configured.
    #[default]
    AsUsual,
    /// A fresh answer, which is not kept either.
    Off,
    /// An answer from the cache, also where the request would usually be answered afresh.
    On,
}

impl Wish {
    /// Reads a word; anything else is no wish.
    pub fn read(word: Option<&str>) -> Self {
        match word {
            Some("off") => Self::Off,
            Some("on") => Self::On,
            _ => Self::AsUsual,
        }
    }
}

/// Who gets the same answer.
#[derive(Debug, Clone, Copy)]
pub struct Scope<'a> {
    /// Whose request it is.
    pub tenant: &'a str,
    /// What it is asked for within; empty: by itself.
    pub within: &'a str,
}

/// Two requests with the same key get the same answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key(pub [u8; 32]);

impl Key {
    /// As a name: 64 hexadecimal digits.
    pub fn name(&self) -> String {
        self.0.iter().fold(String::with_capacity(64), |mut name, byte| {
            name.push(char::from_digit(u32::from(byte >> 4), 16).unwrap_or('0'));
            name.push(char::from_digit(u32::from(byte & 15), 16).unwrap_or('0'));
            name
        })
    }
}

/// Fields that say who asks or how fast, and change no answer of these endpoints.
const BESIDE: [&str; 7] = [
    "metadata",
    "prompt_cache_key",
    "prompt_cache_retention",
    "safety_identifier",
    "service_tier",
    "stream_options",
    "user",
];
/// What is nested deeper counts as it is written. JSON of requests has some ten levels.
const DEEPEST: u32 = 64;

/// The key of a request; none where it must be answered afresh.
pub fn of(config: &CacheConfig, body: &Body, wish: Wish, scope: Scope<'_>, route: &Route) -> Option<Key> {
    if !config.enabled || wish == Wish::Off || !may_be_kept(config, body, wish) {
        return None;
    }
    let mut hash = Sha256::new();
    let mut add = |text: &str| {
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text.as_bytes());
    };
    add(body.endpoint().path());
    add(if config.shared { "" } else { scope.tenant });
    add(scope.within);
    add(&body.model);
    // A route that leads elsewhere since is another route.
    for model in route.as_written() {
        add(&model.provider.base_url);
        add(&model.name);
    }
    add(if body.stream { "stream" } else { "whole" });
    add(if body.wants_usage { "usage" } else { "" });
    let beside = body.endpoint() != Endpoint::Responses;
    for (name, value) in body.fields() {
        if !(name == "stream" || beside && BESIDE.contains(&name.as_str())) {
            add(name);
            canonical(value.get(), DEEPEST, &mut add);
        }
    }
    Some(Key(hash.finalize().into()))
}

/// The same question gets the same answer only where nothing is drawn, and where nothing is left behind at the provider.
fn may_be_kept(config: &CacheConfig, body: &Body, wish: Wish) -> bool {
    let says = |name: &str, value: &str| body.fields().get(name).is_some_and(|v| v.get() == value);
    let has = |name: &str| body.fields().contains_key(name) && !says(name, "null");
    match body.endpoint() {
        Endpoint::Embeddings | Endpoint::Moderations => return true,
        Endpoint::Chat if says("store", "true") => return false,
        Endpoint::Chat => {}
        // Kept at the provider unless it says otherwise, and then it has a name that others ask for.
        Endpoint::Responses => {
            let tied = ["previous_response_id", "conversation", "background"].into_iter().any(has);
            if tied || !says("store", "false") {
                return false;
            }
        }
    }
    let drawn = || {
        let temperature = body.fields().get("temperature").and_then(|t| t.get().parse::<f64>().ok());
        temperature.is_none_or(|t| t != 0.0)
    };
    wish == Wish::On
        || match config.chat {
            ChatCache::Never => false,
            ChatCache::Always => true,
            ChatCache::Deterministic => !drawn(),
        }
}

/// Adds a value so that white space and the order of fields do not count, and everything else does: numbers are compared
/// as they are written, for reading them could make two into one.
fn canonical(raw: &str, depth: u32, add: &mut impl FnMut(&str)) {
    let deeper = depth.checked_sub(1);
    match (raw.as_bytes().first(), deeper) {
        (Some(b'{'), Some(deeper)) => {
            if let Ok(fields) = serde_json::from_str::<BTreeMap<String, &RawValue>>(raw) {
                add("{");
                for (name, value) in fields {
                    add(&name);
                    canonical(value.get(), deeper, add);
                }
                return add("}");
            }
        }
        (Some(b'['), Some(deeper)) => {
            if let Ok(entries) = serde_json::from_str::<Vec<&RawValue>>(raw) {
                add("[");
                entries.into_iter().for_each(|value| canonical(value.get(), deeper, add));
                return add("]");
            }
        }
        _ => {}
    }
    add(raw);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;
    use crate::catalog::{Catalog, parse};

    fn catalog() -> Catalog {
        let text = "[providers.p]\nbase_url = \"http://p.test/v1\"\n[models.a]\nprovider = \"p\"\ncontext_tokens = 10\nmax_output_tokens = 5\n\
                    free = true\n[models.b]\nprovider = \"p\"\ncontext_tokens = 10\nmax_output_tokens = 5\nfree = true\n[tenants.acme]\n";
        parse(text, &|_| Ok(None)).unwrap()
    }

    fn key_of(endpoint: Endpoint, text: &str, tenant: &str, config: &CacheConfig, wish: Wish) -> Option<Key> {
        let catalog = catalog();
        let body = Body::read(endpoint, text.as_bytes()).unwrap();
        let route = catalog.route(&body.model).unwrap();
        of(config, &body, wish, Scope { tenant, within: "" }, route)
    }

    fn key(endpoint: Endpoint, text: &str) -> Option<Key> {
        key_of(endpoint, text, "default", &CacheConfig::default(), Wish::AsUsual)
    }

    #[test]
    fn only_what_is_asked_matters() {
        let plain = key(Endpoint::Embeddings, r#"{"model":"a","input":["x","y"]}"#).unwrap();
        for same in [
            r#" { "input" : [ "x" , "y" ] , "model" : "a" } "#,
            r#"{"model":"a","input":["x","y"],"user":"me","metadata":{"a":1}}"#,
        ] {
            assert_eq!(key(Endpoint::Embeddings, same), Some(plain), "{same}");
        }
        for other in [
            r#"{"model":"b","input":["x","y"]}"#,
            r#"{"model":"a","input":["y","x"]}"#,
            r#"{"model":"a","input":["x", "y "]}"#,
            r#"{"model":"a","input":["x","y"],"dimensions":1}"#,
            r#"{"model":"a","input":["x","y"],"dimensions":1.0}"#,
        ] {
            assert_ne!(key(Endpoint::Embeddings, other), Some(plain), "{other}");
        }
        assert_ne!(key(Endpoint::Moderations, r#"{"model":"a","input":["x","y"]}"#), Some(plain));
        assert_eq!(plain.name().len(), 64);
    }

    #[test]
    fn tenants_share_only_where_they_are_told_to() {
        let ask = r#"{"model":"a","input":"x"}"#;
        let of = |tenant, shared| {
            let config = CacheConfig { shared, ..CacheConfig::default() };
            key_of(Endpoint::Embeddings, ask, tenant, &config, Wish::AsUsual).unwrap()
        };
        assert_ne!(of("acme", false), of("default", false));
        assert_eq!(of("acme", true), of("default", true));
    }

    #[test]
    fn chats_are_kept_only_where_nothing_is_drawn_or_somebody_says_so() {
        let chat =
            |more: &str| format!(r#"{{"model":"a","messages":[{{"role":"user","content":"x"}}]{more}}}"#);
        let with = |more: &str, chat_cache, wish| {
            let config = CacheConfig { chat: chat_cache, ..CacheConfig::default() };
            key_of(Endpoint::Chat, &chat(more), "default", &config, wish).is_some()
        };
        use ChatCache::{Always, Deterministic, Never};
        for (more, config, wish, kept) in [
            ("", Deterministic, Wish::AsUsual, false),
            (r#","temperature":0"#, Deterministic, Wish::AsUsual, true),
            (r#","temperature":0.0"#, Deterministic, Wish::AsUsual, true),
            (r#","temperature":0.1"#, Deterministic, Wish::AsUsual, false),
            (r#","temperature":0"#, Never, Wish::AsUsual, false),
            (r#","temperature":0"#, Deterministic, Wish::Off, false),
            ("", Always, Wish::AsUsual, true),
            ("", Never, Wish::On, true),
            (r#","store":true"#, Always, Wish::On, false),
        ] {
            assert_eq!(with(more, config, wish), kept, "{more} {config:?} {wish:?}");
        }
        let stream = key(Endpoint::Chat, &chat(r#","temperature":0,"stream":true"#));
        assert_ne!(stream, key(Endpoint::Chat, &chat(r#","temperature":0"#)));
        let respond = |more: &str| {
            key(Endpoint::Responses, &format!(r#"{{"model":"a","input":"x","temperature":0{more}}}"#))
        };
        assert!(respond("").is_none(), "the provider keeps it under a name");
        assert!(respond(r#","store":false"#).is_some());
        assert!(respond(r#","store":false,"previous_response_id":"r1""#).is_none());
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            any::<i64>().prop_map(Value::from),
            ".{0,5}".prop_map(Value::from),
            Just(Value::Null)
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map(".{0,3}", inner, 0..4)
                    .prop_map(|m| Value::Object(m.into_iter().collect())),
            ]
        })
    }

    proptest! {
        /// Two values have the same canonical form exactly where they are equal.
        #[test]
        fn equal_values_and_no_others_are_the_same(a in any_json(), b in any_json()) {
            let form = |text: &str| {
                let mut form = Vec::new();
                canonical(text, DEEPEST, &mut |part: &str| form.push(part.to_owned()));
                form
            };
            prop_assert_eq!(form(&a.to_string()), form(&format!("{a:#}")));
            prop_assert_eq!(form(&a.to_string()) == form(&b.to_string()), a == b);
        }
    }

    #[test]
    fn deep_nesting_does_no_harm() {
        let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
        let mut parts = 0;
        canonical(&deep, DEEPEST, &mut |_: &str| parts += 1);
        assert!(parts > 64);
    }
}
