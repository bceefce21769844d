//! From the text of `model.toml` to the manifest, or to everything that is wrong with it.

use std::collections::BTreeMap;

use serde_json::{Map, Number, Value};
use tasklane_runtime::config::tables::{Mistake, Notes, Section, kind, shown};
use toml::de::{DeTable, DeValue};

use super::{Example, FILE, Manifest, Precision, kinds};
use crate::name;

/// The longest manifest, in bytes.
pub const MAX_BYTES: usize = 1 << 20;
/// The longest name of a file, in characters.
const MAX_FILE_NAME: usize = 128;

/// Reads a manifest's text.
///
/// # Errors
/// All mistakes, in the order of the file. Only where the text is not TOML at all do those of the syntax come alone.
pub fn parse(text: &str) -> Result<Manifest, Vec<Mistake>> {
    let mut notes = Notes::new(text);
    if text.len() > MAX_BYTES {
        notes.add(&(0..0), format!("the file is longer than {MAX_BYTES} bytes"));
        return Err(notes.into_mistakes());
    }
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        let at = error.span().unwrap_or(0..0);
        notes.add(&at, format!("not TOML: {}", error.message().trim().replace('\n', "; ")));
    }
    if notes.any() {
        return Err(notes.into_mistakes());
    }
    let root = Section::root(table.get_ref());
    let read = whole(&root, &mut notes);
    match read {
        Some(manifest) if !notes.any() => Ok(manifest),
        _ => Err(notes.into_mistakes()),
    }
}

/// The mistakes as one text for people.
pub fn told(mistakes: &[Mistake]) -> String {
    let lines: Vec<String> = mistakes.iter().map(|mistake| format!("{FILE} {mistake}")).collect();
    lines.join("; ")
}

/// Nothing is returned where something that must be there is missing; what is wrong is in the notes.
fn whole(root: &Section<'_>, notes: &mut Notes<'_>) -> Option<Manifest> {
    let name = named(root, "name", "model", notes);
    let version = named(root, "version", "version", notes);
    let licence = root.needed_text("licence", notes);
    if licence.is_some_and(|text| text.trim().is_empty()) {
        notes
            .add(&root.span_of("licence"), "`licence` is empty; say under which terms the model may be used");
    }
    let words = [("f32", Precision::F32), ("bf16", Precision::Bf16)];
    let precision = root.word("precision", &words, notes).unwrap_or_default();
    let files = files(root, notes);
    let kind = kinds::read(root, &files, notes);
    let examples = examples(root, notes);
    Some(Manifest {
        name: name?.to_owned(),
        version: version?.to_owned(),
        licence: licence?.to_owned(),
        kind: kind?,
        precision,
        files,
        examples,
    })
}

fn named<'a>(root: &Section<'a>, key: &str, what: &str, notes: &mut Notes<'_>) -> Option<&'a str> {
    let text = root.needed_text(key, notes)?;
    if let Err(why) = name::check(what, text) {
        notes.add(&root.span_of(key), why);
    }
    Some(text)
}

fn files(root: &Section<'_>, notes: &mut Notes<'_>) -> BTreeMap<String, String> {
    if !root.has("files") {
        notes.add(&root.at, "the file has no table `[files]`: every file of the model with its SHA-256");
    }
    let Some(section) = root.section("files", notes) else { return BTreeMap::new() };
    let mut files = BTreeMap::new();
    for (file, at, value) in section.entries() {
        if let Err(why) = check_file(file) {
            notes.add(&at, why);
        }
        match value.get_ref() {
            DeValue::String(sum) if is_sha256(sum) => {
                files.insert(file.to_owned(), sum.to_ascii_lowercase());
            }
            DeValue::String(_) => {
                notes.add(
                    &value.span(),
                    format!("{} must have its SHA-256, 64 hexadecimal digits", shown(file)),
                );
            }
            other => notes.add(
                &value.span(),
                format!("{} must have its SHA-256 in quotes, not {}", shown(file), kind(other)),
            ),
        }
    }
    files
}

fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit())
}

/// A file lies in the model's folder itself, and its name can do no harm in another.
fn check_file(file: &str) -> Result<(), String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if file.eq_ignore_ascii_case(FILE) {
        return Err(format!("{} is this file; it cannot have its own checksum", shown(file)));
    }
    if file.len() > MAX_FILE_NAME || file.starts_with('.') || file.is_empty() || !file.chars().all(allowed) {
        return Err(format!(
            "{} is no name of a file here: A-Z, a-z, 0-9, `_`, `-` and `.`, no folder, no dot in front, at most \
             {MAX_FILE_NAME} characters",
            shown(file)
        ));
    }
    Ok(())
}

fn examples(root: &Section<'_>, notes: &mut Notes<'_>) -> Vec<Example> {
    let list = root.list("examples", notes);
    let one = |(n, value): (usize, _)| {
        let section = Section::of(value, format!("example {}", n + 1), value.span(), notes)?;
        section.only(&["input", "output", "tolerance"], notes);
        let mut needed = |key: &str| match section.value(key) {
            None => {
                notes.add(&section.at, format!("{} has no `{key}`", section.what));
                None
            }
            Some(value) => json(value.get_ref())
                .map_err(|why| notes.add(&value.span(), format!("{}: `{key}` {why}", section.what)))
                .ok(),
        };
        let (input, output) = (needed("input"), needed("output"));
        if input.as_ref().is_some_and(|input| !input.is_object()) {
            notes.add(&section.span_of("input"), format!("{}: `input` must be a table", section.what));
        }
        let tolerance =
            match section.number("tolerance", notes).map(|text| text.replace('_', "").parse::<f64>()) {
                None => 0.0,
                Some(Ok(number)) if number >= 0.0 && number.is_finite() => number,
                Some(_) => {
                    notes.add(
                        &section.span_of("tolerance"),
                        format!("{}: `tolerance` must be a number from 0 on", section.what),
                    );
                    0.0
                }
            };
        Some(Example { input: input?, output: output?, tolerance })
    };
    list.iter().enumerate().filter_map(one).collect()
}

/// A value as JSON.
fn json(value: &DeValue<'_>) -> Result<Value, String> {
    Ok(match value {
        DeValue::String(text) => Value::String(text.to_string()),
        DeValue::Boolean(flag) => Value::Bool(*flag),
        DeValue::Integer(integer) => {
            let number = i64::from_str_radix(integer.as_str(), integer.radix());
            Value::from(number.map_err(|_| format!("has {}, which is too large", integer.as_str()))?)
        }
        DeValue::Float(float) => {
            let number = float.as_str().replace('_', "").parse::<f64>().ok().and_then(Number::from_f64);
            Value::Number(number.ok_or_else(|| format!("has {}, which JSON cannot say", float.as_str()))?)
        }
        DeValue::Datetime(_) => return Err("has a date; put it in quotes".to_owned()),
        DeValue::Array(list) => {
            Value::Array(list.iter().map(|value| json(value.get_ref())).collect::<Result<_, _>>()?)
        }
        DeValue::Table(table) => {
            let entry = |(key, value): (&toml::Spanned<_>, &toml::Spanned<DeValue<'_>>)| {
                let key: &std::borrow::Cow<'_, str> = key.get_ref();
                Ok::<_, String>((key.to_string(), json(value.get_ref())?))
            };
            Value::Object(table.iter().map(entry).collect::<Result<Map<_, _>, _>>()?)
        }
    })
}
