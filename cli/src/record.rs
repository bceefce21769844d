//! A result as the command reads it: the JSON as it was stored, and the parts that are shown. Pure.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;
use tasklane_runtime::bus::Headers;
use tasklane_runtime::contract::{Message as _, code, headers, json, v1};

use crate::error::{CliError, Exit};
use crate::format::one_line;

/// A terminal record: its text, and its parts.
#[derive(Debug)]
pub struct Stored {
    /// The JSON as it was stored.
    pub text: String,
    /// Its parts.
    pub record: Record,
}

/// The parts of a result.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Record {
    /// Whose result it is.
    pub task_id: String,
    /// Of which type.
    pub task_type: String,
    /// `succeeded`, `failed`, `cancelled` or `expired`.
    pub status: String,
    /// What the handler returned, as it was written.
    pub result: Option<Box<RawValue>>,
    /// Of the result, where it is not JSON.
    pub content_type: String,
    /// Where the result lies, if it is past the message size.
    pub result_ref: String,
    /// Why it failed.
    pub error: Option<Failure>,
    /// Every delivery to a worker.
    pub attempts: Vec<Attempt>,
    /// The router's last decision.
    pub route: Option<Route>,
    /// When things happened.
    pub timings: Option<Timings>,
    /// Of the trace.
    pub trace_id: String,
}

/// Why a task or an attempt failed.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Failure {
    /// `TLxxxx`.
    pub code: String,
    /// For people.
    pub message: String,
}

/// One delivery to a worker.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Attempt {
    /// From 1.
    pub n: u32,
    /// Who had it.
    pub worker: String,
    /// How long, in milliseconds.
    pub duration_ms: f64,
    /// How it ended.
    pub outcome: String,
    /// Why.
    pub error: Option<Failure>,
}

/// The router's decision.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Route {
    /// The chosen pool; `_` where nobody can do it.
    pub pool: String,
    /// Its score.
    pub score: f64,
    /// Why it was chosen.
    pub reason: String,
    /// All pools that were looked at.
    pub candidates: Vec<Candidate>,
}

/// A pool that was looked at.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Candidate {
    /// Its name.
    pub pool: String,
    /// Its score.
    pub score: f64,
    /// Whether it may have the task.
    pub eligible: bool,
    /// Why.
    pub why: String,
}

/// When things happened.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Timings {
    /// Between routing and the last attempt's start.
    pub queue_wait_ms: f64,
    /// The last attempt's duration.
    pub processing_ms: f64,
}

impl Stored {
    /// Reads a stored result in either encoding.
    ///
    /// # Errors
    /// What is no result.
    pub fn decode(message: &Headers, body: &Bytes) -> Result<Self, CliError> {
        let unreadable = |e: String| {
            CliError::new(code::UNREADABLE, Exit::Failed, format!("the stored result cannot be read: {e}"))
        };
        let text = if headers::is_protobuf(message.get(headers::CONTENT_TYPE).unwrap_or_default()) {
            let result = v1::TaskResult::decode(body.clone()).map_err(|e| unreadable(e.to_string()))?;
            json::encode_result(&result)
        } else {
            body.to_vec()
        };
        let text = String::from_utf8(text).map_err(|e| unreadable(e.to_string()))?;
        let record = serde_json::from_str(&text).map_err(|e| unreadable(e.to_string()))?;
        Ok(Self { text, record })
    }
}

impl Record {
    /// How the command ends with this result.
    pub fn exit(&self) -> Exit {
        let refused =
            self.error.as_ref().is_some_and(|e| e.code.starts_with("TL1")) && self.attempts.is_empty();
        match self.status.as_str() {
            "succeeded" => Exit::Succeeded,
            "cancelled" => Exit::Cancelled,
            "expired" => Exit::Expired,
            _ if refused => Exit::Usage,
            _ => Exit::Failed,
        }
    }

    /// Why a command that needs its result cannot go on; `None` where it succeeded.
    pub fn failure(&self) -> Option<CliError> {
        if self.status == "succeeded" {
            return None;
        }
        let (code, message) = match &self.error {
            Some(e) => (e.code.clone(), one_line(&e.message)),
            None => (code::FAILED.to_string(), format!("the task was {}", one_line(&self.status))),
        };
        Some(CliError::Told { code, message, remedy: String::new(), exit: self.exit() })
    }

    /// The bytes that the handler returned: JSON as it stands, else decoded.
    ///
    /// # Errors
    /// What says that it is base64 and is not.
    pub fn payload(&self) -> Result<Option<Bytes>, CliError> {
        let Some(raw) = &self.result else { return Ok(None) };
        if headers::is_json(&self.content_type) {
            return Ok(Some(Bytes::copy_from_slice(raw.get().as_bytes())));
        }
        let unreadable = |e: String| {
            CliError::new(code::UNREADABLE, Exit::Failed, format!("the result is not base64: {e}"))
        };
        let text: String = serde_json::from_str(raw.get()).map_err(|e| unreadable(e.to_string()))?;
        BASE64.decode(text).map(|bytes| Some(bytes.into())).map_err(|e| unreadable(e.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(json: &str) -> Record {
        Stored::decode(&Headers::new(), &Bytes::copy_from_slice(json.as_bytes())).unwrap().record
    }

    #[test]
    fn a_status_is_an_exit_code() {
        assert_eq!(of(r#"{"status":"succeeded"}"#).exit(), Exit::Succeeded);
        assert_eq!(of(r#"{"status":"failed","error":{"code":"TL2001"}}"#).exit(), Exit::Failed);
        assert_eq!(of(r#"{"status":"failed","error":{"code":"TL1010"}}"#).exit(), Exit::Usage);
        let by_a_worker = r#"{"status":"failed","error":{"code":"TL1014"},"attempts":[{"n":1}]}"#;
        assert_eq!(of(by_a_worker).exit(), Exit::Failed);
        assert_eq!(of(r#"{"status":"cancelled"}"#).exit(), Exit::Cancelled);
        assert_eq!(of(r#"{"status":"expired"}"#).exit(), Exit::Expired);
    }

    #[test]
    fn protobuf_is_read_as_json() {
        let result = v1::TaskResult {
            task_id: "t".into(),
            status: v1::Status::Succeeded.into(),
            result: Bytes::from_static(&[0, 255]),
            content_type: "image/png".into(),
            ..v1::TaskResult::default()
        };
        let headers = Headers::new().with(headers::CONTENT_TYPE, headers::PROTOBUF);
        let stored = Stored::decode(&headers, &result.encode_to_vec().into()).unwrap();
        assert_eq!(stored.record.task_id, "t");
        assert_eq!(stored.record.payload().unwrap().unwrap(), Bytes::from_static(&[0, 255]));
    }

    #[test]
    fn json_is_kept_as_it_was_written() {
        let record = of(r#"{"status":"succeeded","result":{"b":1.50, "a":1}}"#);
        assert_eq!(record.payload().unwrap().unwrap(), r#"{"b":1.50, "a":1}"#.as_bytes());
    }

    #[test]
    fn rubbish_is_an_error() {
        let error = Stored::decode(&Headers::new(), &Bytes::from_static(b"\xff")).unwrap_err();
        assert!(error.to_string().starts_with("TL9003 the stored result cannot be read"));
    }
}
