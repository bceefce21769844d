//! Names: which ones are accepted, and what to tell whoever gave one that is not.
//!
//! Every name becomes a token of a NATS subject, a consumer name or a key, so the alphabets are narrow: no dot,
//! no wildcard, no space.

use std::fmt;

/// The longest name of any kind, in characters.
pub const MAX_LEN: usize = 64;

/// The pool name that stands for "nobody can do it yet". No worker may announce it.
pub const RESERVED_POOL: &str = "_";

/// What kind of name was checked; it decides the alphabet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A task type: `[a-z0-9_]`, starting with a letter.
    TaskType,
    /// A capability: `[a-z0-9_-]`.
    Capability,
    /// A pool: `[a-z0-9_-]`, not `_` alone.
    Pool,
    /// A worker type: `[a-z0-9_-]`.
    WorkerType,
    /// A task id: `[A-Za-z0-9_-]`.
    TaskId,
    /// A tenant: `[A-Za-z0-9_-]`.
    Tenant,
}

impl Kind {
    fn allows(self, c: char) -> bool {
        match self {
            Self::TaskType => c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_',
            Self::Capability | Self::Pool | Self::WorkerType => {
                c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-'
            }
            Self::TaskId | Self::Tenant => c.is_ascii_alphanumeric() || c == '_' || c == '-',
        }
    }

    fn alphabet(self) -> &'static str {
        match self {
            Self::TaskType => "a-z, 0-9 and _, as in `document_analysis`",
            Self::Capability => "a-z, 0-9, _ and -, as in `text_processing`",
            Self::Pool => "a-z, 0-9, _ and -, as in `document-large`",
            Self::WorkerType => "a-z, 0-9, _ and -, as in `document_processor`",
            Self::TaskId | Self::Tenant => "A-Z, a-z, 0-9, _ and -",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TaskType => "task type",
            Self::Capability => "capability",
            Self::Pool => "pool",
            Self::WorkerType => "worker type",
            Self::TaskId => "task id",
            Self::Tenant => "tenant",
        })
    }
}

/// What is wrong with a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Problem {
    /// It has no characters.
    Empty,
    /// It has more than [`MAX_LEN`] characters.
    TooLong,
    /// A character outside the alphabet, with its position counted from 1.
    Character {
        /// The first character that is not allowed.
        found: char,
        /// Its position, counted from 1.
        position: usize,
    },
    /// A task type that does not start with a letter.
    Start(char),
    /// The pool name `_`.
    Reserved,
}

/// A name that is not accepted. Its text is for the person who wrote the name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameError {
    /// What the name was meant to be.
    pub kind: Kind,
    /// The name as given, escaped and cut to a printable length.
    pub name: String,
    /// What is wrong with it.
    pub problem: Problem,
}

impl NameError {
    fn new(kind: Kind, name: &str, problem: Problem) -> Self {
        let mut shown: String = name.chars().take(MAX_LEN).flat_map(char::escape_debug).collect();
        if name.chars().nth(MAX_LEN).is_some() {
            shown.push('…');
        }
        Self { kind, name: shown, problem }
    }
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, name, problem } = self;
        let alphabet = kind.alphabet();
        match problem {
            Problem::Empty => write!(f, "the {kind} is empty; give 1 to {MAX_LEN} characters of {alphabet}"),
            Problem::TooLong => write!(f, "{kind} `{name}` is too long; use at most {MAX_LEN} characters"),
            Problem::Character { found, position } => {
                write!(f, "{kind} `{name}` has {found:?} at position {position}; use only {alphabet}")
            }
            Problem::Start(c) => write!(f, "{kind} `{name}` starts with {c:?}; start it with a letter"),
            Problem::Reserved => {
                write!(f, "{kind} name `{name}` is reserved for tasks nobody can do yet; choose another")
            }
        }
    }
}

impl std::error::Error for NameError {}

/// Checks a name against the alphabet and length of its kind.
fn check(kind: Kind, name: &str) -> Result<(), NameError> {
    if name.is_empty() {
        return Err(NameError::new(kind, name, Problem::Empty));
    }
    if let Some((at, found)) = name.chars().enumerate().find(|(_, c)| !kind.allows(*c)) {
        return Err(NameError::new(kind, name, Problem::Character { found, position: at + 1 }));
    }
    if name.len() > MAX_LEN {
        return Err(NameError::new(kind, name, Problem::TooLong));
    }
    Ok(())
}

