//! Stable error codes. Each has a page under `docs/errors/`; a check in CI holds the two together.

use std::fmt;

/// A stable error code such as `TL1003`. Services add their own in the ranges that the design gives:
/// TL1xxx the submission is wrong, TL2xxx failed for good, TL3xxx may be tried again, TL4xxx nobody can do it,
/// TL9xxx ours.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Code(&'static str);

impl Code {
    /// A code from its text. `text` must be `TL` and four digits; this is checked where the constant is compiled.
    pub const fn new(text: &'static str) -> Self {
        let b = text.as_bytes();
        assert!(b.len() == 6 && b[0] == b'T' && b[1] == b'L', "a code is TL and four digits");
        let mut i = 2;
        while i < 6 {
            assert!(b[i].is_ascii_digit(), "a code is TL and four digits");
            i += 1;
        }
        Self(text)
    }

    /// The code as it is written everywhere.
    pub const fn as_str(self) -> &'static str {
        self.0
    }

    /// TL3xxx: the same task may succeed when it is tried again.
    pub const fn is_retriable(self) -> bool {
        self.0.as_bytes()[2] == b'3'
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// The body is not JSON.
pub const NOT_JSON: Code = Code::new("TL1001");
/// A field has the wrong type or an impossible value.
pub const WRONG_TYPE: Code = Code::new("TL1002");
/// A field that the contract does not know.
pub const UNKNOWN_FIELD: Code = Code::new("TL1003");
/// A required field is missing.
pub const MISSING_FIELD: Code = Code::new("TL1004");
/// The body is larger than the edge admits.
pub const TOO_LARGE: Code = Code::new("TL1005");
/// The body is not UTF-8.
pub const NOT_UTF8: Code = Code::new("TL1006");
/// The body is nested deeper than the edge admits.
pub const TOO_DEEP: Code = Code::new("TL1007");
/// A name (task type, capability, worker type, tenant) cannot be used in a subject.
pub const BAD_NAME: Code = Code::new("TL1008");
/// The requirements contradict their limits.
pub const BAD_REQUIREMENTS: Code = Code::new("TL1009");
/// The payload does not fit the schema its workers announce.
pub const SCHEMA: Code = Code::new("TL1010");
/// The body says that it is protobuf and is not.
pub const NOT_PROTOBUF: Code = Code::new("TL1011");
/// The task id cannot be used.
pub const BAD_ID: Code = Code::new("TL1012");
/// A time (deadline, not_before) cannot be used.
pub const BAD_TIME: Code = Code::new("TL1013");
/// A payload reference cannot be used.
pub const BAD_REFERENCE: Code = Code::new("TL1014");
/// Where the result shall go is no place for it.
pub const BAD_REPLY: Code = Code::new("TL1015");
/// A request to `api.>` cannot be understood.
pub const BAD_REQUEST: Code = Code::new("TL1020");
/// There is no such task, result or dead letter.
pub const NOT_FOUND: Code = Code::new("TL1021");

/// The handler failed for good.
pub const FAILED: Code = Code::new("TL2001");
/// Every attempt failed.
pub const EXHAUSTED: Code = Code::new("TL2002");
/// Workers died with the task in hand, as often as it may be tried.
pub const KILLED_WORKERS: Code = Code::new("TL2003");
/// Cancelled on request.
pub const CANCELLED: Code = Code::new("TL2010");
/// The deadline passed before the task was done.
pub const EXPIRED: Code = Code::new("TL2011");

/// The handler asked to be tried again.
pub const RETRY: Code = Code::new("TL3001");
/// The attempt took longer than its max processing time.
pub const TIMED_OUT: Code = Code::new("TL3002");
/// The handler panicked.
pub const PANICKED: Code = Code::new("TL3003");
/// The payload in the object store could not be read now.
pub const PAYLOAD_UNREADABLE: Code = Code::new("TL3005");

/// No pool has the capabilities.
pub const NO_CAPABILITY: Code = Code::new("TL4001");
/// No worker serves the task type.
pub const UNKNOWN_TASK_TYPE: Code = Code::new("TL4002");
/// The pools that could do it are down or paused.
pub const POOLS_DOWN: Code = Code::new("TL4003");
/// No pool has the memory.
pub const TOO_LITTLE_MEMORY: Code = Code::new("TL4004");

/// A fault of Tasklane's own.
pub const INTERNAL: Code = Code::new("TL9001");
/// NATS cannot be reached or does not answer.
pub const NATS: Code = Code::new("TL9002");
/// A message of ours on an internal subject cannot be read.
pub const UNREADABLE: Code = Code::new("TL9003");
/// The configuration is wrong.
pub const CONFIG: Code = Code::new("TL9004");
