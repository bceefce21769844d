//! Dates in the forms they are commonly written in, in English, German, French, Spanish and Italian.

use std::sync::LazyLock;

use jiff::civil::Date;
use regex::{Captures, Regex};

use super::{Found, pattern};

/// Names of the months and their common short forms, lower case.
const MONTHS: [(&str, i8); 71] = [
    ("january", 1),
    ("jan", 1),
    ("januar", 1),
    ("jänner", 1),
    ("janvier", 1),
    ("enero", 1),
    ("gennaio", 1),
    ("february", 2),
    ("feb", 2),
    ("februar", 2),
    ("février", 2),
    ("febrero", 2),
    ("febbraio", 2),
    ("march", 3),
    ("mar", 3),
    ("märz", 3),
    ("mars", 3),
    ("marzo", 3),
    ("april", 4),
    ("apr", 4),
    ("avril", 4),
    ("abril", 4),
    ("aprile", 4),
    ("may", 5),
    ("mai", 5),
    ("mayo", 5),
    ("maggio", 5),
    ("june", 6),
    ("jun", 6),
    ("juni", 6),
    ("juin", 6),
    ("junio", 6),
    ("giugno", 6),
    ("july", 7),
    ("jul", 7),
    ("juli", 7),
    ("juillet", 7),
    ("julio", 7),
    ("luglio", 7),
    ("august", 8),
    ("aug", 8),
    ("août", 8),
    ("agosto", 8),
    ("september", 9),
    ("sept", 9),
    ("sep", 9),
    ("septembre", 9),
    ("septiembre", 9),
    ("settembre", 9),
    ("october", 10),
    ("oct", 10),
    ("oktober", 10),
    ("okt", 10),
    ("octobre", 10),
    ("octubre", 10),
    ("ottobre", 10),
    ("november", 11),
    ("nov", 11),
    ("novembre", 11),
    ("noviembre", 11),
    ("december", 12),
    ("dec", 12),
    ("dezember", 12),
    ("dez", 12),
    ("décembre", 12),
    ("diciembre", 12),
    ("dicembre", 12),
    ("aout", 8),
    ("fevrier", 2),
    ("decembre", 12),
    ("maerz", 3),
];

static ISO: LazyLock<Option<Regex>> = LazyLock::new(|| {
    pattern(
        r"(?-u:\b)(?P<y>[12][0-9]{3})(?P<s>[-/.])(?P<m>[01]?[0-9])(?P<t>[-/.])(?P<d>[0-3]?[0-9])(?:(?-u:\b)|T[0-9])",
    )
});

/// Day first with full stops, as in much of Europe; either first with slashes, which is ambiguous.
static NUMERIC: LazyLock<Option<Regex>> = LazyLock::new(|| {
    pattern(
        r"(?-u:\b)(?P<a>[0-3]?[0-9])(?P<s>[./]) ?(?P<b>[0-3]?[0-9])(?P<t>[./]) ?(?P<y>[12][0-9]{3}|[0-9]{2})(?-u:\b)",
    )
});

static DAY_MONTH: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let names = names();
    pattern(&format!(
        r"(?i)(?-u:\b)(?P<d>[0-3]?[0-9])(?:\.|st|nd|rd|th|er|º)?(?: de| of)? ?(?P<n>{names})\.?,?(?: de| del)? (?P<y>[12][0-9]{{3}})(?-u:\b)"
    ))
});

static MONTH_DAY: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let names = names();
    pattern(&format!(
        r"(?i)(?-u:\b)(?P<n>{names})\.? (?P<d>[0-3]?[0-9])(?:st|nd|rd|th)?,? (?P<y>[12][0-9]{{3}})(?-u:\b)"
    ))
});

/// The names for a pattern, the longest first, so that `sept` does not end at `sep`.
fn names() -> String {
    let mut names: Vec<&str> = MONTHS.iter().map(|(name, _)| *name).collect();
    names.sort_by_key(|name| std::cmp::Reverse(name.len()));
    names.join("|")
}

/// Whether `word` (lower case) is the name of a month.
pub fn is_month(word: &str) -> bool {
    MONTHS.iter().any(|(name, _)| *name == word)
}

/// Dates that exist in the calendar. Years of two digits and slashed dates that could be either way have no value.
pub fn find(text: &str) -> Vec<Found> {
    let mut found = Vec::new();
    let mut collect = |regex: &Option<Regex>, read: fn(&Captures<'_>) -> Option<Option<Date>>| {
        for captures in regex.iter().flat_map(|regex| regex.captures_iter(text)) {
            if let (Some(whole), Some(date)) = (captures.get(0), read(&captures)) {
                // The hour of a timestamp was looked at only to see the end of the date.
                let time = whole.as_str().rfind(['T', 't']).filter(|at| at + 2 == whole.len());
                let end = time.map_or(whole.end(), |at| whole.start() + at);
                found.push(Found { start: whole.start(), end, value: date.map(|date| date.to_string()) });
            }
        }
    };
    collect(&ISO, iso);
    collect(&DAY_MONTH, named);
    collect(&MONTH_DAY, named);
    collect(&NUMERIC, numeric);
    found
}

fn number<T: std::str::FromStr>(captures: &Captures<'_>, name: &str) -> Option<T> {
    captures.name(name)?.as_str().parse().ok()
}

fn iso(captures: &Captures<'_>) -> Option<Option<Date>> {
    if captures.name("s")?.as_str() != captures.name("t")?.as_str() {
        return None;
    }
    let date = Date::new(number(captures, "y")?, number(captures, "m")?, number(captures, "d")?).ok()?;
    Some(Some(date))
}

fn named(captures: &Captures<'_>) -> Option<Option<Date>> {
    let name = captures.name("n")?.as_str().to_lowercase();
    let (_, month) = MONTHS.iter().find(|(known, _)| *known == name)?;
    Some(Some(Date::new(number(captures, "y")?, *month, number(captures, "d")?).ok()?))
}

fn numeric(captures: &Captures<'_>) -> Option<Option<Date>> {
    let separator = captures.name("s")?.as_str();
    if separator != captures.name("t")?.as_str() {
        return None;
    }
    let (first, second): (i8, i8) = (number(captures, "a")?, number(captures, "b")?);
    let year = captures.name("y")?.as_str();
    // `1.2.34` is more often a version than a date.
    if year.len() == 2 && (separator == "." && (first < 10 || second < 10) && captures.get(0)?.len() < 8) {
        return None;
    }
    let full: i16 = if year.len() == 4 { year.parse().ok()? } else { 2000 + year.parse::<i16>().ok()? };
    let day_first = Date::new(full, second, first).ok();
    let month_first = if separator == "/" { Date::new(full, first, second).ok() } else { None };
    match (day_first, month_first) {
        (None, None) => None,
        _ if year.len() == 2 => Some(None),
        (Some(one), Some(other)) if one != other => Some(None),
        (one, other) => Some(one.or(other)),
    }
}
