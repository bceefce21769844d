//! What a collection is asked, and the filters of the command line. Pure.

use serde_json::{Map, Value, json};

/// The comparisons of a filter, the longer ones first: `>=` begins with `>`.
const COMPARISONS: [(&str, &str); 6] =
    [(">=", "$gte"), ("<=", "$lte"), ("!=", "$ne"), (">", "$gt"), ("<", "$lt"), ("=", "$eq")];

/// How a collection is searched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// By what it means.
    Vector,
    /// By its words.
    Text,
    /// By both.
    Hybrid,
}

impl Mode {
    /// As the task calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Vector => "vector",
            Self::Text => "text",
            Self::Hybrid => "hybrid",
        }
    }
}

/// A condition such as `lang=en`, `year>=2020`, `lang!=de`, or the filter itself as JSON.
///
/// # Errors
/// A text for the person who wrote it.
pub fn filter(text: &str) -> Result<Value, String> {
    if text.trim_start().starts_with('{') {
        return match serde_json::from_str(text) {
            Ok(Value::Object(filter)) => Ok(Value::Object(filter)),
            Ok(_) => Err("a filter as JSON is an object".to_owned()),
            Err(e) => Err(format!("not JSON: {e}")),
        };
    }
    let wrong =
        || format!("\"{text}\" is not a filter such as lang=en, year>=2020 or {{\"year\":{{\"$lt\":2020}}}}");
    let at = text.find(['=', '!', '<', '>']).filter(|at| *at > 0).ok_or_else(wrong)?;
    let (key, rest) = text.split_at(at);
    let found = COMPARISONS.iter().find_map(|(sign, name)| Some((name, rest.strip_prefix(sign)?)));
    let (name, given) = found.ok_or_else(wrong)?;
    Ok(json!({ key: { *name: value(given) } }))
}

/// A value on the command line: a number, `true`, `false`, `null`, a text in quotes, or the text as it stands.
pub fn value(text: &str) -> Value {
    match serde_json::from_str(text) {
        Ok(value @ (Value::Number(_) | Value::Bool(_) | Value::Null | Value::String(_))) => value,
        _ => text.into(),
    }
}

/// All of the filters together; nothing where there are none.
pub fn together(filters: &[Value]) -> Option<Value> {
    match filters {
        [] => None,
        [one] => Some(one.clone()),
        many => Some(json!({ "$and": many })),
    }
}

/// The payload of a search.
pub fn payload(
    collection: &str,
    (mode, text): (Mode, &str),
    vector: Option<Value>,
    filters: &[Value],
    top_k: usize,
) -> Value {
    let mut payload = Map::new();
    let mut set = |key: &str, value: Value| payload.insert(key.to_owned(), value);
    set("collection", collection.into());
    set("mode", mode.name().into());
    set("top_k", top_k.into());
    set("with", json!(["text", "metadata"]));
    if mode != Mode::Vector {
        set("text", text.into());
    }
    if let Some(vector) = vector.filter(|_| mode != Mode::Text) {
        set("vector", vector);
    }
    if let Some(filter) = together(filters) {
        set("filter", filter);
    }
    Value::Object(payload)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn filters_as_people_write_them() {
        let good = [
            ("lang=en", json!({"lang": {"$eq": "en"}})),
            ("year>=2020", json!({"year": {"$gte": 2020}})),
            ("year<=2.5", json!({"year": {"$lte": 2.5}})),
            ("a.b<3", json!({"a.b": {"$lt": 3}})),
            ("a>b>c", json!({"a": {"$gt": "b>c"}})),
            ("final!=true", json!({"final": {"$ne": true}})),
            ("code=\"007\"", json!({"code": {"$eq": "007"}})),
            ("code=007", json!({"code": {"$eq": "007"}})),
            ("tag=[x]", json!({"tag": {"$eq": "[x]"}})),
            ("empty=", json!({"empty": {"$eq": ""}})),
            ("{\"$or\":[{\"a\":1},{\"b\":2}]}", json!({"$or": [{"a": 1}, {"b": 2}]})),
        ];
        for (text, expected) in good {
            assert_eq!(filter(text).as_ref(), Ok(&expected), "{text}");
        }
        for text in ["", "lang", "=en", "a!b", "{\"a\":", "{} {}"] {
            assert!(filter(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_search_says_only_what_it_means() {
        let of = |mode, filters: &[Value]| payload("docs", (mode, "why?"), Some("AAAA".into()), filters, 3);
        let base = json!({"collection": "docs", "mode": "text", "top_k": 3, "with": ["text", "metadata"], "text": "why?"});
        assert_eq!(of(Mode::Text, &[]), base);
        let both = of(Mode::Hybrid, &[json!({"a": 1}), json!({"b": 2})]);
        assert_eq!((&both["vector"], &both["text"]), (&"AAAA".into(), &"why?".into()));
        assert_eq!(both["filter"], json!({"$and": [{"a": 1}, {"b": 2}]}));
        assert!(of(Mode::Vector, &[]).get("text").is_none());
    }

    proptest! {
        #[test]
        fn arbitrary_text_never_panics(text in "\\PC*") {
            if let Ok(found) = filter(&text) {
                prop_assert!(found.is_object());
            }
        }
    }
}
