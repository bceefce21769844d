//! The catalog: what is accepted, what is refused and where, and what follows from it.

mod example;
mod mistakes;
mod order;
mod reload;
mod secrets;

use tasklane_openai_proxy::catalog::{Catalog, KeySource, Mistake, parse};

/// A key of its own for every source.
pub fn any_key(source: &KeySource) -> Result<Option<String>, String> {
    Ok(Some(match source {
        KeySource::Env(name) => format!("key-of-{name}"),
        KeySource::File(path) => format!("key-of-{}\n", path.display()),
    }))
}

/// Reads a text that must be right.
pub fn catalog(text: &str) -> Catalog {
    parse(text, &any_key).unwrap_or_else(|mistakes| panic!("{}", lines(&mistakes)))
}

/// One mistake to a line.
pub fn lines(mistakes: &[Mistake]) -> String {
    mistakes.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}
