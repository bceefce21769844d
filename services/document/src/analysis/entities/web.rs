//! Web and mail addresses.

use std::sync::LazyLock;

use regex::Regex;

use super::{Found, pattern};

static URL: LazyLock<Option<Regex>> =
    LazyLock::new(|| pattern(r#"(?i)(?-u:\b)(?:https?://|ftp://|www\.)[^\s<>"'`{}|\\^\[\]]+"#));

static EMAIL: LazyLock<Option<Regex>> = LazyLock::new(|| {
    pattern(
        r"[A-Za-z0-9][A-Za-z0-9._%+-]{0,63}@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.){1,8}[A-Za-z]{2,24}",
    )
});

/// Addresses with a scheme, or that start with `www.`.
pub fn urls(text: &str) -> Vec<Found> {
    let matches = URL.iter().flat_map(|url| url.find_iter(text));
    let trimmed = matches.filter_map(|found| {
        let address = trim(found.as_str());
        let host = address.split("//").last().unwrap_or_default();
        let value = Some(address.to_owned());
        host.contains('.').then_some(Found {
            start: found.start(),
            end: found.start() + address.len(),
            value,
        })
    });
    trimmed.collect()
}

/// Without the punctuation of the sentence around, and without a bracket that was opened before the address.
fn trim(address: &str) -> &str {
    let mut address = address;
    loop {
        let shorter = address.trim_end_matches(['.', ',', ';', ':', '!', '?', '*', '”', '’', '»', '…']);
        let unopened = shorter.ends_with(')') && shorter.matches(')').count() > shorter.matches('(').count();
        let shorter = if unopened { &shorter[..shorter.len() - 1] } else { shorter };
        if shorter.len() == address.len() {
            return address;
        }
        address = shorter;
    }
}

/// Mail addresses.
pub fn emails(text: &str) -> Vec<Found> {
    let matches = EMAIL.iter().flat_map(|email| email.find_iter(text));
    matches
        .map(|found| Found {
            start: found.start(),
            end: found.end(),
            value: Some(found.as_str().to_lowercase()),
        })
        .collect()
}
