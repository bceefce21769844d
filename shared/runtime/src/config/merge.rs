//! Defaults, file and environment, laid over each other. Pure: the environment comes in as pairs.

use std::collections::BTreeMap;

use tasklane_domain::name::closest;
use toml::{Table, Value};

use super::{Config, Problem};

const PREFIX: &str = "TASKLANE_";
/// Set by the project's own scripts and tests for other programs; not keys of a service. One that ends in `_` stands for
/// all that begin with it.
const FOREIGN: [&str; 4] = ["TASKLANE_CACHE", "TASKLANE_STRICT", "TASKLANE_TEST_", "TASKLANE_STACK_"];

/// Lays the file's text and the variables that start with `TASKLANE_` over the defaults.
///
/// # Errors
/// Every problem found, each with its place.
pub fn merge<C: Config>(
    file: Option<(&str, &str)>,
    environment: impl Iterator<Item = (String, String)>,
) -> Result<C, Vec<Problem>> {
    let defaults = Table::try_from(C::default())
        .map_err(|e| vec![Problem::new("defaults", format!("cannot be written as TOML: {e}"))])?;
    let mut overrides = Vec::new();
    let mut problems = Vec::new();
    if let Some((name, text)) = file {
        match text.parse::<Table>() {
            Ok(table) => flatten(&mut Vec::new(), table, &defaults, &mut |path, value| {
                overrides.push((format!("{name}: {}", path.join(".")), path, value));
            }),
            Err(e) => problems.push(Problem::new(name, e.to_string())),
        }
    }
    let names = variables(&defaults);
    for (name, text) in environment.filter(|(name, _)| is_ours(name)) {
        match names.get(&name) {
            Some(path) => overrides.push((name, path.clone(), Value::String(text))),
            None => problems.push(Problem::new(name.clone(), unknown(&name, names.keys()))),
        }
    }
    let mut merged = defaults.clone();
    for (place, path, value) in overrides {
        if let Err(text) = lay::<C>(&defaults, &mut merged, &path, value) {
            problems.push(Problem::new(place, text));
        }
    }
    finish(merged, problems)
}

fn finish<C: Config>(merged: Table, mut problems: Vec<Problem>) -> Result<C, Vec<Problem>> {
    match merged.try_into::<C>() {
        Ok(config) => {
            problems.extend(config.check());
            if problems.is_empty() { Ok(config) } else { Err(problems) }
        }
        Err(e) => {
            problems.push(Problem::new("configuration", e.to_string()));
            Err(problems)
        }
    }
}

fn is_ours(name: &str) -> bool {
    name.starts_with(PREFIX)
        && !FOREIGN
            .iter()
            .any(|foreign| name == *foreign || (foreign.ends_with('_') && name.starts_with(foreign)))
}

/// The names of all variables that a service reads, in alphabetical order.
pub fn names<C: Config>() -> Vec<String> {
    Table::try_from(C::default())
        .map(|defaults| variables(&defaults).into_keys().collect())
        .unwrap_or_default()
}

/// Every leaf of the defaults by the name of its variable.
fn variables(defaults: &Table) -> BTreeMap<String, Vec<String>> {
    let mut names = BTreeMap::new();
    flatten(&mut Vec::new(), defaults.clone(), defaults, &mut |path, _| {
        names.insert(format!("{PREFIX}{}", path.join("_").to_uppercase()), path);
    });
    names
}

/// Calls `leaf` with each path that is not a section of the defaults.
fn flatten(at: &mut Vec<String>, table: Table, defaults: &Table, leaf: &mut impl FnMut(Vec<String>, Value)) {
    for (key, value) in table {
        at.push(key.clone());
        match (value, defaults.get(&key)) {
            (Value::Table(inner), Some(Value::Table(known))) if !known.is_empty() => {
                flatten(at, inner, known, leaf);
            }
            (value, _) => leaf(at.clone(), value),
        }
        at.pop();
    }
}

/// Lays one value over the merged table if the defaults with only this value can be read as the type.
fn lay<C: Config>(defaults: &Table, merged: &mut Table, path: &[String], value: Value) -> Result<(), String> {
    let default = find(defaults, path).ok_or_else(|| unknown(&path.join("."), &keys(defaults)))?;
    let value = convert(value, default)?;
    let mut alone = defaults.clone();
    set(&mut alone, path, value.clone());
    alone.try_into::<C>().map_err(|e: toml::de::Error| e.message().to_owned())?;
    set(merged, path, value);
    Ok(())
}

fn keys(defaults: &Table) -> Vec<String> {
    let mut keys = Vec::new();
    flatten(&mut Vec::new(), defaults.clone(), defaults, &mut |path, _| keys.push(path.join(".")));
    keys
}

fn unknown<'a>(name: &str, known: impl IntoIterator<Item = &'a String>) -> String {
    match closest(name, known.into_iter().map(String::as_str)) {
        Some(near) => format!("there is no such key; did you mean {near}?"),
        None => "there is no such key".to_owned(),
    }
}

