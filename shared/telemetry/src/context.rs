//! W3C trace context: what travels in the headers `traceparent` and `tracestate`.
//!
//! Source: <https://www.w3.org/TR/trace-context-1/>. Parsing is strict and never panics: a header that breaks
//! the rules is as good as none, and a bad `tracestate` never costs the `traceparent` beside it. What is parsed
//! is safe to write into a header again: it is printable ASCII without line ends.

/// Length of a version 00 `traceparent` in bytes.
const TRACEPARENT_LEN: usize = 55;
/// Most members of a `tracestate` list (W3C, section 3.3.1.1).
const STATE_MEMBERS: usize = 32;
/// Longest `tracestate` passed on, in bytes. W3C asks for 512 at least; more is dropped whole.
const STATE_LEN: usize = 1024;
const HEX: &[u8; 16] = b"0123456789abcdef";

/// The place in a trace that a message or a call was sent from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TraceContext {
    /// Names the whole trace; never all zeros.
    pub trace_id: [u8; 16],
    /// Names the span that sent this; never all zeros.
    pub span_id: [u8; 8],
    /// Whether the spans of this trace are exported.
    pub sampled: bool,
    /// The `tracestate` header as it came, or empty.
    pub state: String,
}

impl TraceContext {
    /// Reads the two headers. `None` when `traceparent` is not valid; a `tracestate` that is not valid is dropped.
    pub fn parse(traceparent: &str, tracestate: Option<&str>) -> Option<Self> {
        let bytes = traceparent.as_bytes();
        let head = bytes.get(..TRACEPARENT_LEN)?;
        let version = byte(head[0], head[1])?;
        let dashes = [head[2], head[35], head[52]] == *b"---";
        // A later version may append fields after another dash; version 00 has none, and ff is forbidden.
        let tail = match version {
            0 => bytes.len() == TRACEPARENT_LEN,
            0xff => false,
            _ => bytes.get(TRACEPARENT_LEN).is_none_or(|&b| b == b'-'),
        };
        if !dashes || !tail {
            return None;
        }
        let trace_id = hex_bytes::<16>(&head[3..35])?;
        let span_id = hex_bytes::<8>(&head[36..52])?;
        let flags = byte(head[53], head[54])?;
        if trace_id == [0; 16] || span_id == [0; 8] {
            return None;
        }
        let state = tracestate.filter(|s| valid_state(s)).map(str::to_owned).unwrap_or_default();
        Some(Self { trace_id, span_id, sampled: flags & 1 == 1, state })
    }

    /// The header `traceparent`, version 00.
    pub fn traceparent(&self) -> String {
        let mut out = String::with_capacity(TRACEPARENT_LEN);
        out.push_str("00-");
        push_hex(&mut out, &self.trace_id);
        out.push('-');
        push_hex(&mut out, &self.span_id);
        out.push_str(if self.sampled { "-01" } else { "-00" });
        out
    }

    /// The trace id as 32 hexadecimal digits, as logs, results and Jaeger show it.
    pub fn trace_id_hex(&self) -> String {
        let mut out = String::with_capacity(32);
        push_hex(&mut out, &self.trace_id);
        out
    }

    /// The span id as 16 hexadecimal digits.
    pub fn span_id_hex(&self) -> String {
        let mut out = String::with_capacity(16);
        push_hex(&mut out, &self.span_id);
        out
    }
}

/// Appends the digits in one piece. Ids have 16 bytes at most.
fn push_hex(out: &mut String, bytes: &[u8]) {
    let mut digits = [0; 32];
    for (pair, b) in digits.chunks_exact_mut(2).zip(bytes) {
        pair[0] = HEX[usize::from(b >> 4)];
        pair[1] = HEX[usize::from(b & 15)];
    }
    // Hexadecimal digits are UTF-8.
    out.push_str(std::str::from_utf8(&digits[..bytes.len() * 2]).unwrap_or_default());
}

/// One lower-case hexadecimal digit; upper case is forbidden by W3C.
fn digit(b: u8) -> Option<u8> {
    match b {
        b'0'..=b'9' => Some(b - b'0'),
        b'a'..=b'f' => Some(b - b'a' + 10),
        _ => None,
    }
}

