//! Durations, sizes and times as people write them. Pure.

use std::time::Duration;

use tasklane_runtime::contract::time;

/// A duration such as `250ms`, `30s`, `10m`, `2h`, `1d` or `1h30m`. A number needs its unit.
///
/// # Errors
/// A text for the person who wrote it.
pub fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("\"{text}\" is not a duration such as 250ms, 30s, 10m, 2h or 1h30m");
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(wrong());
    }
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !(c.is_ascii_digit() || c == '.')).ok_or_else(wrong)?;
        let (number, tail) = rest.split_at(digits);
        let letters = tail.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(letters);
        let seconds = match unit {
            "ms" => 0.001,
            "s" => 1.0,
            "m" | "min" => 60.0,
            "h" => 3600.0,
            "d" => 86_400.0,
            _ => return Err(wrong()),
        };
        let number: f64 = number.parse().map_err(|_| wrong())?;
        let part = Duration::try_from_secs_f64(number * seconds).map_err(|_| wrong())?;
        total = total.checked_add(part).ok_or_else(wrong)?;
        rest = tail;
    }
    Ok(total)
}

/// An amount of memory such as `512MB` or `2GB`, in MB (a GB has 1024); a bare number is in MB.
///
/// # Errors
/// A text for the person who wrote it.
pub fn megabytes(text: &str) -> Result<u64, String> {
    let wrong = || format!("\"{text}\" is not an amount of memory such as 512MB or 2GB");
    let trimmed = text.trim();
    let at = trimmed.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(trimmed.len());
    let (number, unit) = trimmed.split_at(at);
    let factor = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "m" | "mb" | "mib" => 1.0,
        "g" | "gb" | "gib" => 1024.0,
        "t" | "tb" | "tib" => 1024.0 * 1024.0,
        _ => return Err(wrong()),
    };
    let mb = number.parse::<f64>().map_err(|_| wrong())? * factor;
    if (1.0..=1e9).contains(&mb) { Ok(mb.ceil() as u64) } else { Err(wrong()) }
}

/// A moment: so long from now, or a time of the calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// From now on.
    In(Duration),
    /// Microseconds since the epoch.
    At(i64),
}

impl When {
    /// As RFC 3339, counted from `now_us`.
    pub fn to_rfc3339(self, now_us: i64) -> Option<String> {
        time::to_rfc3339(match self {
            Self::In(after) => now_us.checked_add(i64::try_from(after.as_micros()).ok()?)?,
            Self::At(us) => us,
        })
    }
}

/// A moment such as `10m` (from now) or `2026-11-20T12:00:00Z`.
///
/// # Errors
/// A text for the person who wrote it.
pub fn when(text: &str) -> Result<When, String> {
    if let Ok(after) = duration(text) {
        return Ok(When::In(after));
    }
    time::parse_rfc3339(text).map(When::At).map_err(|_| {
        format!("\"{text}\" is neither a duration such as 10m nor a time such as 2026-11-20T12:00:00Z")
    })
}

/// The day, in UTC and such as `2026-11-21`, that is so long ago (`7d`) or is named.
///
/// # Errors
/// A text for the person who wrote it.
pub fn day(text: &str, now_us: i64) -> Result<String, String> {
    let wrong = || format!("\"{text}\" is neither a time ago such as 7d nor a day such as 2026-11-21");
    let us = match duration(text) {
        Ok(ago) => {
            i64::try_from(ago.as_micros()).ok().and_then(|ago| now_us.checked_sub(ago)).ok_or_else(wrong)?
        }
        Err(_) => time::parse_rfc3339(&format!("{text}T00:00:00Z")).map_err(|_| wrong())?,
    };
    let day = time::to_rfc3339(us).filter(|_| us > 0).ok_or_else(wrong)?;
    Ok(day.split('T').next().unwrap_or_default().to_owned())
}

/// A label `key=value`.
///
/// # Errors
/// A text for the person who wrote it.
pub fn label(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err(format!("\"{text}\" is not a label such as paper=budget")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations_as_people_write_them() {
        let good = [
            ("250ms", 250),
            ("30s", 30_000),
            ("1.5s", 1500),
            ("10m", 600_000),
            ("2h", 7_200_000),
            ("1h30m", 5_400_000),
            ("1d", 86_400_000),
            ("0s", 0),
        ];
        for (text, ms) in good {
            assert_eq!(duration(text).unwrap().as_millis(), ms, "{text}");
        }
        for text in ["", "30", "s", "3 s", "1y", "-5s", "1.2.3s", "1e9s", "99999999999999999999d", "ten"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn memory_as_people_write_it() {
        for (text, mb) in [("512MB", 512), ("512", 512), ("2GB", 2048), ("1.5gib", 1536), ("0.5GB", 512)] {
            assert_eq!(megabytes(text).unwrap(), mb, "{text}");
        }
        for text in ["", "0", "MB", "5KB", "-1", "1e99", "nan"] {
            assert!(megabytes(text).is_err(), "{text}");
        }
    }

    #[test]
    fn moments_are_relative_or_absolute() {
        assert_eq!(when("10m").unwrap().to_rfc3339(1_000_000).unwrap(), "1970-01-01T00:10:01Z");
        assert_eq!(when("2026-11-20T12:00:00Z").unwrap().to_rfc3339(5).unwrap(), "2026-11-20T12:00:00Z");
        assert!(when("tomorrow").unwrap_err().contains("neither"));
    }

    #[test]
    fn days_are_named_or_so_long_ago() {
        let noon = time::parse_rfc3339("2026-11-21T12:00:00Z").unwrap();
        for (text, expected) in
            [("7d", "2026-11-14"), ("13h", "2026-11-20"), ("0s", "2026-11-21"), ("2026-02-28", "2026-02-28")]
        {
            assert_eq!(day(text, noon).as_deref(), Ok(expected), "{text}");
        }
        for text in ["", "7", "yesterday", "2026-02-30", "2026-11-21T00:00:00Z", "99999d"] {
            assert!(day(text, noon).unwrap_err().contains("such as 7d"), "{text}");
        }
    }

    #[test]
    fn labels_have_a_key() {
        assert_eq!(label("a=b=c").unwrap(), ("a".into(), "b=c".into()));
        assert!(label("a").is_err() && label("=b").is_err());
    }

    proptest! {
        #[test]
        fn arbitrary_text_never_panics(text in "\\PC*") {
            let parsed = (duration(&text).is_ok(), megabytes(&text).is_ok(), label(&text).is_ok());
            prop_assert!(!(parsed.0 && parsed.2), "a duration has no equals sign");
            if let Ok(moment) = when(&text) {
                prop_assert!(moment.to_rfc3339(0).is_none_or(|t| t.contains('T')));
            }
        }
    }
}
