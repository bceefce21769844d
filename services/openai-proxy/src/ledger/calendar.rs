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
