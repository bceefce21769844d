//! What became of the documents of an ingestion, as it is told at the end. Pure.

use std::time::Duration;

use serde_json::{Value, json};
use tasklane_runtime::contract::code;

use super::document::{Ended, Failure};
use super::sources::Source;
use crate::error::{CliError, Exit};
use crate::format::table::Table;
use crate::format::{Paint, count, ms};

/// No format that the document service knows, and nothing in it: in a folder that is no failure.
const NO_DOCUMENT: [&str; 2] = ["TL2101", "TL2100"];
/// So many failures because nobody is there, one after the other, end the run.
const HOPELESS: usize = 8;

/// What became of the documents.
pub struct Tally {
    collection: String,
    model: String,
    found: usize,
    unchanged: usize,
    named: usize,
    indexed: usize,
    chunks: usize,
    empty: usize,
    /// Files in folders that are no documents.
    left_out: Vec<String>,
    failed: Vec<Failed>,
    away: usize,
    /// Ctrl-C.
    pub interrupted: bool,
}

struct Failed {
    source: String,
    stage: &'static str,
    code: String,
    message: String,
    trace_id: String,
}

impl Tally {
    /// Of so many documents.
    pub fn new(collection: &str, model: &str, found: usize) -> Self {
        Self {
            collection: collection.to_owned(),
            model: model.to_owned(),
            found,
            unchanged: 0,
            named: 0,
            indexed: 0,
            chunks: 0,
            empty: 0,
            left_out: Vec::new(),
            failed: Vec::new(),
            away: 0,
            interrupted: false,
        }
    }

    /// A document ended.
    pub fn add(&mut self, source: &Source, ended: Result<Ended, Failure>) {
        self.away = match &ended {
            Err(failure) if failure.error.exit() == Exit::Unreachable => self.away + 1,
            _ => 0,
        };
        match ended {
            Ok(Ended::Unchanged) => self.unchanged += 1,
            Ok(Ended::Named) => self.named += 1,
            Ok(Ended::Empty) => self.empty += 1,
            Ok(Ended::Indexed(chunks)) => {
                self.indexed += 1;
                self.chunks += chunks;
            }
            Err(failure) => self.fail(source, failure),
        }
    }

    fn fail(&mut self, source: &Source, failure: Failure) {
        let (code, message) = match failure.error {
            CliError::Told { code, message, .. } => (code, message),
            e @ CliError::OutputClosed => (code::INTERNAL.to_string(), e.to_string()),
        };
        if !source.asked_for && NO_DOCUMENT.contains(&code.as_str()) {
            self.left_out.push(source.name.clone());
            return;
        }
        let (source, stage, trace_id) = (source.name.clone(), failure.stage, failure.trace_id);
        self.failed.push(Failed { source, stage, code, message, trace_id });
    }

    /// Whether NATS or the services are away for good: the rest would fail like the last ones.
    pub fn hopeless(&self) -> bool {
        self.away >= HOPELESS
    }

    /// How the command ends.
    pub fn exit(&self) -> Exit {
        match self {
            Self { interrupted: true, .. } => Exit::Interrupted,
            _ if self.hopeless() => Exit::Unreachable,
            _ if self.failed.is_empty() => Exit::Succeeded,
            _ => Exit::Failed,
        }
    }

    /// What failed, one JSON object a line.
    pub fn failures_file(&self) -> String {
        self.failed.iter().map(|failed| format!("{}\n", failed.json())).collect()
    }

    fn ended(&self) -> usize {
        self.unchanged + self.named + self.indexed + self.empty + self.left_out.len() + self.failed.len()
    }

    /// For programs.
    pub fn json(&self, took: Duration) -> Value {
        json!({
            "collection": self.collection,
            "model": self.model,
            "documents": {
                "found": self.found,
                "indexed": self.indexed,
                "unchanged": self.unchanged,
                "named": self.named,
                "empty": self.empty,
                "left_out": self.left_out.len(),
                "failed": self.failed.len(),
                "not_reached": self.found - self.ended(),
            },
            "chunks": self.chunks,
            "seconds": took.as_secs_f64(),
            "interrupted": self.interrupted,
            "left_out": self.left_out,
            "failures": self.failed.iter().map(Failed::json).collect::<Vec<_>>(),
        })
    }

