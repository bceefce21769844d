//! Reading keys from where the file says they are.

use std::ffi::OsStr;
use std::io::Read as _;
use std::path::Path;

use tasklane_runtime::config::tables::{Notes, Section, Value, kind};

use super::secret::{KeySource, MAX_KEY_BYTES, Secret};

/// How the text of a key is got; `None` if there is none at its source. It must not put the key into its errors.
pub(super) type Reader<'r> = &'r dyn Fn(&KeySource) -> Result<Option<String>, String>;

/// The text of a key from this process's environment or from a file; `None` if there is no such variable or file.
///
/// # Errors
/// If the source is there and cannot be read, is no regular file, is not UTF-8, or is longer than any key.
pub fn read_key(source: &KeySource) -> Result<Option<String>, String> {
    match source {
        KeySource::Env(name) => match std::env::var_os(OsStr::new(name)).map(|value| value.into_string()) {
            None => Ok(None),
            Some(Ok(text)) => Ok(Some(text)),
            Some(Err(_)) => Err("it is not UTF-8".to_owned()),
        },
        KeySource::File(path) => read_file(path),
    }
}

fn read_file(path: &Path) -> Result<Option<String>, String> {
    match std::fs::metadata(path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(e.to_string()),
        // Opening a pipe would wait for somebody to write.
        Ok(metadata) if !metadata.is_file() => return Err("it is not a regular file".to_owned()),
        Ok(_) => {}
    }
    let file = std::fs::File::open(path).map_err(|e| e.to_string())?;
    let mut text = String::new();
    let limit = MAX_KEY_BYTES as u64 + 64;
    match file.take(limit + 1).read_to_string(&mut text) {
        Ok(length) if length as u64 > limit => Err(format!("it is longer than {MAX_KEY_BYTES} bytes")),
        Ok(_) => Ok(Some(text)),
        // The text of this error is the system's or "stream did not contain valid UTF-8", never the content.
        Err(e) => Err(e.to_string()),
    }
}

/// The key that `value`, a table such as `{ env = "OPENAI_API_KEY" }`, leads to.
pub(super) fn fetch(
    value: &Value<'_>,
    what: &str,
    read: Reader<'_>,
    notes: &mut Notes<'_>,
) -> Option<Secret> {
    let (source, at) = source(value, what, notes)?;
    let problem = match read(&source) {
        Ok(None) if matches!(source, KeySource::Env(_)) => format!("{source} is not set"),
        Ok(None) => format!("{source} does not exist"),
        Err(why) => format!("{source} cannot be read: {why}"),
        Ok(Some(text)) => match text.trim() {
            "" => format!("{source} is empty"),
            key if key.len() > MAX_KEY_BYTES => format!("{source} is longer than {MAX_KEY_BYTES} bytes"),
            key if !key.bytes().all(|b| b.is_ascii_graphic()) => {
                format!("{source} has a space, a line break or a character outside ASCII in it")
            }
            key => return Some(Secret::new(key.to_owned())),
        },
    };
    notes.add(&at, format!("{what}: {problem}"));
    None
}

fn source(
    value: &Value<'_>,
    what: &str,
    notes: &mut Notes<'_>,
) -> Option<(KeySource, std::ops::Range<usize>)> {
    if value.get_ref().is_str() {
        let text = "a key never stands in this file; name where it is: { env = \"…\" } or { file = \"/…\" }";
        notes.add(&value.span(), format!("{what}: {text}"));
        return None;
    }
    if !value.get_ref().is_table() {
        let found = kind(value.get_ref());
        notes.add(
            &value.span(),
            format!("{what} must be {{ env = \"…\" }} or {{ file = \"/…\" }}, not {found}"),
        );
        return None;
    }
    let section = Section::of(value, what.to_owned(), value.span(), notes)?;
    section.only(&["env", "file"], notes);
    match (section.has("env"), section.has("file")) {
        (true, false) => {
            let name = section.text("env", notes)?;
            if !is_variable(name) {
                let text = "`env` must be the name of a variable, of A-Z, 0-9 and `_`; the key itself never \
                            stands in this file";
                notes.add(&section.span_of("env"), format!("{what}: {text}"));
                return None;
            }
            Some((KeySource::Env(name.to_owned()), section.span_of("env")))
        }
        (false, true) => {
            let path = section.text("file", notes)?;
            if !Path::new(path).is_absolute() || path.contains('\0') {
                let text = "`file` must be a path that starts with `/`";
                notes.add(&section.span_of("file"), format!("{what}: {text}"));
                return None;
            }
            Some((KeySource::File(path.into()), section.span_of("file")))
        }
        (both, _) => {
            let count = if both { "only one of" } else { "either" };
            notes.add(&value.span(), format!("{what} must have {count} `env` and `file`"));
            None
        }
    }
}

/// Capitals only, for that is what such variables look like, and what most keys pasted in their place do not: the
/// name is shown when the variable is missing.
fn is_variable(name: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_';
    (1..=128).contains(&name.len())
        && name.bytes().all(allowed)
        && !name.starts_with(|c: char| c.is_ascii_digit())
}