fn find<'a>(table: &'a Table, path: &[String]) -> Option<&'a Value> {
    let (last, sections) = path.split_last()?;
    sections.iter().try_fold(table, |t, key| t.get(key)?.as_table())?.get(last)
}

fn set(table: &mut Table, path: &[String], value: Value) {
    match path {
        [] => {}
        [last] => {
            table.insert(last.clone(), value);
        }
        [section, rest @ ..] => {
            if let Some(Value::Table(inner)) = table.get_mut(section) {
                set(inner, rest, value);
            }
        }
    }
}

/// Text from the environment as the type of the default; lists are separated by commas.
fn convert(value: Value, default: &Value) -> Result<Value, String> {
    let Value::String(text) = value else { return Ok(value) };
    let text = text.trim();
    match default {
        Value::Integer(_) => {
            text.parse().map(Value::Integer).map_err(|_| format!("\"{text}\" is not a whole number"))
        }
        Value::Float(_) => text.parse().map(Value::Float).map_err(|_| format!("\"{text}\" is not a number")),
        Value::Boolean(_) => match text {
            "true" | "1" | "yes" | "on" => Ok(Value::Boolean(true)),
            "false" | "0" | "no" | "off" => Ok(Value::Boolean(false)),
            _ => Err(format!("\"{text}\" is neither true nor false")),
        },
        Value::Array(_) => Ok(Value::Array(
            text.split(',')
                .map(str::trim)
                .filter(|t| !t.is_empty())
                .map(|t| Value::String(t.to_owned()))
                .collect(),
        )),
        _ => Ok(Value::String(text.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::{Deserialize, Serialize};

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Demo {
        slots: u32,
        name: String,
        roots: Vec<String>,
        nats: Inner,
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Inner {
        url: String,
        timeout_ms: u64,
    }

    impl Default for Demo {
        fn default() -> Self {
            Self { slots: 4, name: String::new(), roots: vec![], nats: Inner::default() }
        }
    }

    impl Default for Inner {
        fn default() -> Self {
            Self { url: "nats://here".into(), timeout_ms: 5 }
        }
    }

    impl Config for Demo {
        fn pages(&self) -> &str {
            "127.0.0.1:0"
        }

        fn check(&self) -> Vec<Problem> {
            if self.slots == 0 { vec![Problem::new("slots", "must be at least 1")] } else { vec![] }
        }
    }

    fn pairs(list: &[(&str, &str)]) -> impl Iterator<Item = (String, String)> {
        list.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect::<Vec<_>>().into_iter()
    }

    #[test]
    fn environment_over_file_over_defaults() {
        let file = "slots = 8\n[nats]\nurl = \"nats://file\"\n";
        let env = pairs(&[("TASKLANE_NATS_URL", "nats://env"), ("TASKLANE_ROOTS", "/a, /b"), ("HOME", "/x")]);
        let demo: Demo = merge(Some(("t.toml", file)), env).unwrap();
        assert_eq!((demo.slots, demo.nats.url.as_str(), demo.nats.timeout_ms), (8, "nats://env", 5));
        assert_eq!(demo.roots, ["/a", "/b"]);
    }

    #[test]
    fn every_mistake_is_reported_with_its_place() {
        let file = "slot = 8\n[nats]\ntimeout_ms = \"soon\"\n";
        let env = pairs(&[("TASKLANE_NATS_URI", "x"), ("TASKLANE_SLOTS", "many")]);
        let problems = merge::<Demo>(Some(("t.toml", file)), env).unwrap_err();
        let texts: Vec<_> = problems.iter().map(|p| format!("{}: {}", p.place, p.text)).collect();
        assert_eq!(texts.len(), 4, "{texts:?}");
        assert!(
            texts.iter().any(|t| t == "t.toml: slot: there is no such key; did you mean slots?"),
            "{texts:?}"
        );
        assert!(texts.iter().any(|t| t.starts_with("TASKLANE_NATS_URI") && t.contains("TASKLANE_NATS_URL")));
        assert!(texts.iter().any(|t| t.contains("\"many\" is not a whole number")));
        assert!(texts.iter().any(|t| t.contains("\"soon\" is not a whole number")));
    }

    #[test]
    fn only_the_scripts_own_variables_are_passed_over() {
        let theirs =
            [("TASKLANE_CACHE", "/var/cache"), ("TASKLANE_STRICT", "1"), ("TASKLANE_TEST_BLESS", "1")];
        assert!(merge::<Demo>(None, pairs(&theirs)).is_ok());
        let problems = merge::<Demo>(None, pairs(&[("TASKLANE_CACHE_TTL_S", "5")])).unwrap_err();
        assert_eq!(problems.len(), 1, "it looks like a key of a service: {problems:?}");
    }

    #[test]
    fn a_value_out_of_bounds_is_the_services_own_check() {
        let problems = merge::<Demo>(None, pairs(&[("TASKLANE_SLOTS", "0")])).unwrap_err();
        assert_eq!(problems, [Problem::new("slots", "must be at least 1")]);
    }
}
