//! What filters go by in qdrant: metadata as qdrant can be asked for them exactly. Pure.
//!
//! Qdrant's own conditions on fields mean something else than ours: 1 is not 1.0 there, null is no value, a list in a list
//! is not looked into, integers of 64 bits are compared as floats. So a point has two things beside its metadata:
//!
//! - `terms`, a text for each field that it has and for each value of one. Equality and `$exists` ask for such a text.
//!   One index of qdrant's serves all fields, also those that nobody knew when the collection was made.
//! - `numbers.<field>`, the numbers of a field, for ranges. Those that qdrant would round, be it in memory or when it writes
//!   and reads its files, are in `wide.<field>` instead, as two integers that are compared one after the other.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};
use uuid::Uuid;

use super::NAMESPACE;
use crate::filter::{Atom, Key, MOST_NAME, each};

/// Longer terms are named by a hash of 128 bits.
const LONGEST: usize = 200;

/// What filters go by.
#[derive(Debug, Default, PartialEq)]
pub struct Terms {
    /// Fields, and their values.
    pub terms: BTreeSet<String>,
    /// Numbers that qdrant keeps as they are, by [`segment`] of their field.
    pub numbers: BTreeMap<String, Vec<f64>>,
    /// The others, as [`Key::halves`] has them.
    pub wide: BTreeMap<String, Vec<(u64, u32)>>,
}

/// All that filters may ask of these metadata.
pub fn of(metadata: &Map<String, Value>) -> Terms {
    let mut all = Terms::default();
    each(metadata, &mut |field, value| {
        // No filter has a longer name.
        if field.len() > MOST_NAME {
            return;
        }
        all.terms.insert(exists(field));
        let atom = match value {
            Value::Null => Atom::Null,
            Value::Bool(bool) => Atom::Bool(*bool),
            Value::Number(number) => match Key::of(number) {
                Some(key) => {
                    match key.parts() {
                        (number, 0) if is_kept(number) => {
                            all.numbers.entry(segment(field)).or_default().push(number);
                        }
                        _ => all.wide.entry(segment(field)).or_default().push(key.halves()),
                    }
                    Atom::Number(key)
                }
                None => return,
            },
            Value::String(text) => Atom::Text(text.as_str().into()),
            Value::Array(_) | Value::Object(_) => return,
        };
        all.terms.insert(equals(field, &atom));
    });
    all
}

/// Whether a number is the same when qdrant has written and read it: it keeps payloads as JSON, and reads decimals in two
/// roundings, of the digits and by the power of ten. With up to 15 digits and a small power neither rounds.
pub fn is_kept(number: f64) -> bool {
    const MOST: f64 = 9_007_199_254_740_992.0;
    if number.fract() == 0.0 {
        // Sent as an integer.
        return number.abs() <= MOST;
    }
    let digits = format!("{number:e}")
        .split('e')
        .next()
        .map_or(0, |digits| digits.bytes().filter(u8::is_ascii_digit).count());
    digits <= 15 && (1e-5..1e15).contains(&number.abs())
}

/// The term of a field that is there.
pub fn exists(field: &str) -> String {
    shortened(format!("?{field}"))
}

/// The term of a value of a field. No two have the same.
pub fn equals(field: &str, atom: &Atom) -> String {
    shortened(match atom {
        Atom::Null => format!("0{field}"),
        Atom::Bool(false) => format!("f{field}"),
        Atom::Bool(true) => format!("t{field}"),
        Atom::Number(key) => {
            let (number, rest) = key.parts();
            format!("n{:016x}{rest:04x}{field}", number.to_bits())
        }
        Atom::Text(text) => format!("s{}:{field}={text}", field.len()),
    })
}

fn shortened(term: String) -> String {
    match term.len() > LONGEST {
        true => format!("#{}", Uuid::new_v5(&NAMESPACE, term.as_bytes()).simple()),
        false => term,
    }
}

/// A field's name as one part of a path of qdrant's. No two have the same.
pub fn segment(field: &str) -> String {
    let mut segment = String::with_capacity(field.len());
    for byte in field.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' => segment.push(char::from(byte)),
            _ => segment.push_str(&format!("_{byte:02x}")),
        }
    }
    segment
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_become_terms() {
        let metadata = json!({"lang": "en", "year": 2020, "tags": ["a", ["b"]], "x": {"y": null}, "big": (1u64 << 53) + 1});
        let all = of(metadata.as_object().unwrap());
        for term in
            ["?lang", "s4:lang=en", "?tags", "s4:tags=a", "s4:tags=b", "?x", "?x.y", "0x.y", "?year", "?big"]
        {
            assert!(all.terms.contains(term), "{term}: {all:?}");
        }
        assert_eq!(all.terms.len(), 12, "{all:?}");
        assert_eq!(all.numbers, BTreeMap::from([("year".to_owned(), vec![2020.0])]));
        assert_eq!(all.wide.keys().collect::<Vec<_>>(), ["big"]);
        assert!(is_kept(0.1) && is_kept(-12.75) && is_kept(1e15) && is_kept(0.0));
        assert!(!is_kept(0.1 + 0.2) && !is_kept(1e300) && !is_kept(1e-7) && !is_kept(1e16));
        let equal = |value: Value| of(json!({"a": value}).as_object().unwrap()).terms;
        assert_eq!(equal(json!(1)), equal(json!(1.0)));
        assert_ne!(equal(json!(1)), equal(json!("1")));
        assert_ne!(equal(json!(1)), equal(json!(true)));
    }

    #[test]
    fn fields_and_texts_do_not_run_together() {
        let text = |text: &str| Atom::Text(text.into());
        assert_ne!(equals("a", &text("=b")), equals("a=", &text("b")));
        assert_ne!(segment("a.b"), segment("a_2eb"));
        assert_eq!(segment("a.b_ä"), "a_2eb_5f_c3_a4");
        let long = equals("a", &text(&"x".repeat(LONGEST)));
        assert!(long.starts_with('#') && long.len() == 33, "{long}");
        assert_ne!(long, equals("b", &text(&"x".repeat(LONGEST))));
    }
}
