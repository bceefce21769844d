//! The wire: what crosses between processes, in both encodings, and where it lies. Everything here is data and pure
//! conversion; `shared/bus` moves it.

pub mod code;
pub mod headers;
pub mod id;
pub mod json;
pub mod permissions;
pub mod refusal;
pub mod story;
pub mod streams;
pub mod subjects;
pub mod submission;
pub mod time;

/// The messages of `proto/tasklane/v1`, compiled.
#[allow(missing_docs, clippy::all)]
pub mod v1 {
    include!(concat!(env!("OUT_DIR"), "/tasklane.v1.rs"));
}

pub use code::Code;
pub use prost::Message;
pub use refusal::Refusal;
