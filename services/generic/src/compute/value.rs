//! JSON to the values of a script, and back. What has no counterpart is refused by name and place, never bent.

use rhai::{Dynamic, INT};
use serde_json::{Number, Value};

use super::failure::Failure;

/// As deep as JSON is read, so that whoever can read the inputs can read the value.
const MAX_DEPTH: usize = 127;

/// An input as a value. `path` names it in messages.
pub fn from_json(path: &str, json: Value) -> Result<Dynamic, Failure> {
    Ok(match json {
        Value::Null => Dynamic::UNIT,
        Value::Bool(b) => b.into(),
        Value::Number(n) => number(path, &n)?,
        Value::String(s) => s.into(),
        Value::Array(items) => {
            let items =
                items.into_iter().enumerate().map(|(i, item)| from_json(&format!("{path}[{i}]"), item));
            Dynamic::from_array(items.collect::<Result<_, _>>()?)
        }
        Value::Object(entries) => {
            let entries = entries.into_iter().map(|(key, item)| {
                let item = from_json(&format!("{path}.{key}"), item)?;
                Ok((key.into(), item))
            });
            Dynamic::from_map(entries.collect::<Result<_, _>>()?)
        }
    })
}

fn number(path: &str, n: &Number) -> Result<Dynamic, Failure> {
    if let Some(int) = n.as_i64() {
        return Ok(Dynamic::from_int(int));
    }
    // A whole number beyond i64 would lose digits as a float.
    match n.as_f64() {
        Some(float) if n.is_f64() => Ok(Dynamic::from_float(float)),
        _ => Err(Failure::Value(format!(
            "{path} is {n}; whole numbers go from {} to {}: write it with a decimal point, or as a string",
            INT::MIN,
            INT::MAX
        ))),
    }
}

/// A script's value as JSON of at most `max_bytes`.
pub fn to_json(value: &Dynamic, max_bytes: usize) -> Result<Value, Failure> {
    Writer { max_bytes, bytes: 0 }.write("value", value, 0)
}

struct Writer {
    max_bytes: usize,
    bytes: usize,
}

impl Writer {
    fn write(&mut self, path: &str, value: &Dynamic, depth: usize) -> Result<Value, Failure> {
        if depth > MAX_DEPTH {
            return Err(Failure::Value(format!(
                "the value is nested deeper than {MAX_DEPTH}; make it flatter"
            )));
        }
        self.take(1)?;
        if let Ok(items) = value.as_array_ref() {
            let items = items
                .iter()
                .enumerate()
                .map(|(i, item)| self.write(&format!("{path}[{i}]"), item, depth + 1));
            return items.collect::<Result<_, _>>().map(Value::Array);
        }
        if let Ok(entries) = value.as_map_ref() {
            let entries = entries.iter().map(|(key, item)| {
                self.take(key.len() + 4)?;
                Ok((key.to_string(), self.write(&format!("{path}.{key}"), item, depth + 1)?))
            });
            return entries.collect::<Result<_, _>>().map(Value::Object);
        }
        self.scalar(path, value)
    }

    fn scalar(&mut self, path: &str, value: &Dynamic) -> Result<Value, Failure> {
        if value.is_unit() {
            return Ok(Value::Null);
        }
        if let Ok(b) = value.as_bool() {
            return Ok(b.into());
        }
        if let Ok(int) = value.as_int() {
            self.take(8)?;
            return Ok(int.into());
        }
        if let Ok(float) = value.as_float() {
            self.take(8)?;
            let text =
                || format!("{path} is {float}, which JSON cannot write; test with `is_nan()`, `is_finite()`");
            return Number::from_f64(float).map(Value::Number).ok_or_else(|| Failure::Value(text()));
        }
        if let Ok(text) = value.as_immutable_string_ref() {
            self.take(text.len() + 2)?;
            return Ok(text.as_str().into());
        }
        if let Ok(c) = value.as_char() {
            return Ok(c.to_string().into());
        }
        if let Ok(blob) = value.as_blob_ref() {
            self.take(blob.len() * 2)?;
            return Ok(blob.iter().copied().collect());
        }
        Err(Failure::Value(format!(
            "{path} is a {}, which JSON cannot write; give back numbers, texts, arrays or maps",
            value.type_name()
        )))
    }

    fn take(&mut self, bytes: usize) -> Result<(), Failure> {
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes > self.max_bytes {
            return Err(Failure::limit("the value is too large", "max_result_bytes", self.max_bytes));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_filter_map("finite", |f| Number::from_f64(f).map(Value::Number)),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::btree_map(any::<String>(), inner, 0..6)
                    .prop_map(|m| Value::Object(m.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_goes_in_comes_out(json in any_json()) {
            let value = from_json("x", json.clone()).unwrap();
            prop_assert_eq!(to_json(&value, 1 << 20).unwrap(), json);
        }
    }

    #[test]
    fn a_whole_number_beyond_its_range_is_refused_by_its_place() {
        let error = from_json("inputs.a", json!([1, {"b": u64::MAX}])).unwrap_err();
        assert!(error.to_string().contains("inputs.a[1].b is 18446744073709551615"), "{error}");
    }

    #[test]
    fn what_json_cannot_write_is_refused_by_its_place() {
        for float in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let error = to_json(&Dynamic::from_array(vec![float.into()]), 100).unwrap_err();
            assert!(matches!(&error, Failure::Value(text) if text.starts_with("value[0] is ")), "{error}");
        }
        let error = to_json(&rhai::FnPtr::new("f").unwrap().into(), 100).unwrap_err();
        assert!(error.to_string().contains("is a Fn"), "{error}");
    }

    #[test]
    fn a_large_value_is_refused_before_it_is_written() {
        let error = to_json(&"x".repeat(100).into(), 100).unwrap_err();
        assert!(matches!(error, Failure::Limit { .. }), "{error}");
    }
}