/// Turns a task type into its one spelling, snake_case: `DocumentAnalysis` and `document_analysis` both become
/// `document_analysis`, `HTTPFetch` becomes `http_fetch`.
///
/// A capital starts a new word after a small letter or digit, or before a small letter at the end of a run of
/// capitals. Normalising twice changes nothing.
///
/// # Errors
/// If the result has a character outside `[a-z0-9_]`, does not start with a letter, or is not 1 to 64 long.
pub fn normalize_task_type(given: &str) -> Result<String, NameError> {
    let fail = |problem| Err(NameError::new(Kind::TaskType, given, problem));
    // Words grow by at most one underscore per letter: what is longer than this can never fit.
    if given.len() > MAX_LEN * 4 {
        return fail(Problem::TooLong);
    }
    let allowed = |c: char| c.is_ascii_uppercase() || Kind::TaskType.allows(c);
    if let Some((at, found)) = given.chars().enumerate().find(|(_, c)| !allowed(*c)) {
        return fail(Problem::Character { found, position: at + 1 });
    }
    let name = snake_case(given.as_bytes());
    match name.chars().next() {
        None => fail(Problem::Empty),
        Some(first) if !first.is_ascii_lowercase() => fail(Problem::Start(first)),
        Some(_) if name.len() > MAX_LEN => fail(Problem::TooLong),
        Some(_) => Ok(name),
    }
}

fn snake_case(given: &[u8]) -> String {
    let mut name = String::with_capacity(given.len() + 8);
    for (i, c) in given.iter().enumerate() {
        if c.is_ascii_uppercase() && i > 0 && given[i - 1] != b'_' {
            let after_word = !given[i - 1].is_ascii_uppercase();
            let before_word = given.get(i + 1).is_some_and(u8::is_ascii_lowercase);
            if after_word || before_word {
                name.push('_');
            }
        }
        name.push(c.to_ascii_lowercase() as char);
    }
    name
}

/// Checks a capability: 1 to 64 of `[a-z0-9_-]`.
///
/// # Errors
/// With what is wrong, in words for the person who gave it.
pub fn check_capability(name: &str) -> Result<(), NameError> {
    check(Kind::Capability, name)
}

/// Checks a pool's name: 1 to 64 of `[a-z0-9_-]`, and not `_`, which stands for "nobody".
///
/// # Errors
/// With what is wrong, in words for the person who gave it.
pub fn check_pool(name: &str) -> Result<(), NameError> {
    check(Kind::Pool, name)?;
    if name == RESERVED_POOL {
        return Err(NameError::new(Kind::Pool, name, Problem::Reserved));
    }
    Ok(())
}

/// Checks a worker type: 1 to 64 of `[a-z0-9_-]`.
///
/// # Errors
/// With what is wrong, in words for the person who gave it.
pub fn check_worker_type(name: &str) -> Result<(), NameError> {
    check(Kind::WorkerType, name)
}

/// Checks a task id: 1 to 64 of `[A-Za-z0-9_-]`. Generated ids are UUIDv7; a publisher may choose any such token.
///
/// # Errors
/// With what is wrong, in words for the person who gave it.
pub fn check_task_id(id: &str) -> Result<(), NameError> {
    check(Kind::TaskId, id)
}

/// Checks a tenant: 1 to 64 of `[A-Za-z0-9_-]`.
///
/// # Errors
/// With what is wrong, in words for the person who gave it.
pub fn check_tenant(name: &str) -> Result<(), NameError> {
    check(Kind::Tenant, name)
}

/// The candidate that `word` was most likely meant to be, for "did you mean". Case does not count. None if every
/// candidate differs in more than a third of the word's letters (at least one edit is always allowed). Among
/// equally near candidates the first stands.
#[must_use]
pub fn closest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word: Vec<char> = word.chars().take(MAX_LEN + 1).flat_map(char::to_lowercase).collect();
    if word.is_empty() || word.len() > MAX_LEN {
        return None;
    }
    let allowed = (word.len() / 3).max(1);
    let mut best: Option<(usize, &str)> = None;
    for candidate in candidates {
        let distance = edit_distance(&word, candidate);
        if distance <= allowed && best.is_none_or(|(d, _)| distance < d) {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// Optimal string alignment distance: insertions, deletions, substitutions and swaps of neighbours count 1 each.
/// The row-by-row dynamic programme of Wagner and Fischer (1974) with the transposition of Damerau (1964).
fn edit_distance(word: &[char], candidate: &str) -> usize {
    let other: Vec<char> = candidate.chars().take(MAX_LEN + 1).flat_map(char::to_lowercase).collect();
    let mut before = vec![0; other.len() + 1];
    let mut last: Vec<usize> = (0..=other.len()).collect();
    for i in 1..=word.len() {
        let mut row = vec![i; other.len() + 1];
        for j in 1..=other.len() {
            let changed = usize::from(word[i - 1] != other[j - 1]);
            row[j] = (last[j] + 1).min(row[j - 1] + 1).min(last[j - 1] + changed);
            if i > 1 && j > 1 && word[i - 1] == other[j - 2] && word[i - 2] == other[j - 1] {
                row[j] = row[j].min(before[j - 2] + 1);
            }
        }
        before = std::mem::replace(&mut last, row);
    }
    last[other.len()]
}
