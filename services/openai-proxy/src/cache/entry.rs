//! An answer as it is kept, in memory and in the object store. Pure.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::answers::Used;

/// The layout in the object store; what has another is not read.
const VERSION: u8 = 1;

/// An answer that was good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// When it came, in milliseconds since the epoch.
    pub at_ms: u64,
    /// The model that gave it, by its name in the file.
    pub model: String,
    /// Its `content-type`.
    pub content_type: String,
    /// What it used and cost when it was made; not known of a stream.
    pub used: Option<Used>,
    /// JSON, or the events of a stream as they were passed on.
    pub body: Bytes,
}

#[derive(Serialize, Deserialize)]
struct Head {
    v: u8,
    at_ms: u64,
    model: String,
    content_type: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    used: Option<Used>,
}

impl Entry {
    /// Whether it may still be given out.
    pub fn is_fresh(&self, now_ms: u64, ttl_ms: u64) -> bool {
        now_ms.saturating_sub(self.at_ms) < ttl_ms
    }

    /// Bytes that it takes in memory, about.
    pub fn size(&self) -> u32 {
        u32::try_from(self.body.len() + self.model.len() + self.content_type.len() + 160).unwrap_or(u32::MAX)
    }

    /// A line of JSON, then the body.
    pub fn encode(&self) -> Vec<u8> {
        let head = Head {
            v: VERSION,
            at_ms: self.at_ms,
            model: self.model.clone(),
            content_type: self.content_type.clone(),
            used: self.used,
        };
        // Texts and numbers alone cannot fail to serialise.
        let mut out = serde_json::to_vec(&head).unwrap_or_default();
        out.push(b'\n');
        out.extend_from_slice(&self.body);
        out
    }

    /// Reads it back; `None` for anything else.
    pub fn decode(bytes: &Bytes) -> Option<Self> {
        let end = bytes.iter().position(|b| *b == b'\n')?;
        let head: Head =
            serde_json::from_slice(&bytes[..end]).ok().filter(|head: &Head| head.v == VERSION)?;
        let body = bytes.slice(end + 1..);
        let Head { at_ms, model, content_type, used, .. } = head;
        Some(Self { at_ms, model, content_type, used, body })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_kept_is_what_was_there(at_ms in any::<u64>(), model in ".{0,9}", used in any::<Option<u64>>(), body in prop::collection::vec(any::<u8>(), 0..99)) {
            let used = used.map(|n| Used { input: n, output: 1, nano_usd: n / 2 });
            let entry = Entry { at_ms, model, content_type: "application/json".into(), used, body: body.into() };
            prop_assert_eq!(Entry::decode(&entry.encode().into()), Some(entry));
        }

        #[test]
        fn anything_else_is_nothing(bytes in prop::collection::vec(any::<u8>(), 0..99)) {
            prop_assert_eq!(Entry::decode(&bytes.into()), None);
        }
    }

    #[test]
    fn it_ages() {
        let entry = Entry {
            at_ms: 1_000,
            model: "m".into(),
            content_type: "t".into(),
            used: None,
            body: Bytes::new(),
        };
        assert!(entry.is_fresh(1_999, 1_000) && !entry.is_fresh(2_000, 1_000));
        // Another replica's clock may be ahead.
        assert!(entry.is_fresh(0, 1_000));
    }
}
