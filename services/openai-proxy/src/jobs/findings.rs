//! What was found in the parts of a text, put together: by counting, not by asking again.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// Entries of a list in the result, at most.
const MOST: usize = 50;

/// Puts the findings of parts together; each part weighs as many tokens as it has. What a part does not have is left
/// out, and so is what no part has.
pub fn merged(parts: &[(u64, Value)]) -> Value {
    let mut out = json!({});
    let has = |field: &str| parts.iter().any(|(_, part)| part.get(field).is_some());
    let mut put = |field: &str, of: fn(&[(u64, Value)]) -> Value| {
        if has(field) {
            out[field] = of(parts);
        }
    };
    put("language", |parts| language(parts).into());
    put("topics", |parts| scored(parts, "topics", "weight"));
    put("categories", |parts| scored(parts, "categories", "confidence"));
    put("entities", entities);
    put("sentiment", sentiment);
    put("key_points", |parts| texts(parts, "key_points").into());
    put("questions", |parts| texts(parts, "questions").into());
    out
}

fn entries<'a>(part: &'a Value, field: &str) -> impl Iterator<Item = &'a Value> {
    part[field].as_array().into_iter().flatten()
}

fn key(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}

/// The language of most of the text.
fn language(parts: &[(u64, Value)]) -> String {
    let mut weights: BTreeMap<&str, u64> = BTreeMap::new();
    for (tokens, part) in parts {
        if let Some(language) = part["language"].as_str() {
            *weights.entry(language).or_default() += tokens;
        }
    }
    let most = weights.into_iter().max_by_key(|(language, tokens)| (*tokens, std::cmp::Reverse(*language)));
    most.map_or_else(String::new, |(language, _)| language.to_owned())
}

/// Names with a number from 0 to 1: its mean over all of the text, a part without the name counting as 0.
fn scored(parts: &[(u64, Value)], field: &str, number: &str) -> Value {
    let all: u64 = parts.iter().map(|(tokens, _)| tokens).sum();
    let mut sums: BTreeMap<String, (String, f64)> = BTreeMap::new();
    for (tokens, part) in parts {
        let mut seen = BTreeMap::new();
        for entry in entries(part, field) {
            let Some(name) = entry["name"].as_str().filter(|name| !key(name).is_empty()) else { continue };
            let score = entry[number].as_f64().unwrap_or(0.0).clamp(0.0, 1.0);
            let of_part = seen.entry(key(name)).or_insert((name, score));
            of_part.1 = of_part.1.max(score);
        }
        for (key, (name, score)) in seen {
            let sum = sums.entry(key).or_insert_with(|| (name.to_owned(), 0.0));
            sum.1 += score * *tokens as f64;
        }
    }
    let mut found: Vec<(String, f64)> = sums.into_values().collect();
    found.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    let entry = |(name, sum): (String, f64)| json!({"name": name, number: rounded(sum / all.max(1) as f64)});
    found.into_iter().take(MOST).map(entry).collect()
}

/// Entities by name and kind, those that are named most first.
fn entities(parts: &[(u64, Value)]) -> Value {
    let mut found: BTreeMap<(String, String), (String, u64)> = BTreeMap::new();
    for entry in parts.iter().flat_map(|(_, part)| entries(part, "entities")) {
        let (Some(name), Some(kind)) = (entry["name"].as_str(), entry["type"].as_str()) else { continue };
        let mentions = entry["mentions"].as_u64().unwrap_or(1).max(1);
        found.entry((key(name), kind.to_owned())).or_insert_with(|| (name.to_owned(), 0)).1 += mentions;
    }
    let mut list: Vec<(String, String, u64)> =
        found.into_iter().map(|((_, kind), (name, mentions))| (name, kind, mentions)).collect();
    list.sort_by(|a, b| b.2.cmp(&a.2).then_with(|| a.0.cmp(&b.0)));
    let entry = |(name, kind, mentions)| json!({"name": name, "type": kind, "mentions": mentions});
    list.into_iter().take(MOST).map(entry).collect()
}

