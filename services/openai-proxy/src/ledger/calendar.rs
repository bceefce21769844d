//! Days, months and slots as numbers, all UTC.

use jiff::{Timestamp, civil::Date, tz::TimeZone};

/// A day in milliseconds.
pub const DAY_MS: u64 = 86_400_000;

/// How long requests and tokens are counted, in milliseconds.
pub const MINUTE_MS: u64 = 60_000;

/// The grain of the minute, in milliseconds: what falls out does so slot by slot.
///
/// A slot counts until a minute after its end, so that any sixty seconds are within the limit, not only those of
/// the clock. The price is that a thing may count for up to a minute and one slot: 3% of the limit at two seconds.
pub const SLOT_MS: u64 = 2_000;

/// The day of a time, counted from the epoch.
#[must_use]
pub fn day(now_ms: u64) -> u64 {
    now_ms / DAY_MS
}

/// When a day ends, in milliseconds since the epoch.
#[must_use]
pub fn day_end_ms(day: u64) -> u64 {
    day.saturating_add(1).saturating_mul(DAY_MS)
}

/// The slot of a time.
#[must_use]
pub fn slot(now_ms: u64) -> u64 {
    now_ms / SLOT_MS
}

/// When a slot counts no more, in milliseconds since the epoch.
#[must_use]
pub fn slot_falls_ms(slot: u64) -> u64 {
    slot.saturating_add(1).saturating_mul(SLOT_MS).saturating_add(MINUTE_MS)
}

fn date(day: u64) -> Date {
    // Beyond the year 9999 all days are the last one: no clock says so, and there is no sensible answer.
    i64::try_from(day)
        .ok()
        .and_then(|day| Timestamp::from_second(day.checked_mul(86_400)?).ok())
        .map_or(Date::MAX, |at| at.to_zoned(TimeZone::UTC).date())
}

/// A day as people write it, such as `2026-11-21`.
#[must_use]
pub fn day_name(day: u64) -> String {
    date(day).to_string()
}

/// The day that a text such as `2026-11-21` names, counted from the epoch; nothing before 1970.
#[must_use]
pub fn parse_day(text: &str) -> Option<u64> {
    let date: Date = text.parse().ok().filter(|_| text.len() == "2026-11-21".len())?;
    let midnight = date.to_zoned(TimeZone::UTC).ok()?.timestamp();
    u64::try_from(midnight.as_second()).ok().map(|seconds| seconds / 86_400)
}

/// A time as RFC 3339 says it.
#[must_use]
pub fn time_name(ms: u64) -> String {
    i64::try_from(ms)
        .ok()
        .and_then(|ms| Timestamp::from_millisecond(ms).ok())
        .unwrap_or(Timestamp::MAX)
        .to_string()
}

/// The calendar month of a day, as year times twelve plus month (0 to 11).
#[must_use]
pub fn month_of_day(day: u64) -> u64 {
    let date = date(day);
    u64::from(date.year().unsigned_abs()) * 12 + u64::from(date.month().unsigned_abs()) - 1
}

/// When the month of a day ends, in milliseconds since the epoch.
#[must_use]
pub fn month_end_ms(day: u64) -> u64 {
    let date = date(day);
    let left = date.days_in_month().abs_diff(date.day());
    day_end_ms(day.saturating_add(u64::from(left)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{day_name, parse_day};

    proptest! {
        #[test]
        fn a_day_is_found_again_by_its_name(day in 0u64..2_900_000) {
            prop_assert_eq!(parse_day(&day_name(day)), Some(day));
        }
    }

    #[test]
    fn what_names_no_day_is_none() {
        assert_eq!(parse_day("1970-01-02"), Some(1));
        for text in
            ["", "2026-02-30", "2026-11-21T00:00:00Z", "20261121", "1969-12-31", "today", "+002026-11-21"]
        {
            assert_eq!(parse_day(text), None, "{text}");
        }
    }
}
