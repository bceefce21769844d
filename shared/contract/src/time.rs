//! Times on the wire: microseconds since the Unix epoch in protobuf, RFC 3339 in JSON.

use std::time::{SystemTime, UNIX_EPOCH};

/// Now, in microseconds since the Unix epoch.
pub fn now_us() -> i64 {
    to_us(SystemTime::now())
}

/// A time in microseconds since the epoch; before it: 0.
pub fn to_us(time: SystemTime) -> i64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |d| i64::try_from(d.as_micros()).unwrap_or(i64::MAX))
}

/// The time of a wire value; negative values count as the epoch.
pub fn from_us(us: i64) -> SystemTime {
    UNIX_EPOCH + std::time::Duration::from_micros(u64::try_from(us).unwrap_or(0))
}

/// RFC 3339 in UTC; `None` for 0 ("not given") and for times that RFC 3339 cannot say.
pub fn to_rfc3339(us: i64) -> Option<String> {
    if us == 0 {
        return None;
    }
    jiff::Timestamp::from_microsecond(us).ok().map(|t| t.to_string())
}

/// Microseconds since the epoch from RFC 3339; the error is for people.
pub fn parse_rfc3339(text: &str) -> Result<i64, String> {
    text.parse::<jiff::Timestamp>()
        .map(jiff::Timestamp::as_microsecond)
        .map_err(|e| format!("\"{text}\" is not a time such as 2026-11-20T12:00:00Z: {e}"))
}

/// Milliseconds between two wire times; 0 if either is missing or time ran backwards.
pub fn between_ms(from_us: i64, to_us: i64) -> f64 {
    if from_us == 0 || to_us <= from_us { 0.0 } else { (to_us - from_us) as f64 / 1000.0 }
}
