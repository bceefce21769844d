//! Names in the file: which are accepted, and how they are shown.

pub(super) use tasklane_runtime::config::tables::{hint, shown};

/// The longest name of a provider, model or route, in characters.
const MAX_LEN: usize = 64;

/// What is wrong with the name of a provider, model or route. Accepted is what can also stand in a key of a bucket
/// and in a metric's label, and covers what models are usually called: `gpt-4.1-mini`, `meta/llama-3`.
pub(super) fn check(name: &str) -> Result<(), String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '/' | '-');
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    if name.is_empty() || name.len() > MAX_LEN {
        return Err(format!("the name {} must have 1 to {MAX_LEN} characters", shown(name)));
    }
    if !name.chars().all(allowed) || name.contains("..") {
        return Err(format!(
            "the name {} may have only A-Z, a-z, 0-9, `_`, `-`, `/` and single dots",
            shown(name)
        ));
    }
    if !edge(name.chars().next()) || !edge(name.chars().next_back()) {
        return Err(format!("the name {} must start and end with a letter or a digit", shown(name)));
    }
    Ok(())
}
