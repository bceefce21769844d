//! The codes of the jobs. Those of model calls (`TL2301` and so on) come through as they are.

use tasklane_runtime::TaskError;
use tasklane_runtime::contract::{Code, code};

/// The model's answer does not fit its schema, also after it was told what is wrong.
pub const MISFIT: Code = Code::new("TL2330");
/// The model's answer was cut off at its bound.
pub const CUT: Code = Code::new("TL2331");
/// The model does not want to answer.
pub const DECLINED: Code = Code::new("TL2332");
/// The job would take more model calls than one may.
pub const MANY_CALLS: Code = Code::new("TL2333");
/// Nobody says which model to ask.
pub const NO_MODEL: Code = Code::new("TL2334");
/// The model cannot read so much at once.
pub const NO_ROOM: Code = Code::new("TL2335");
/// There is no text in what was given.
pub const NO_TEXT: Code = Code::new("TL2336");
/// The model's answer is empty.
pub const EMPTY: Code = Code::new("TL3330");

/// A payload that fits the schema and makes no sense.
pub fn bad_payload(text: impl Into<String>) -> TaskError {
    TaskError::failed(code::WRONG_TYPE, text)
}

/// A fault of ours.
pub fn fault(text: impl Into<String>) -> TaskError {
    TaskError::failed(code::INTERNAL, text)
}
