//! Names in the file: which are accepted, and how they are shown.

use tasklane_runtime::domain::name::closest;

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

/// A word of the file in backticks, escaped and cut, so that it cannot upset a terminal or a log.
pub(super) fn shown(word: &str) -> String {
    let mut text: String = word.chars().take(MAX_LEN).flat_map(char::escape_debug).collect();
    if word.chars().nth(MAX_LEN).is_some() {
        text.push('…');
    }
    format!("`{text}`")
}

/// `; did you mean ...?`, or what there is, or nothing where there is too much to list.
pub(super) fn hint<'a>(word: &str, known: impl Iterator<Item = &'a str> + Clone) -> String {
    if let Some(near) = closest(word, known.clone()) {
        return format!("; did you mean {}?", shown(near));
    }
    let all: Vec<String> = known.map(shown).collect();
    match all.len() {
        0 => String::new(),
        1 => format!("; there is only {}", all[0]),
        2..=12 => format!("; there are {}", all.join(", ")),
        _ => String::new(),
    }
}
