//! What an upstream's headers say about trying again.

use std::time::Duration;

use jiff::fmt::rfc2822::DateTimeParser;
use jiff::{Timestamp, civil};

/// What was said; `None` is nothing, or nothing of use.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Hints {
    /// How long to wait. More than zero, and [`Duration::MAX`] for what no clock can count.
    pub retry_after: Option<Duration>,
    /// Whether to try again at all.
    pub should_retry: Option<bool>,
}

impl Hints {
    /// Reads `retry-after-ms`, `retry-after` (seconds, also broken ones, or any HTTP date) and `x-should-retry`. `get`
    /// finds a header by its lower-case name; `now_ms` is the time since the epoch, for dates.
    #[must_use]
    pub fn read<'a>(get: impl Fn(&str) -> Option<&'a str>, now_ms: u64) -> Self {
        let should_retry = match get("x-should-retry") {
            Some("true") => Some(true),
            Some("false") => Some(false),
            _ => None,
        };
        let millis = get("retry-after-ms").and_then(number).map(|ms| ms / 1000.0);
        let seconds = || get("retry-after").and_then(number);
        let retry_after = match millis.or_else(seconds) {
            Some(seconds) => duration(seconds),
            None => get("retry-after")
                .and_then(date_ms)
                .and_then(|at| at.checked_sub(now_ms))
                .map(Duration::from_millis),
        };
        Self { retry_after: retry_after.filter(|wait| !wait.is_zero()), should_retry }
    }
}

/// A number that is written as one: `inf` and `nan` are none, but too many digits are a very large one.
fn number(text: &str) -> Option<f64> {
    let text = text.trim();
    let digits = text.bytes().any(|b| b.is_ascii_digit());
    text.parse::<f64>().ok().filter(|_| digits)
}

/// `None` for what is not positive.
fn duration(seconds: f64) -> Option<Duration> {
    (seconds > 0.0).then(|| Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX))
}

/// Any of the three forms of RFC 9110, 5.6.7, in milliseconds since the epoch. A time before the epoch is its start.
fn date_ms(text: &str) -> Option<u64> {
    let text = text.trim();
    let parser = DateTimeParser::new().relaxed_weekday(true);
    let obsolete = || {
        // RFC 850 and asctime.
        let formats = ["%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"];
        formats.iter().find_map(|format| civil::DateTime::strptime(format, text).ok())
    };
    let time: Option<Timestamp> = parser
        .parse_timestamp(text)
        .ok()
        .or_else(|| obsolete()?.to_zoned(jiff::tz::TimeZone::UTC).ok().map(|zoned| zoned.timestamp()));
    time.map(|time| u64::try_from(time.as_millisecond()).unwrap_or(0))
}
