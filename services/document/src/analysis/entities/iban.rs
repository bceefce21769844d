//! IBANs: ISO 13616, checked by ISO 7064 MOD 97-10.

use std::sync::LazyLock;

use regex::Regex;

use super::{Found, pattern};

static IBAN: LazyLock<Option<Regex>> =
    LazyLock::new(|| pattern(r"(?-u:\b)[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?(?-u:\b)"));

/// The shortest (Norway) and the longest that the standard allows.
const LENGTHS: std::ops::RangeInclusive<usize> = 15..=34;

/// Numbers whose checksum is right.
pub fn find(text: &str) -> Vec<Found> {
    let matches = IBAN.iter().flat_map(|iban| iban.find_iter(text));
    let checked = matches.filter_map(|found| {
        // A word in capitals behind the number may have been taken for a part of it.
        let mut candidate = found.as_str();
        loop {
            let digits: String = candidate.chars().filter(|c| *c != ' ').collect();
            if is_valid(&digits) {
                return Some(Found {
                    start: found.start(),
                    end: found.start() + candidate.len(),
                    value: Some(digits),
                });
            }
            candidate = candidate.rsplit_once(' ')?.0;
        }
    });
    checked.collect()
}

/// Whether an IBAN without spaces has a right checksum.
pub fn is_valid(iban: &str) -> bool {
    if !LENGTHS.contains(&iban.len()) || !iban.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return false;
    }
    let (head, tail) = iban.split_at(4);
    let remainder =
        tail.chars().chain(head.chars()).filter_map(|c| c.to_digit(36)).fold(0, |remainder, value| {
            if value > 9 { (remainder * 100 + value) % 97 } else { (remainder * 10 + value) % 97 }
        });
    remainder == 1
}
