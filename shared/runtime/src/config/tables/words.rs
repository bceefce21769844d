//! Words of a file in messages: shown, and what may have been meant.

use tasklane_domain::name::closest;

/// The longest word that is shown whole, in characters.
const MAX_LEN: usize = 64;

/// A word of the file in backticks, escaped and cut, so that it cannot upset a terminal or a log.
pub fn shown(word: &str) -> String {
    let mut text: String = word.chars().take(MAX_LEN).flat_map(char::escape_debug).collect();
    if word.chars().nth(MAX_LEN).is_some() {
        text.push('…');
    }
    format!("`{text}`")
}

/// `; did you mean ...?`, or what there is, or nothing where there is too much to list.
pub fn hint<'a>(word: &str, known: impl Iterator<Item = &'a str> + Clone) -> String {
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