    /// For people.
    pub fn text(&self, took: Duration, paint: Paint) -> String {
        let mut parts = Vec::new();
        if self.indexed > 0 {
            parts.push(format!("{} indexed ({})", self.indexed, count(self.chunks as u64, "chunk")));
        }
        let others = [
            (self.unchanged, "unchanged"),
            (self.named, "with a content that was there"),
            (self.empty, "without text"),
            (self.left_out.len(), "left out, being no documents"),
            (self.failed.len(), "failed"),
            (self.found - self.ended(), "not reached"),
        ];
        parts.extend(others.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")));
        if parts.is_empty() {
            parts.push("nothing to do".to_owned());
        }
        let (of, took) = (count(self.found as u64, "document"), ms(took.as_secs_f64() * 1000.0));
        let mut text = format!("{of} in {took}: {}\n", parts.join(", "));
        if !self.failed.is_empty() {
            let mut table = Table::new(&["FAILED", "AT", "CODE", "WHY"]);
            for failed in &self.failed {
                table.row([&failed.source, failed.stage, &failed.code, &failed.message]);
            }
            text += &table.render(paint);
        }
        if self.interrupted || !self.failed.is_empty() {
            text += &paint.dim("the same command again does what is missing");
            text.push('\n');
        }
        text
    }
}

impl Failed {
    fn json(&self) -> Value {
        json!({"source": self.source, "stage": self.stage, "code": self.code, "message": self.message, "trace_id": self.trace_id})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(code: &str, exit: Exit) -> Result<Ended, Failure> {
        let error = CliError::Told { code: code.into(), message: "no".into(), remedy: String::new(), exit };
        Err(Failure { stage: "cut", error, trace_id: "t".into() })
    }

    fn source(name: &str, asked_for: bool) -> Source {
        Source { name: name.into(), file: None, asked_for }
    }

    #[test]
    fn it_is_told_what_became_of_each() {
        let mut tally = Tally::new("docs", "minilm@1", 7);
        tally.add(&source("/a", false), Ok(Ended::Indexed(3)));
        tally.add(&source("/b", false), Ok(Ended::Unchanged));
        tally.add(&source("/c.png", false), failure("TL2101", Exit::Failed));
        assert_eq!(tally.exit(), Exit::Succeeded);
        tally.add(&source("/d.png", true), failure("TL2101", Exit::Failed));
        tally.add(&source("/e", false), Ok(Ended::Named));
        assert_eq!(tally.exit(), Exit::Failed);
        let said = tally.text(Duration::from_millis(1500), Paint { on: false });
        let expected = "7 documents in 1.5 s: 1 indexed (3 chunks), 1 unchanged, 1 with a content that was there, \
                        1 left out, being no documents, 1 failed, 2 not reached\n\
                        FAILED  AT   CODE    WHY\n/d.png  cut  TL2101  no\n\
                        the same command again does what is missing\n";
        assert_eq!(said, expected);
        let told = tally.json(Duration::ZERO);
        assert_eq!(
            (&told["documents"]["failed"], &told["failures"][0]["source"]),
            (&1.into(), &"/d.png".into())
        );
        assert_eq!(tally.failures_file().lines().count(), 1);
        tally.interrupted = true;
        assert_eq!(tally.exit(), Exit::Interrupted);
    }

    #[test]
    fn a_run_ends_when_nobody_is_there_any_more() {
        let mut tally = Tally::new("docs", "minilm@1", 99);
        for n in 0..HOPELESS {
            assert!(!tally.hopeless(), "{n}");
            tally.add(&source("/a", false), failure("TL9002", Exit::Unreachable));
        }
        assert_eq!((tally.hopeless(), tally.exit()), (true, Exit::Unreachable));
        tally.add(&source("/a", false), Ok(Ended::Unchanged));
        assert!(!tally.hopeless());
    }
}
