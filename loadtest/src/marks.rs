//! How the tasks of one round are told apart: each carries its number in its id and in its payload, so that a result
//! names its task without anybody parsing it.

use std::sync::atomic::{AtomicU16, Ordering};

use bytes::Bytes;
use tasklane_runtime::contract::id;

/// Bytes of every payload.
pub const PAYLOAD: usize = 256;
/// Hexadecimal digits of a task's number.
const DIGITS: usize = 12;
/// What stands before the number in a payload.
const LEAD: &str = r#"{"n":""#;

/// The marks of one round.
#[derive(Debug, Clone)]
pub struct Marks {
    /// A fresh UUID without its last group.
    prefix: String,
    /// Every so many tasks one is sampled for tracing; 0: none.
    sampled_every: usize,
}

impl Marks {
    /// Marks that no other round has.
    pub fn fresh(sampled_every: usize) -> Self {
        // Ids made within one millisecond differ only in their last group, which is cut off here.
        static ROUND: AtomicU16 = AtomicU16::new(0);
        let round = ROUND.fetch_add(1, Ordering::Relaxed) & 0xfff;
        let mut prefix = id::fresh();
        prefix.truncate(prefix.len() - DIGITS - 1 - 4);
        Self { prefix: format!("{prefix}8{round:03x}-"), sampled_every }
    }

    /// The id of a task: a UUID that ends with its number.
    pub fn id(&self, n: usize) -> String {
        format!("{}{n:012x}", self.prefix)
    }

    /// The number of a task of this round.
    pub fn number_in_id(&self, id: &str) -> Option<usize> {
        number(id.strip_prefix(&self.prefix)?)
    }

    /// The trace that a task belongs to, as its publisher gives it.
    pub fn traceparent(&self, n: usize) -> String {
        let sampled = self.sampled_every != 0 && n.is_multiple_of(self.sampled_every);
        let trace = self.prefix.replace('-', "");
        let (trace, flags) = (&trace[..16], u8::from(sampled));
        // Neither the trace's nor the span's id may be all zeros.
        format!("00-{trace}{:016x}-{:016x}-{flags:02x}", n + 1, n + 1)
    }
}

/// The payload of a task.
pub fn payload(n: usize) -> Bytes {
    let mut text = format!(r#"{LEAD}{n:012x}","pad":""#);
    let pad = PAYLOAD - text.len() - 2;
    text.extend(std::iter::repeat_n('x', pad));
    text.push_str("\"}");
    text.into()
}

/// The number in a payload.
pub fn number_in_payload(payload: &[u8]) -> Option<usize> {
    let digits = payload.strip_prefix(LEAD.as_bytes())?.get(..DIGITS)?;
    number(std::str::from_utf8(digits).ok()?)
}

fn number(digits: &str) -> Option<usize> {
    (digits.len() == DIGITS).then(|| usize::from_str_radix(digits, 16).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_comes_back_from_id_and_payload() {
        let marks = Marks::fresh(100);
        for n in [0, 1, 99_999, 0xffff_ffff] {
            assert_eq!(marks.number_in_id(&marks.id(n)), Some(n));
            assert_eq!(number_in_payload(&payload(n)), Some(n));
            assert_eq!(payload(n).len(), PAYLOAD);
            serde_json::from_slice::<serde_json::Value>(&payload(n)).unwrap();
        }
        assert_eq!(Marks::fresh(0).number_in_id(&marks.id(1)), None, "another round's task is not ours");
    }

    #[test]
    fn one_in_a_hundred_is_sampled_and_every_traceparent_is_valid() {
        let marks = Marks::fresh(100);
        let contexts = (0..1_000).map(|n| marks.traceparent(n));
        let contexts = contexts.map(|t| tasklane_runtime::telemetry::TraceContext::parse(&t, None).unwrap());
        assert_eq!(contexts.filter(|c| c.sampled).count(), 10);
        assert!(marks.traceparent(1).ends_with("-00"));
    }
}
