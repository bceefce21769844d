//! The forms in which a payload stands on the command line, and reading them.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use serde_json::value::RawValue;
use tasklane_runtime::contract::code;

use crate::error::CliError;

/// What the argument stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Form {
    /// A document: it goes to the object store, and the payload names it.
    Document(PathBuf),
    /// JSON, as it stands.
    Json(String),
    /// The file holds the payload.
    In(PathBuf),
    /// Standard input holds the payload.
    Stdin,
}

/// Decides what an argument stands for. `is_file` says whether a path is a file.
///
/// # Errors
/// Neither a file nor JSON.
pub fn form(argument: &str, is_file: impl Fn(&Path) -> bool) -> Result<Form, CliError> {
    if argument == "-" {
        return Ok(Form::Stdin);
    }
    if let Some(path) = argument.strip_prefix('@') {
        return Ok(Form::In(path.into()));
    }
    if is_file(Path::new(argument)) {
        return Ok(Form::Document(argument.into()));
    }
    match serde_json::from_str::<&RawValue>(argument) {
        Ok(_) => Ok(Form::Json(argument.to_owned())),
        Err(e) if argument.trim_start().starts_with(['{', '[', '"']) => {
            Err(CliError::usage(code::NOT_JSON, format!("the payload is not JSON: {e}")))
        }
        Err(_) => Err(CliError::usage(
            code::NOT_JSON,
            format!("the payload `{argument}` is neither a file that exists nor JSON"),
        )
        .remedy(
            "give a file, JSON in quotes, @FILE for a file that holds the payload, or - for standard input",
        )),
    }
}

/// Reads JSON from a file or from standard input.
///
/// # Errors
/// What cannot be read, or is not JSON.
pub fn read(from: &Form) -> Result<Box<RawValue>, CliError> {
    let (place, bytes) = match from {
        Form::Json(text) => ("the payload".to_owned(), Ok(text.clone().into_bytes())),
        Form::Stdin => {
            let mut bytes = Vec::new();
            let read = std::io::stdin().lock().read_to_end(&mut bytes);
            ("standard input".to_owned(), read.map(|_| bytes))
        }
        Form::In(path) | Form::Document(path) => (path.display().to_string(), std::fs::read(path)),
    };
    let bytes = bytes.map_err(|e| CliError::usage(code::NOT_JSON, format!("{place} cannot be read: {e}")))?;
    let text = String::from_utf8(bytes)
        .map_err(|e| CliError::usage(code::NOT_UTF8, format!("{place} is not UTF-8: {e}")))?;
    let not_json = |e| CliError::usage(code::NOT_JSON, format!("{place} is not JSON: {e}"));
    serde_json::from_str(&text).map_err(not_json)
}

/// The name under which a document is stored: the same bytes under the same file name are the same object.
pub fn document_name(path: &Path, sha256: &[u8]) -> String {
    let prefix: String = sha256.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    let plain = |c: char| if c.is_alphanumeric() || matches!(c, '.' | '-' | '_') { c } else { '_' };
    // Object names may have 1024 bytes; a path component has 255 at most, which may grow when it is not UTF-8.
    let name: String = name.chars().map(plain).take(200).collect();
    format!("{prefix}-{name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(argument: &str) -> Result<Form, CliError> {
        form(argument, |path| path == Path::new("report.pdf") || path == Path::new("5"))
    }

    #[test]
    fn an_argument_says_what_it_is() {
        assert_eq!(of("report.pdf").unwrap(), Form::Document("report.pdf".into()));
        assert_eq!(of("5").unwrap(), Form::Document("5".into()));
        assert_eq!(of("{\"a\": 1}").unwrap(), Form::Json("{\"a\": 1}".into()));
        assert_eq!(of("42").unwrap(), Form::Json("42".into()));
        assert_eq!(of("@task.json").unwrap(), Form::In("task.json".into()));
        assert_eq!(of("-").unwrap(), Form::Stdin);
    }

    #[test]
    fn what_is_nothing_of_this_is_told_how() {
        assert!(
            of("{\"a\": }")
                .unwrap_err()
                .to_string()
                .starts_with("TL1001 the payload is not JSON: expected value")
        );
        assert!(of("reprot.pdf").unwrap_err().to_string().contains("neither a file that exists nor JSON"));
    }

    #[test]
    fn a_document_is_named_by_content_and_file() {
        let name = document_name(Path::new("/a b/Q3 report (final).pdf"), &[0xab; 32]);
        assert_eq!(name, "abababababababab-Q3_report__final_.pdf");
        assert_ne!(name, document_name(Path::new("Q3 report (final).pdf"), &[0xac; 32]));
        let reference = format!("obj://documents/{}", document_name(Path::new("größe.txt"), &[1; 32]));
        assert!(tasklane_runtime::contract::submission::split_reference(&reference).is_some());
    }
}