fn byte(high: u8, low: u8) -> Option<u8> {
    Some(digit(high)? << 4 | digit(low)?)
}

fn hex_bytes<const N: usize>(digits: &[u8]) -> Option<[u8; N]> {
    let mut out = [0; N];
    for (slot, pair) in out.iter_mut().zip(digits.chunks_exact(2)) {
        *slot = byte(pair[0], pair[1])?;
    }
    Some(out)
}

/// Whether a `tracestate` may be passed on as it is.
fn valid_state(state: &str) -> bool {
    let members = || state.split(',').map(|m| m.trim_matches([' ', '\t'])).filter(|m| !m.is_empty());
    state.len() <= STATE_LEN && members().count() <= STATE_MEMBERS && members().all(valid_member)
}

fn valid_member(member: &str) -> bool {
    let Some((key, value)) = member.split_once('=') else { return false };
    let key_start = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let key_byte = |b: u8| key_start(b) || matches!(b, b'_' | b'-' | b'*' | b'/' | b'@');
    let value_byte = |b: u8| (0x20..=0x7e).contains(&b) && b != b'=';
    key.len() <= 256
        && key.bytes().next().is_some_and(key_start)
        && key.bytes().all(key_byte)
        && (1..=256).contains(&value.len())
        && value.bytes().all(value_byte)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_good_header_is_read_and_written_back() {
        let context = TraceContext::parse(GOOD, Some("vendor=a:b, other@x=1")).unwrap();
        assert!(context.sampled);
        assert_eq!(context.state, "vendor=a:b, other@x=1");
        assert_eq!(context.traceparent(), GOOD);
        assert_eq!(context.trace_id_hex(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(context.span_id_hex(), "00f067aa0ba902b7");
    }

    #[test]
    fn what_breaks_the_rules_is_refused() {
        for bad in [
            "",
            "00",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4BF92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01more",
            "00_4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            " 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ] {
            assert_eq!(TraceContext::parse(bad, None), None, "{bad}");
        }
    }

    #[test]
    fn a_later_version_is_read_as_far_as_it_is_known() {
        let later = "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-03-what-the-future-brings";
        let context = TraceContext::parse(later, None).unwrap();
        assert_eq!(context.traceparent(), GOOD);
    }

    #[test]
    fn a_bad_state_is_dropped_and_the_parent_stays() {
        let many = (0..33).map(|n| format!("k{n}=v")).collect::<Vec<_>>().join(",");
        for bad in ["x", "=1", "K=1", "k=", "k=a=b", "k=v\r\nEvil: 1", "k=\u{e4}", many.as_str()] {
            let context = TraceContext::parse(GOOD, Some(bad)).unwrap();
            assert_eq!(context.state, "", "{bad}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_text_never_panics(parent in "\\PC*", state in proptest::option::of("\\PC*")) {
            if let Some(context) = TraceContext::parse(&parent, state.as_deref()) {
                prop_assert!(context.state.bytes().all(|b| (0x20..=0x7e).contains(&b) || b == b'\t'));
            }
        }

        #[test]
        fn nearly_right_text_never_panics(at in 0..55usize, put in any::<char>(), cut in 0..60usize) {
            let mut text: Vec<char> = GOOD.chars().collect();
            text[at] = put;
            text.truncate(cut);
            let text: String = text.into_iter().collect();
            if let Some(context) = TraceContext::parse(&text, None) {
                prop_assert_ne!(context.trace_id, [0; 16]);
                prop_assert_ne!(context.span_id, [0; 8]);
            }
        }

        #[test]
        fn what_is_written_is_read_back(
            trace_id in any::<[u8; 16]>().prop_filter("zero is invalid", |id| *id != [0; 16]),
            span_id in any::<[u8; 8]>().prop_filter("zero is invalid", |id| *id != [0; 8]),
            sampled in any::<bool>(),
            state in "([a-z0-9][a-z0-9_*/@-]{0,9}=[!-+.-<>-~]{1,9}(,[a-z]{1,4}=[a-z]{1,9}){0,4})?",
        ) {
            let context = TraceContext { trace_id, span_id, sampled, state };
            let header = (!context.state.is_empty()).then_some(context.state.as_str());
            prop_assert_eq!(TraceContext::parse(&context.traceparent(), header), Some(context));
        }
    }
}
