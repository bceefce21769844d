//! Which values of a point's metadata belong to a field. The filter asks for one field, the index wants to hear of all.
//!
//! Both go the same way: an object's keys are joined by dots, a list stands for each of its members (which may be
//! lists or objects again), and a field is there where its key is, whatever it holds.

use serde_json::{Map, Value};

/// Whether any value of the field passes. A list is shown as itself (which counts for being there only) and then by
/// its members.
pub(super) fn any(
    metadata: &Map<String, Value>,
    field: &str,
    passes: &mut dyn FnMut(&Value) -> bool,
) -> bool {
    if let Some(value) = metadata.get(field)
        && member(value, passes)
    {
        return true;
    }
    let dots = field.bytes().enumerate().filter(|(_, byte)| *byte == b'.');
    dots.into_iter().any(|(dot, _)| {
        metadata.get(&field[..dot]).is_some_and(|value| below(value, &field[dot + 1..], passes))
    })
}

fn below(value: &Value, rest: &str, passes: &mut dyn FnMut(&Value) -> bool) -> bool {
    match value {
        Value::Object(object) => any(object, rest, passes),
        Value::Array(list) => list.iter().any(|value| below(value, rest, passes)),
        _ => false,
    }
}

fn member(value: &Value, passes: &mut dyn FnMut(&Value) -> bool) -> bool {
    if passes(value) {
        return true;
    }
    let Value::Array(list) = value else { return false };
    list.iter().any(|value| member(value, passes))
}

/// Every field of the metadata with each of its values: lists and objects as themselves, then what is in them.
pub(crate) fn each(metadata: &Map<String, Value>, seen: &mut dyn FnMut(&str, &Value)) {
    each_of(metadata, &mut String::new(), seen);
}

fn each_of(object: &Map<String, Value>, path: &mut String, seen: &mut dyn FnMut(&str, &Value)) {
    let length = path.len();
    for (key, value) in object {
        path.push_str(key);
        each_value(value, path, seen);
        path.truncate(length);
    }
}

fn each_value(value: &Value, path: &mut String, seen: &mut dyn FnMut(&str, &Value)) {
    seen(path, value);
    match value {
        Value::Array(list) => list.iter().for_each(|value| each_value(value, path, seen)),
        Value::Object(object) => {
            let length = path.len();
            path.push('.');
            each_of(object, path, seen);
            path.truncate(length);
        }
        _ => {}
    }
}
