//! The ways that are measured: the product's, and two floors that move the same bytes and decide nothing.

use bytes::Bytes;
use tasklane_runtime::bus::{Headers, Outgoing};
use tasklane_runtime::contract::{headers, streams, subjects};

use crate::marks::{self, Marks};

/// The task type that is measured: the platform's own cost is all of it.
const TASK_TYPE: &str = "echo";

/// A way from submit to result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Path {
    /// Through the router and a worker, as users submit.
    Product,
    /// Three stored hops with the headers that the product's guarantees need.
    Guarded,
    /// Three stored hops and nothing else.
    Bare,
}

impl Path {
    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Product => "product",
            Self::Guarded => "floor, with headers",
            Self::Bare => "floor, bare",
        }
    }

    /// Its streams: submitted, work, results.
    pub fn streams(self) -> [&'static str; 3] {
        match self {
            Self::Product => [streams::TASKS, streams::WORK, streams::RESULTS],
            Self::Guarded => ["FLOOR_GUARDED_TASKS", "FLOOR_GUARDED_WORK", "FLOOR_GUARDED_RESULTS"],
            Self::Bare => ["FLOOR_BARE_TASKS", "FLOOR_BARE_WORK", "FLOOR_BARE_RESULTS"],
        }
    }

    /// Where a task is submitted.
    pub fn submit(self) -> String {
        match self {
            Self::Product => format!("{}{TASK_TYPE}", subjects::SUBMIT_PREFIX),
            Self::Guarded => "floor.guarded.submit".into(),
            Self::Bare => "floor.bare.submit".into(),
        }
    }

    /// Prefix of the results' subjects.
    pub fn results(self) -> &'static str {
        match self {
            Self::Product => subjects::RESULT_PREFIX,
            Self::Guarded => "floor.guarded.result.",
            Self::Bare => "floor.bare.result.",
        }
    }

    /// A submission.
    pub fn submission(self, marks: &Marks, n: usize) -> Outgoing {
        let out = Outgoing::new(self.submit(), marks::payload(n));
        if self == Self::Bare {
            return out;
        }
        out.header(headers::MSG_ID, &marks.id(n)).header(headers::TRACEPARENT, &marks.traceparent(n))
    }

    /// The task that a result belongs to; `None` for one that is none of this round's.
    pub fn number(self, marks: &Marks, subject: &str, body: &[u8]) -> Option<usize> {
        match self {
            Self::Product | Self::Guarded => marks.number_in_id(subject.strip_prefix(self.results())?),
            Self::Bare => marks::number_in_payload(body),
        }
    }

    /// Whether a result says that the task was done, and at the first attempt: nobody dies here, so a second one means
    /// that a message was lost on its way.
    pub fn is_success(self, body: &Bytes) -> bool {
        match self {
            Self::Product => {
                // The record's third field; the payload comes later, and the attempts after it.
                let head = body.get(..STATUS_WITHIN).unwrap_or(body);
                let story = body.get(marks::PAYLOAD..).unwrap_or_default();
                holds(head, br#""status":"succeeded""#) && !holds(story, br#""outcome":"lost""#)
            }
            Self::Guarded | Self::Bare => body.len() == marks::PAYLOAD,
        }
    }

    /// The headers of a floor's next hop, made of those that came.
    pub fn next_headers(self, id: Option<&str>, traceparent: Option<&str>, work: bool) -> Headers {
        let mut next = Headers::new();
        if let (Some(id), true) = (id, work) {
            next.set(headers::MSG_ID, id);
        }
        if let Some(traceparent) = traceparent {
            next.set(headers::TRACEPARENT, traceparent);
        }
        next
    }
}

/// Bytes of a record's head that hold its status.
const STATUS_WITHIN: usize = 160;

fn holds(text: &[u8], what: &[u8]) -> bool {
    text.windows(what.len()).any(|at| at == what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_first_success_counts() {
        let marks = Marks::fresh(0);
        let record = |status: &str, outcome: &str| {
            let payload = String::from_utf8(marks::payload(1).to_vec()).unwrap();
            let id = marks.id(1);
            let attempts = format!(r#"[{{"n":1,"outcome":"{outcome}"}}]"#);
            Bytes::from(format!(
                r#"{{"task_id":"{id}","task_type":"echo","status":"{status}","result":{payload},"attempts":{attempts}}}"#
            ))
        };
        assert!(Path::Product.is_success(&record("succeeded", "succeeded")));
        assert!(!Path::Product.is_success(&record("failed", "failed")));
        assert!(!Path::Product.is_success(&record("succeeded", "lost")), "it came a second time");
    }

    #[test]
    fn every_way_finds_the_number_of_its_result() {
        let marks = Marks::fresh(0);
        for path in [Path::Product, Path::Guarded, Path::Bare] {
            let subject = format!("{}{}", path.results(), marks.id(7));
            assert_eq!(path.number(&marks, &subject, &marks::payload(7)), Some(7));
            assert_eq!(path.submission(&marks, 7).subject, path.submit());
        }
    }
}
