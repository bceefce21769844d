//! From flags to a task, as `tasks.submit` takes it. Pure: files and clock come in.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use clap::Args;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tasklane_runtime::contract::submission::{self, Incoming, Limits};
use tasklane_runtime::contract::{code, json, streams, subjects};
use tasklane_runtime::domain::requirements::{self, Requirements};

use crate::error::CliError;
use crate::units::{self, When};

/// A task on the command line.
#[derive(Debug, Clone, Default, Args)]
pub struct TaskArgs {
    /// Task type, such as document_analysis; or @FILE with a whole task as JSON
    #[arg(value_name = "TYPE")]
    pub task_type: String,
    /// A document to upload, JSON, @FILE with JSON, or - for JSON from standard input
    pub payload: Option<String>,
    /// How urgent it is: critical, high, normal or low
    #[arg(long, short, value_parser = ["critical", "high", "normal", "low"], hide_possible_values = true)]
    pub priority: Option<String>,
    /// Whose task it is
    #[arg(long)]
    pub tenant: Option<String>,
    /// A label, found again in the result; repeatable
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = units::label)]
    pub labels: Vec<(String, String)>,
    /// A capability that the worker must have; repeatable
    #[arg(long = "requires", value_name = "CAPABILITY")]
    pub requires: Vec<String>,
    /// The worker type that should do it if it can
    #[arg(long, value_name = "WORKER_TYPE")]
    pub prefer: Option<String>,
    /// How long one attempt may take, such as 30s
    #[arg(long, value_name = "DURATION", value_parser = units::duration)]
    pub max_time: Option<Duration>,
    /// Memory that one attempt may use, such as 512MB
    #[arg(long, value_name = "SIZE", value_parser = units::megabytes)]
    pub memory: Option<u64>,
    /// How often it is tried before it is given up
    #[arg(long, value_name = "N")]
    pub max_attempts: Option<u32>,
    /// When it is too late: 10m (from now) or 2026-11-20T12:00:00Z
    #[arg(long, value_name = "WHEN", value_parser = units::when)]
    pub deadline: Option<When>,
    /// Not to be started before: 10m (from now) or 2026-11-20T12:00:00Z
    #[arg(long, value_name = "WHEN", value_parser = units::when)]
    pub not_before: Option<When>,
    /// The task's id, so that submitting it twice does no harm; without it a fresh one is made
    #[arg(long)]
    pub id: Option<String>,
}

/// A task as JSON says it. The payload stays as it was written.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TaskDocument {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    task_type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload_ref: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    priority: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    labels: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    created_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    requirements: Option<Requirements>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry: Option<Retry>,
    #[serde(skip_serializing_if = "Option::is_none")]
    not_before: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deadline: Option<String>,
}

#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Retry {
    max_attempts: u32,
}

/// A task that is ready to be submitted.
#[derive(Debug)]
pub struct Task {
    /// Its id.
    pub id: String,
    /// Its type, in snake_case.
    pub task_type: String,
    /// As it is sent.
    pub body: Bytes,
    document: TaskDocument,
}

impl TaskDocument {
    /// A task from a file.
    ///
    /// # Errors
    /// What is not a task, by the contract's codes.
    pub fn parse(text: &str) -> Result<Self, CliError> {
        serde_json::from_str(text).map_err(|e| json::refuse(&e).into())
    }

    /// Whether a payload is still to be given.
    pub fn has_payload(&self) -> bool {
        self.payload.is_some() || self.payload_ref.is_some()
    }

    /// Sets the payload.
    pub fn set_payload(&mut self, payload: Box<RawValue>) {
        self.payload = Some(payload);
        self.payload_ref = None;
    }