/// The mean, and its word; `mixed` where good and bad parts stand side by side.
fn sentiment(parts: &[(u64, Value)]) -> Value {
    if let [(_, part)] = parts {
        return part["sentiment"].clone();
    }
    let score = |part: &Value| part["sentiment"]["score"].as_f64().unwrap_or(0.0).clamp(-1.0, 1.0);
    let all: u64 = parts.iter().map(|(tokens, _)| tokens).sum();
    let sum: f64 = parts.iter().map(|(tokens, part)| score(part) * *tokens as f64).sum();
    let mean = sum / all.max(1) as f64;
    let some = |test: fn(f64) -> bool| parts.iter().any(|(_, part)| test(score(part)));
    let label = match mean {
        _ if some(|s| s > 0.4) && some(|s| s < -0.4) => "mixed",
        mean if mean > 0.15 => "positive",
        mean if mean < -0.15 => "negative",
        _ => "neutral",
    };
    json!({"label": label, "score": rounded(mean)})
}

/// Texts in order, each once.
fn texts(parts: &[(u64, Value)], field: &str) -> Vec<String> {
    let mut seen = std::collections::BTreeSet::new();
    let all = parts.iter().flat_map(|(_, part)| entries(part, field)).filter_map(Value::as_str);
    all.filter(|text| seen.insert(key(text))).take(MOST).map(str::to_owned).collect()
}

/// To three places: more would only pretend to know.
pub fn rounded(number: f64) -> f64 {
    (number * 1_000.0).round() / 1_000.0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn parts_weigh_what_they_have() {
        let one = json!({"language": "en", "topics": [{"name": "Lamps", "weight": 1.0}, {"name": "Sea", "weight": 0.5}],
            "entities": [{"name": "Holmgrund", "type": "place", "mentions": 2}],
            "sentiment": {"label": "positive", "score": 0.8}, "key_points": ["A", "B"]});
        let two = json!({"language": "de", "topics": [{"name": "lamps", "weight": 0.2}],
            "entities": [{"name": "holmgrund", "type": "place", "mentions": 3},
                {"name": "Holmgrund", "type": "organisation", "mentions": 1}],
            "sentiment": {"label": "negative", "score": -0.6}, "key_points": ["b", "C"]});
        let found = merged(&[(300, one.clone()), (100, two)]);
        assert_eq!(found["language"], "en");
        assert_eq!(
            found["topics"],
            json!([{"name": "Lamps", "weight": 0.8}, {"name": "Sea", "weight": 0.375}])
        );
        assert_eq!(found["entities"][0], json!({"name": "Holmgrund", "type": "place", "mentions": 5}));
        assert_eq!(found["entities"].as_array().unwrap().len(), 2);
        assert_eq!(found["sentiment"], json!({"label": "mixed", "score": 0.45}));
        assert_eq!(found["key_points"], json!(["A", "B", "C"]));
        assert_eq!(found.get("questions"), None);
        assert_eq!(merged(&[(5, one.clone())])["sentiment"], one["sentiment"]);
    }

    proptest! {
        #[test]
        fn numbers_stay_in_their_bounds(parts in prop::collection::vec((0u64..1000, -9.0f64..9.0, "[a-c]{0,2}"), 0..9)) {
            let parts: Vec<(u64, Value)> = parts.into_iter().map(|(tokens, n, name)| (tokens, json!({
                "topics": [{"name": name, "weight": n}, {"name": name, "weight": 0.5}],
                "sentiment": {"label": "neutral", "score": n.clamp(-1.0, 1.0)}}))).collect();
            let found = merged(&parts);
            for topic in entries(&found, "topics") {
                prop_assert!((0.0..=1.0).contains(&topic["weight"].as_f64().unwrap()));
            }
            if !parts.is_empty() {
                prop_assert!((-1.0..=1.0).contains(&found["sentiment"]["score"].as_f64().unwrap()));
            }
        }
    }
}
