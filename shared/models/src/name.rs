//! Names of models: `minilm`, `minilm@2`. Pure.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

/// The longest name and the longest version, in characters.
pub const MAX_LEN: usize = 64;

/// A model as somebody asks for it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ModelName {
    /// Its name.
    pub name: String,
    /// Its version; without one the newest there is.
    pub version: Option<String>,
}

impl ModelName {
    /// One version of a model.
    pub fn exact(name: &str, version: &str) -> Self {
        Self { name: name.to_owned(), version: Some(version.to_owned()) }
    }

    /// The part of a key in a bucket that stands for it: `minilm` or `minilm/2`. `@` may not stand there.
    pub fn key(&self) -> String {
        match &self.version {
            None => self.name.clone(),
            Some(version) => format!("{}/{version}", self.name),
        }
    }

    /// From the part of a key, or from an object's name.
    pub fn from_key(key: &str) -> Option<Self> {
        key.replacen('/', "@", 1).parse().ok()
    }
}

impl fmt::Display for ModelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.version {
            None => f.write_str(&self.name),
            Some(version) => write!(f, "{}@{version}", self.name),
        }
    }
}

impl FromStr for ModelName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, version) = match text.split_once('@') {
            None => (text, None),
            Some((name, version)) => (name, Some(version)),
        };
        check("model", name)?;
        version.map(|version| check("version", version)).transpose()?;
        Ok(Self { name: name.to_owned(), version: version.map(str::to_owned) })
    }
}

/// Checks a name or a version. Accepted is what may stand in a folder's name, an object's name and a bucket's key.
///
/// # Errors
/// What is wrong with it.
pub fn check(what: &str, name: &str) -> Result<(), String> {
    let shown: String = name.chars().take(MAX_LEN).flat_map(char::escape_debug).collect();
    if name.is_empty() || name.len() > MAX_LEN {
        return Err(format!("the {what} `{shown}` must have 1 to {MAX_LEN} characters"));
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    let edges = edge(name.chars().next()) && edge(name.chars().next_back());
    if !name.chars().all(allowed) || name.contains("..") || !edges {
        return Err(format!(
            "the {what} `{shown}` may have A-Z, a-z, 0-9, `_`, `-` and single dots, with a letter or digit at both ends"
        ));
    }
    Ok(())
}

/// Which of two versions is newer: number by number, so that `1.10` comes after `1.9`. A word makes a version older than
/// the one without it: `1.0-rc1` comes before `1.0`.
pub fn compare_versions(a: &str, b: &str) -> Ordering {
    let (mut left, mut right) = (parts(a), parts(b));
    loop {
        return match (left.next(), right.next()) {
            (None, None) => a.cmp(b),
            (None, Some(r)) => {
                if is_number(r) {
                    Ordering::Less
                } else {
                    Ordering::Greater
                }
            }
            (Some(l), None) => {
                if is_number(l) {
                    Ordering::Greater
                } else {
                    Ordering::Less
                }
            }
            (Some(l), Some(r)) => match compare_parts(l, r) {
                Ordering::Equal => continue,
                other => other,
            },
        };
    }
}

/// Runs of digits, and runs of letters; what is between them is left out.
fn parts(version: &str) -> impl Iterator<Item = &str> {
    version.split(['.', '-', '_']).flat_map(|word| {
        let mut rest = word;
        std::iter::from_fn(move || {
            let digits = rest.chars().next()?.is_ascii_digit();
            let end = rest.find(|c: char| c.is_ascii_digit() != digits).unwrap_or(rest.len());
            let (part, after) = rest.split_at(end);
            rest = after;
            Some(part)
        })
    })
}

fn is_number(part: &str) -> bool {
    part.starts_with(|c: char| c.is_ascii_digit())
}

fn compare_parts(a: &str, b: &str) -> Ordering {
    match (is_number(a), is_number(b)) {
        (true, true) => {
            let (a, b) = (a.trim_start_matches('0'), b.trim_start_matches('0'));
            a.len().cmp(&b.len()).then_with(|| a.cmp(b))
        }
        (false, true) => Ordering::Less,
        (true, false) => Ordering::Greater,
        (false, false) => a.cmp(b),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_read_and_written() {
        let name: ModelName = "all-MiniLM-L6.v2@1.0".parse().unwrap();
        assert_eq!(
            (name.to_string().as_str(), name.key().as_str()),
            ("all-MiniLM-L6.v2@1.0", "all-MiniLM-L6.v2/1.0")
        );
        assert_eq!(ModelName::from_key("all-MiniLM-L6.v2/1.0"), Some(name));
        assert_eq!(ModelName::from_key("m"), Some(ModelName { name: "m".into(), version: None }));
        for wrong in ["", "@1", "m@", "a/b", "a b", "../a", "a..b", ".a", "a-", "m@1@2", "ü", &"x".repeat(65)]
        {
            assert!(wrong.parse::<ModelName>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn versions_in_order() {
        let sorted = [
            "1-beta",
            "1-rc1",
            "1-rc2",
            "1",
            "1.0-rc1",
            "1.0",
            "1.0.1",
            "1.2",
            "1.9",
            "1.10",
            "2",
            "2024-11-01",
            "2025-01-01",
        ];
        for pair in sorted.windows(2) {
            assert_eq!(compare_versions(pair[0], pair[1]), Ordering::Less, "{pair:?}");
        }
        assert_eq!(compare_versions("v2", "v10"), Ordering::Less);
    }

    proptest! {
        #[test]
        fn the_order_of_versions_is_an_order(a in "[a-c0-2.]{1,6}", b in "[a-c0-2.]{1,6}", c in "[a-c0-2.]{1,6}") {
            prop_assert_eq!(compare_versions(&a, &b), compare_versions(&b, &a).reverse());
            prop_assert_eq!(compare_versions(&a, &b) == Ordering::Equal, a == b);
            if compare_versions(&a, &b).is_le() && compare_versions(&b, &c).is_le() {
                prop_assert!(compare_versions(&a, &c).is_le());
            }
        }
    }
}
