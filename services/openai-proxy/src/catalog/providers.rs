//! Providers: where calls go, with which key, how fast and how long.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use url::Url;

use tasklane_runtime::config::tables::{Notes, Section};

use super::keys::{self, Reader};
use super::names;
use super::secret::Secret;
use super::{Limits, tenants};

/// The longest timeout, in milliseconds: a day.
const MAX_TIMEOUT_MS: u64 = 24 * 3_600_000;

/// Which protocol a provider speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// OpenAI's, which most others and the local servers speak as well.
    OpenAi,
}

/// How long to wait for a provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// For a connection, TLS included.
    pub connect: Duration,
    /// From the request to the first chunk of a stream, or to the head of an answer that is none.
    pub first_chunk: Duration,
    /// Between two chunks of a stream.
    pub between_chunks: Duration,
    /// For everything together; never shorter than any of the others.
    pub whole: Duration,
}

impl Default for Timeouts {
    /// The whole is what the official clients wait.
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(2),
            first_chunk: Duration::from_secs(60),
            between_chunks: Duration::from_secs(30),
            whole: Duration::from_secs(600),
        }
    }
}

/// Someone who answers model calls.
#[derive(Debug)]
pub struct Provider {
    /// Its name in the file.
    pub name: String,
    /// Where its paths begin, without a slash at the end: `https://api.openai.com/v1`. It has no password, query or
    /// fragment in it, so it may be shown.
    pub base_url: String,
    /// The key for its `Authorization` header; none for a server that wants none.
    pub key: Option<Secret>,
    /// What it speaks.
    pub dialect: Dialect,
    /// What all calls to it together may use.
    pub limits: Limits,
    /// How long to wait for it.
    pub timeouts: Timeouts,
}

const KEYS: [&str; 6] =
    ["base_url", "key", "dialect", "requests_per_minute", "tokens_per_minute", "timeouts"];

/// Reads `[providers.*]`; who has a mistake is left out.
pub(super) fn read(
    root: &Section<'_>,
    reader: Reader<'_>,
    notes: &mut Notes<'_>,
) -> BTreeMap<String, Arc<Provider>> {
    let Some(all) = root.section("providers", notes) else {
        return BTreeMap::new();
    };
    let mut providers = BTreeMap::new();
    for (name, at, value) in all.entries() {
        if let Err(text) = names::check(name) {
            notes.add(&at, format!("provider: {text}"));
        }
        let what = format!("provider {}", names::shown(name));
        if let Some(provider) =
            Section::of(value, what, at, notes).and_then(|s| provider(name, &s, reader, notes))
        {
            providers.insert(name.to_owned(), Arc::new(provider));
        }
    }
    providers
}

fn provider(
    name: &str,
    section: &Section<'_>,
    reader: Reader<'_>,
    notes: &mut Notes<'_>,
) -> Option<Provider> {
    section.only(&KEYS, notes);
    let base_url = section.needed_text("base_url", notes).and_then(|text| {
        base_url(text)
            .map_err(|why| {
                notes.add(&section.span_of("base_url"), format!("{}: `base_url` {why}", section.what));
            })
            .ok()
    });
    let key = section.value("key").map(|value| {
        let what = format!("`key` of {}", section.what);
        keys::fetch(value, &what, reader, notes)
    });
    let dialect = section.word("dialect", &[("openai", Dialect::OpenAi)], notes).unwrap_or(Dialect::OpenAi);
    let limits = tenants::limits(section, notes);
    let timeouts = section.section("timeouts", notes).map(|s| timeouts(&s, notes)).unwrap_or_default();
    let key = match key {
        Some(fetched) => Some(fetched?),
        None => None,
    };
    Some(Provider { name: name.to_owned(), base_url: base_url?, key, dialect, limits, timeouts })
}

/// The URL without slashes at its end, or what is wrong with it. The text does not repeat the URL, for a key may
/// stand in it.
fn base_url(text: &str) -> Result<String, &'static str> {
    let scheme = text.get(..8).unwrap_or(text).to_ascii_lowercase();
    if !scheme.starts_with("http://") && !scheme.starts_with("https://") {
        return Err("must start with `https://` or `http://`");
    }
    // The parser repairs these in silence.
    if text.chars().any(|c| c.is_whitespace() || c.is_control() || c == '\\') || text.contains(":///") {
        return Err("is not a URL: it has a space, a backslash or no host");
    }
    let url = Url::parse(text).map_err(|_| "is not a URL")?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must not have a user or a password in it; use `key`");
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("must end before `?` and `#`");
    }
    let base = url.as_str().trim_end_matches('/');
    if ["/chat/completions", "/completions", "/embeddings", "/responses", "/models"]
        .iter()
        .any(|path| base.ends_with(path))
    {
        return Err("must end before the path of a single call, usually with `/v1`");
    }
    Ok(base.to_owned())
}

fn timeouts(section: &Section<'_>, notes: &mut Notes<'_>) -> Timeouts {
    const PARTS: [&str; 3] = ["connect_ms", "first_chunk_ms", "between_chunks_ms"];
    section.only(&["connect_ms", "first_chunk_ms", "between_chunks_ms", "whole_ms"], notes);
    let default = Timeouts::default();
    let mut read = |key: &str, default: Duration| {
        section.whole(key, 1..=MAX_TIMEOUT_MS, notes).map_or(default, Duration::from_millis)
    };
    let timeouts = Timeouts {
        connect: read("connect_ms", default.connect),
        first_chunk: read("first_chunk_ms", default.first_chunk),
        between_chunks: read("between_chunks_ms", default.between_chunks),
        whole: read("whole_ms", default.whole),
    };
    for (part, length) in
        PARTS.into_iter().zip([timeouts.connect, timeouts.first_chunk, timeouts.between_chunks])
    {
        if length > timeouts.whole {
            let (whole, length) = (timeouts.whole.as_millis(), length.as_millis());
            let at = section.span_of(if section.has("whole_ms") { "whole_ms" } else { part });
            let text = format!("{}: `whole_ms` ({whole}) is shorter than `{part}` ({length})", section.what);
            notes.add(&at, text);
        }
    }
    timeouts
}

#[cfg(test)]
mod tests {
    use super::base_url;

    #[test]
    fn urls_lose_slashes_at_the_end_and_nothing_else() {
        for (given, expected) in [
            ("https://api.openai.com/v1", "https://api.openai.com/v1"),
            ("https://api.openai.com/v1//", "https://api.openai.com/v1"),
            ("http://127.0.0.1:8000", "http://127.0.0.1:8000"),
            ("http://[::1]:8000/v1/", "http://[::1]:8000/v1"),
            ("HTTP://Host/V1", "http://host/V1"),
        ] {
            assert_eq!(base_url(given).as_deref(), Ok(expected), "{given}");
        }
    }

    #[test]
    fn what_is_no_base_is_refused() {
        for bad in [
            "",
            "api.openai.com/v1",
            "ftp://host/v1",
            "httpsx://host",
            "https://",
            "https:///v1",
            "https://:80",
            "https://host:99999/v1",
            "https://user:word@host/v1",
            "https://sk-key@host/v1",
            "https://host/v1?key=1",
            "https://host/v1?",
            "https://host/v1#x",
            " https://host/v1",
            "https://ho st/v1",
            "https://host/v1\n",
            "https:\\\\host/v1",
            "https://host/v1/chat/completions",
            "https://host/v1/embeddings/",
            "ｈttps://host",
        ] {
            assert!(base_url(bad).is_err(), "{bad}");
        }
    }
}