    /// Lays the flags over the document.
    pub fn lay(&mut self, args: &TaskArgs, now_us: i64) {
        let over = |slot: &mut Option<String>, given: Option<String>| {
            if given.is_some() {
                *slot = given;
            }
        };
        over(&mut self.id, args.id.clone());
        over(&mut self.priority, args.priority.clone());
        over(&mut self.tenant, args.tenant.clone());
        over(&mut self.deadline, args.deadline.and_then(|w| w.to_rfc3339(now_us)));
        over(&mut self.not_before, args.not_before.and_then(|w| w.to_rfc3339(now_us)));
        self.labels.extend(args.labels.iter().cloned());
        if let Some(max_attempts) = args.max_attempts {
            self.retry = Some(Retry { max_attempts });
        }
        let mut needs = self.requirements.take().unwrap_or_default();
        needs.required_capabilities.extend(args.requires.iter().cloned());
        over(&mut needs.preferred_worker_type, args.prefer.clone());
        if let Some(time) = args.max_time {
            needs.max_processing_time_ms = Some(u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
        }
        if args.memory.is_some() {
            needs.memory_requirement_mb = args.memory;
        }
        self.requirements = Some(needs).filter(|needs| *needs != Requirements::default());
    }

    /// Names the task type.
    pub fn of_type(task_type: &str) -> Self {
        Self { task_type: task_type.to_owned(), ..Self::default() }
    }

    /// Checks the task as the router will, as far as no configuration of the router is needed, so that a mistake is
    /// told at once and nothing is stored of it.
    ///
    /// # Errors
    /// The refusal that the router would give.
    pub fn ready(mut self, fresh_id: impl FnOnce() -> String) -> Result<Task, CliError> {
        let id = self.id.get_or_insert_with(fresh_id).clone();
        let body = self.to_bytes();
        let incoming = Incoming {
            subject: subjects::SUBMIT,
            header: &|_| None,
            body: &body,
            stream: streams::TASKS,
            sequence: 0,
            stored_at_us: 0,
        };
        match submission::read(&incoming, &lenient()) {
            Ok(read) => Ok(Task { id, task_type: read.task.task_type, body, document: self }),
            Err(rejected) => Err(rejected.refusal.into()),
        }
    }

    fn to_bytes(&self) -> Bytes {
        // Strings, numbers and JSON that was read before: this cannot fail.
        serde_json::to_vec(self).map(Bytes::from).unwrap_or_default()
    }
}

/// Bounds are the router's configuration, and its word; here only forms are checked.
fn lenient() -> Limits {
    Limits {
        max_body_bytes: usize::MAX,
        max_labels: usize::MAX,
        max_attempts: u32::MAX,
        requirements: requirements::Limits {
            max_capabilities: usize::MAX,
            max_processing_time_ms: u64::MAX,
            max_memory_mb: u64::MAX,
        },
        ..Limits::default()
    }
}

impl Task {
    /// Replaces the payload by a reference, and gives the payload's bytes. `None` where there is none to move.
    pub fn move_payload_aside(&mut self, reference: String) -> Option<Bytes> {
        let payload = self.document.payload.take()?;
        self.document.payload_ref = Some(reference);
        self.body = self.document.to_bytes();
        Some(Bytes::from(String::from(Box::<str>::from(payload)).into_bytes()))
    }
}

/// No payload where one is due.
pub fn no_payload() -> CliError {
    CliError::usage(code::MISSING_FIELD, "the task has no payload").remedy(
        "give a file, JSON in quotes, @FILE for a file that holds the payload, or - for standard input",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(text: &str) -> Box<RawValue> {
        RawValue::from_string(text.to_owned()).unwrap()
    }

    fn args() -> TaskArgs {
        TaskArgs {
            priority: Some("high".into()),
            tenant: Some("acme".into()),
            labels: vec![("paper".into(), "budget".into())],
            requires: vec!["TextProcessing".into()],
            prefer: Some("document_processor".into()),
            max_time: Some(Duration::from_secs(30)),
            memory: Some(512),
            max_attempts: Some(2),
            deadline: Some(When::In(Duration::from_secs(600))),
            ..TaskArgs::default()
        }
    }

    #[test]
    fn flags_become_a_task() {
        let mut document = TaskDocument::of_type("DocumentAnalysis");
        document.lay(&args(), 1_000_000);
        document.set_payload(raw("{\"b\": 1.50, \"a\": 12345678901234567890123}"));
        let task = document.ready(|| "id-1".into()).unwrap();
        assert_eq!((task.id.as_str(), task.task_type.as_str()), ("id-1", "document_analysis"));
        assert_eq!(
            String::from_utf8(task.body.to_vec()).unwrap(),
            concat!(
                r#"{"id":"id-1","task_type":"DocumentAnalysis","payload":{"b": 1.50, "a": 12345678901234567890123},"#,
                r#""priority":"high","tenant":"acme","labels":{"paper":"budget"},"requirements":"#,
                r#"{"required_capabilities":["TextProcessing"],"preferred_worker_type":"document_processor","#,
                r#""max_processing_time_ms":30000,"memory_requirement_mb":512},"retry":{"max_attempts":2},"#,
                r#""deadline":"1970-01-01T00:10:01Z"}"#
            )
        );
    }

    #[test]
    fn flags_lie_over_a_tasks_file() {
        let file = r#"{"task_type":"echo","payload":{"x":1},"priority":"low","labels":{"a":"b"},
                       "requirements":{"memory_requirement_mb":64}}"#;
        let mut document = TaskDocument::parse(file).unwrap();
        assert!(document.has_payload());
        document.lay(&args(), 0);
        let task = document.ready(|| "id-2".into()).unwrap();
        let sent: serde_json::Value = serde_json::from_slice(&task.body).unwrap();
        assert_eq!(sent["priority"], "high");
        assert_eq!(sent["labels"], serde_json::json!({"a": "b", "paper": "budget"}));
        assert_eq!(sent["requirements"]["memory_requirement_mb"], 512);
        assert_eq!(sent["payload"], serde_json::json!({"x": 1}));
    }

    #[test]
    fn mistakes_are_told_before_anything_is_sent() {
        let said = |document: TaskDocument| document.ready(|| "id".into()).unwrap_err().to_string();
        let mut of = TaskDocument::of_type("echo!");
        of.set_payload(raw("1"));
        assert!(said(of).starts_with("TL1008 `task_type`: task type `echo!` has '!' at position 5"));
        assert!(said(TaskDocument::of_type("echo")).starts_with("TL1004 the task has no `payload`"));
        let mut late = TaskDocument::of_type("echo");
        late.set_payload(raw("1"));
        let moments = TaskArgs {
            deadline: Some(When::In(Duration::from_secs(1))),
            not_before: Some(When::In(Duration::from_secs(2))),
            ..TaskArgs::default()
        };
        late.lay(&moments, 1_000_000);
        assert!(said(late).starts_with("TL1013 `not_before` is not before `deadline`"));
        let error = TaskDocument::parse(r#"{"task_type":"echo","payload":1,"prio":"low"}"#).unwrap_err();
        assert!(
            error.to_string().starts_with("TL1003 the task cannot be read: unknown field `prio`"),
            "{error}"
        );
    }

    #[test]
    fn a_payload_moves_aside_as_it_was_written() {
        let mut document = TaskDocument::of_type("echo");
        document.set_payload(raw("{ \"x\" : 1 }"));
        let mut task = document.ready(|| "id-3".into()).unwrap();
        let payload = task.move_payload_aside("obj://payloads/payload-id-3".into()).unwrap();
        assert_eq!(payload, "{ \"x\" : 1 }");
        assert_eq!(
            task.body,
            r#"{"id":"id-3","task_type":"echo","payload_ref":"obj://payloads/payload-id-3"}"#.as_bytes()
        );
        assert!(task.move_payload_aside("again".into()).is_none());
    }
}
