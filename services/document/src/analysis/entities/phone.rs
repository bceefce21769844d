//! Phone numbers: international ones, and national ones in forms that nothing else has.

use std::sync::LazyLock;

use regex::Regex;

use super::{Found, pattern};

/// With `+` or `00`, a North American number with its area code, or a number that its label announces.
static PHONE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    pattern(
        r"(?i)(?P<i>(?:\+|(?-u:\b)00)[1-9][0-9]{0,2}(?:[ ./\u{a0}-]{0,2}\(?[0-9]{1,5}\)?){2,7})|(?P<n>(?:(?-u:\b)1[ .-])?(?:\([2-9][0-9]{2}\) ?|(?-u:\b)[2-9][0-9]{2}[.-])[2-9][0-9]{2}[ .-][0-9]{4})(?-u:\b)|(?:tel|telefon|phone|fax|mobil|mobile|fon|tél)(?:efon|ephone|éphone)?\.?:? ?(?P<l>\(?0[0-9]{1,5}\)?(?:[ ./\u{a0}-]{0,3}[0-9]{1,8}){1,5})",
    )
});

/// Numbers with 7 to 15 digits (ITU-T E.164), normalised to `+` and digits where the country is given.
pub fn find(text: &str) -> Vec<Found> {
    let matches = PHONE.iter().flat_map(|phone| phone.captures_iter(text));
    let read = matches.filter_map(|captures| {
        let international = captures.name("i");
        let found = international.or_else(|| captures.name("n")).or_else(|| captures.name("l"))?;
        let next = text[found.end()..].chars().next();
        let before = text[..found.start()].chars().next_back();
        if next.is_some_and(char::is_alphanumeric) || before.is_some_and(char::is_alphanumeric) {
            return None;
        }
        let mut written = found.as_str().trim_end_matches([' ', '.', '/', '-', '\u{a0}', '(']);
        // An area code's own zero is dialled at home only: +49 (0)30.
        let without_zero = written.replace("(0)", "");
        let digits: String = without_zero.chars().filter(char::is_ascii_digit).collect();
        let digits =
            if international.is_some() { digits.trim_start_matches("00").to_owned() } else { digits };
        if !(7..=15).contains(&digits.len()) {
            return None;
        }
        if written.ends_with(')') && !written.contains('(') {
            written = &written[..written.len() - 1];
        }
        let value = if international.is_some() { format!("+{digits}") } else { digits };
        Some(Found { start: found.start(), end: found.start() + written.len(), value: Some(value) })
    });
    read.collect()
}
