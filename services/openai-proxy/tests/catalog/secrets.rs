//! Keys lead to tenants and show nowhere.

use proptest::prelude::*;
use tasklane_openai_proxy::catalog::{KeySource, Mistake, parse, read_key};

use super::example::EXAMPLE;
use super::{any_key, catalog, lines};

#[test]
fn a_key_leads_to_its_tenant_and_only_the_whole_key_does() {
    let catalog = catalog(EXAMPLE);
    assert_eq!(catalog.tenant_of_key("key-of-ACME_PROXY_KEY"), Some("acme"));
    assert_eq!(
        catalog.tenant_of_key("key-of-/run/secrets/acme-next"),
        Some("acme"),
        "without its line break"
    );
    for wrong in [
        "",
        "key-of-ACME_PROXY_KE",
        "key-of-ACME_PROXY_KEY ",
        "Key-of-ACME_PROXY_KEY",
        "key-of-OPENAI_API_KEY",
    ] {
        assert_eq!(catalog.tenant_of_key(wrong), None, "{wrong}");
    }
    assert_eq!(catalog.tenant_of_key(&"x".repeat(1 << 20)), None);
}

#[test]
fn each_of_many_keys_has_its_owner() {
    let mut text = String::from("[providers.p]\nbase_url = \"http://h\"\n[models.m]\nprovider = \"p\"\n");
    text += "context_tokens = 9\nmax_output_tokens = 9\nfree = true\n";
    for n in 0..50 {
        text += &format!("[tenants.t{n}]\nkeys = [{{ env = \"A{n}\" }}, {{ env = \"B{n}\" }}]\n");
    }
    let catalog = catalog(&text);
    for n in 0..50 {
        for name in [format!("key-of-A{n}"), format!("key-of-B{n}")] {
            assert_eq!(catalog.tenant_of_key(&name), Some(format!("t{n}").as_str()));
        }
    }
}

/// Nothing that can be printed has the secret in it, neither as text nor as bytes in a list.
fn silent(printed: &str) {
    assert!(!printed.contains("s3cret"), "{printed}");
    let digest_like = printed.contains("115, 51, 99");
    assert!(!digest_like, "{printed}");
}

fn mistakes_of(text: &str, key: &'static str) -> Vec<Mistake> {
    parse(text, &move |_| Ok(Some(key.to_owned()))).err().unwrap_or_default()
}

#[test]
fn no_key_is_printed() {
    let mut n = 0;
    let counter = std::cell::RefCell::new(&mut n);
    let catalog = parse(EXAMPLE, &|_| {
        **counter.borrow_mut() += 1;
        Ok(Some(format!("s3cret-{}", counter.borrow())))
    });
    let catalog = catalog.unwrap();
    assert_eq!(catalog.tenant_of_key("s3cret-2"), Some("acme"), "the keys are in there");
    assert_eq!(catalog.provider("openai").unwrap().key.as_ref().unwrap().expose(), "s3cret-1");
    silent(&format!("{catalog:?} {catalog:#?}"));
    assert!(!format!("{catalog:?}").contains("Fingerprint("), "digests are not shown either");
}

#[test]
fn no_mistake_repeats_a_key() {
    let same = mistakes_of(EXAMPLE, "s3cret");
    assert!(lines(&same).contains("is also a key of tenant `acme`"), "{}", lines(&same));
    assert!(lines(&same).contains("is also the key of provider `openai`"), "{}", lines(&same));
    silent(&lines(&same));
    silent(&lines(&mistakes_of(EXAMPLE, "s3cret with space")));
    // A key in the place of its name, in every form and type, and in lines that are not TOML.
    let start = "[providers.p]\nbase_url = \"http://h\"\n";
    for line in [
        "key = \"sk-s3cret\"",
        "key = { env = \"sk-s3cret\" }",
        "key = { env = \"gsk_s3cret\" }",
        "key = { file = \"sk-s3cret\" }",
        "key = [\"sk-s3cret\"]",
        "key = { env = [\"sk-s3cret\"] }",
        "key = { value = \"sk-s3cret\" }",
        "key = sk-s3cret",
        "key = \"sk-s3cret",
        "key = { env = sk-s3cret }",
        "timeouts = \"sk-s3cret\"",
        "requests_per_minute = \"sk-s3cret\"",
        "key = \"a\\qs3cret\"",
        "= s3cret",
        "key = 'sk-s3cret' 's3cret'",
        "key = 3s3cret",
        "key = \"s3cret\"\nkey = \"s3cret\"",
    ] {
        let found = mistakes_of(&format!("{start}{line}\n"), "s3cret");
        assert!(found.iter().any(|m| m.line == 3 || m.line == 4), "{line}: {}", lines(&found));
        silent(&lines(&found));
    }
    for url in ["https://u:s3cret@h/v1", "https://h/v1?key=s3cret", "s3cret", "https://s3cret@h"] {
        let found = mistakes_of(&format!("[providers.p]\nbase_url = \"{url}\"\n"), "s3cret");
        assert!(found.iter().any(|m| m.line == 2), "{url}: {}", lines(&found));
        silent(&lines(&found));
    }
}

#[test]
fn real_sources_are_read_or_say_why_not() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("key");
    let source = KeySource::File(file.clone());
    assert_eq!(read_key(&source), Ok(None));
    std::fs::write(&file, "abc\n").unwrap();
    assert_eq!(read_key(&source), Ok(Some("abc\n".to_owned())));
    std::fs::write(&file, "x".repeat(5_000)).unwrap();
    assert!(read_key(&source).unwrap_err().contains("longer than 4096"));
    std::fs::write(&file, b"s3cret\xff").unwrap();
    silent(&read_key(&source).unwrap_err());
    assert!(read_key(&KeySource::File(dir.path().into())).unwrap_err().contains("regular"));
    assert!(read_key(&KeySource::Env("PATH".to_owned())).unwrap().is_some());
    assert_eq!(read_key(&KeySource::Env("NO_SUCH_VARIABLE_HERE".to_owned())), Ok(None));
}

proptest! {
    #[test]
    fn any_visible_key_works_and_no_other(key in "[ -~]{1,40}") {
        let trimmed = key.trim().to_owned();
        let text = EXAMPLE.replace(", { file = \"/run/secrets/acme-next\" }", "");
        let given = key.clone();
        let read = move |source: &KeySource| match source {
            KeySource::Env(name) if name == "ACME_PROXY_KEY" => Ok(Some(given.clone())),
            other => any_key(other),
        };
        match parse(&text, &read) {
            Ok(catalog) => {
                prop_assert!(!trimmed.is_empty() && !trimmed.contains(' '));
                prop_assert_eq!(catalog.tenant_of_key(&trimmed), Some("acme"));
            }
            Err(_) => prop_assert!(trimmed.is_empty() || trimmed.contains(' ')),
        }
    }
}
