//! One event of a stream: its bytes, and views of them.

use bytes::Bytes;

/// A byte order mark, which may stand before the first field of a stream and belongs to no field.
const BOM: &[u8] = b"\xef\xbb\xbf";

/// An event, a comment or a lone blank line, byte for byte as it came, line ends included. The events of a stream put
/// one after another are the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The bytes to forward.
    pub raw: Bytes,
    /// Whether it was ended as it should be. Only the last event of a stream that broke off is not; clients drop such
    /// an event, so its data counts for nothing but an estimate.
    pub complete: bool,
}

impl Event {
    /// The values of its `data` fields, joined by line feeds. `None` without such a field, as in a comment. Shares the
    /// event's memory where there is one such field, as in everything that model providers send.
    #[must_use]
    pub fn data(&self) -> Option<Bytes> {
        let mut values = self.values(b"data");
        let first = values.next()?;
        let Some(second) = values.next() else { return Some(self.raw.slice_ref(first)) };
        let mut joined = Vec::with_capacity(self.raw.len());
        joined.extend_from_slice(first);
        for value in std::iter::once(second).chain(values) {
            joined.push(b'\n');
            joined.extend_from_slice(value);
        }
        Some(joined.into())
    }

    /// The value of its last `event` field, as the standard has it; `None` where it has none or is not UTF-8.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.values(b"event").last().and_then(|value| std::str::from_utf8(value).ok())
    }

    /// Whether its data is `[DONE]`, with which a chat stream ends.
    #[must_use]
    pub fn is_done(&self) -> bool {
        let mut values = self.values(b"data");
        values.next().is_some_and(|value| value.trim_ascii() == b"[DONE]") && values.next().is_none()
    }

    /// The values of all fields of this name, in order.
    fn values<'a>(&'a self, field: &'static [u8]) -> impl Iterator<Item = &'a [u8]> {
        let text = self.raw.strip_prefix(BOM).unwrap_or(&self.raw);
        // CRLF gives an empty line between its two bytes. It has no field, so it does no harm.
        text.split(|b| matches!(b, b'\r' | b'\n')).filter_map(move |line| {
            let rest = line.strip_prefix(field)?;
            match rest.strip_prefix(b":") {
                Some(value) => Some(value.strip_prefix(b" ").unwrap_or(value)),
                // A field without a colon has an empty value.
                None => rest.is_empty().then_some(rest),
            }
        })
    }
}
