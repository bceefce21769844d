//! Whether an answer is what a manifest's example says. Pure.

use serde_json::Value;

/// Where an answer is not what is expected: the place and both values. Expected is a part of it: fields that are not
/// named may be anything, lists are compared whole, and numbers may be off by the tolerance.
pub fn differs(expected: &Value, answer: &Value, tolerance: f64) -> Option<String> {
    at("", expected, answer, tolerance)
}

fn at(place: &str, expected: &Value, answer: &Value, tolerance: f64) -> Option<String> {
    match (expected, answer) {
        (Value::Object(wanted), Value::Object(given)) => wanted.iter().find_map(|(key, value)| {
            let place = if place.is_empty() { key.clone() } else { format!("{place}.{key}") };
            match given.get(key) {
                Some(there) => at(&place, value, there, tolerance),
                None => Some(format!("{place} is missing")),
            }
        }),
        (Value::Array(wanted), Value::Array(given)) if wanted.len() == given.len() => wanted
            .iter()
            .zip(given)
            .enumerate()
            .find_map(|(n, (value, there))| at(&format!("{place}[{n}]"), value, there, tolerance)),
        (Value::Array(wanted), Value::Array(given)) => {
            Some(format!("{place} has {} items, expected {}", given.len(), wanted.len()))
        }
        (Value::Number(wanted), Value::Number(given)) => {
            let (Some(w), Some(g)) = (wanted.as_f64(), given.as_f64()) else {
                return Some(told(place, expected, answer));
            };
            // Whole numbers past 2^53 are compared as they are.
            let same = wanted == given || (w - g).abs() <= tolerance;
            (!same).then(|| told(place, expected, answer))
        }
        (wanted, given) if wanted == given => None,
        _ => Some(told(place, expected, answer)),
    }
}

fn told(place: &str, expected: &Value, answer: &Value) -> String {
    let short = |value: &Value| {
        let text = value.to_string();
        let cut: String = text.chars().take(80).collect();
        if cut.len() < text.len() { cut + "…" } else { cut }
    };
    let place = if place.is_empty() { "it" } else { place };
    format!("{place} is {}, expected {}", short(answer), short(expected))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_part_within_the_tolerance_is_enough() {
        let answer = json!({"vectors": [[0.1, 0.2]], "model": "m@1", "n": 3, "label": "a"});
        for fits in [
            json!({}),
            json!({"vectors": [[0.1, 0.2]]}),
            json!({"vectors": [[0.104, 0.196]], "label": "a"}),
            json!({"n": 3.0}),
        ] {
            assert_eq!(differs(&fits, &answer, 0.005), None, "{fits}");
        }
        for (wrong, place) in [
            (json!({"vectors": [[0.1, 0.21]]}), "vectors[0][1] is 0.2, expected 0.21"),
            (json!({"vectors": [[0.1]]}), "vectors[0] has 2 items, expected 1"),
            (json!({"labels": []}), "labels is missing"),
            (json!({"label": "b"}), "label is \"a\", expected \"b\""),
            (json!({"label": 1}), "label is"),
            (json!([]), "it is"),
        ] {
            let said = differs(&wrong, &answer, 0.005).unwrap();
            assert!(said.starts_with(place), "{said}");
        }
        assert!(differs(&json!(f64::MAX), &json!(f64::MIN), 1e300).is_some());
    }
}
