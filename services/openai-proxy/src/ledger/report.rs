//! What was used over some days, added up by what one wants to know. Pure: sheets come in.

use std::collections::BTreeMap;

use super::calendar::{day_name, parse_day};
use super::flush;
use super::store::name_of;
use super::usage::{Counters, Models};

/// No report is about more days: a year.
pub const MAX_DAYS: u64 = 366;

/// How many days a report is about where nobody says: a week.
pub const DAYS: u64 = 7;

/// No report has more rows, so that it stays a message.
pub const MAX_ROWS: usize = 20_000;

/// Days, the first and the last one among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The first, counted from the epoch.
    pub from: u64,
    /// The last.
    pub to: u64,
}

impl Span {
    /// The days from one to another, such as `2026-11-21`; without an end until today, without a beginning the last
    /// [`DAYS`] up to the end.
    ///
    /// # Errors
    /// For people: what is no day, ends before it begins, or is longer than [`MAX_DAYS`].
    pub fn read(from: Option<&str>, to: Option<&str>, today: u64) -> Result<Self, String> {
        let day = |text: &str| {
            parse_day(text).ok_or_else(|| format!("\"{text}\" is not a day such as {}", day_name(today)))
        };
        let to = to.map_or(Ok(today), day)?;
        let from = from.map_or(Ok(to.saturating_sub(DAYS - 1)), day)?;
        if from > to {
            return Err(format!("{} is after {}", day_name(from), day_name(to)));
        }
        if to - from >= MAX_DAYS {
            return Err(format!("{} days at once are too many; {MAX_DAYS} may be asked for", to - from + 1));
        }
        Ok(Self { from, to })
    }

    /// Whether a day is one of them.
    #[must_use]
    pub fn has(&self, day: u64) -> bool {
        (self.from..=self.to).contains(&day)
    }
}

/// What rows are told apart by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct By {
    /// The day.
    pub day: bool,
    /// The tenant.
    pub tenant: bool,
    /// The model.
    pub model: bool,
}

/// Whose row it is; nothing where rows are not told apart by it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Whose {
    /// The day, counted from the epoch.
    pub day: Option<u64>,
    /// The tenant.
    pub tenant: Option<String>,
    /// The model.
    pub model: Option<String>,
}

/// A report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    by: By,
    model: Option<String>,
    /// The rows: days in order, then tenants and models by name.
    pub rows: BTreeMap<Whose, Counters>,
    /// All rows together.
    pub total: Counters,
}

impl Report {
    /// An empty one, of all models or of one.
    #[must_use]
    pub fn new(by: By, model: Option<String>) -> Self {
        Self { by, model, rows: BTreeMap::new(), total: Counters::default() }
    }

    /// Adds what a tenant used on a day. False where that would be more than [`MAX_ROWS`]; it is of no use then.
    #[must_use]
    pub fn add(&mut self, day: u64, tenant: &str, models: &Models) -> bool {
        let wanted = self.model.as_deref();
        for (model, counters) in models.iter().filter(|(model, _)| wanted.is_none_or(|name| name == *model)) {
            let whose = Whose {
                day: self.by.day.then_some(day),
                tenant: self.by.tenant.then(|| tenant.to_owned()),
                model: self.by.model.then(|| model.clone()),
            };
            self.rows.entry(whose).or_default().add(counters);
            self.total.add(counters);
        }
        self.rows.len() <= MAX_ROWS
    }
}

/// The day and the tenant of a sheet, by its key; `None` where it is no sheet's.
#[must_use]
pub fn sheet_of(key: &str) -> Option<(u64, String)> {
    let (day, tenant) = key.strip_prefix("usage.")?.split_once('.')?;
    let (day, tenant) = (day.parse().ok()?, name_of(tenant)?);
    (flush::key(day, &tenant) == key).then_some((day, tenant))
}

/// The days of sheets that are kept no longer: those before the last `keep_days`, today among these. Each once.
#[must_use]
pub fn expired(keys: &[String], today: u64, keep_days: u64) -> Vec<u64> {
    let first = today.saturating_add(1).saturating_sub(keep_days);
    let mut days: Vec<u64> =
        keys.iter().filter_map(|key| sheet_of(key)).map(|(day, _)| day).filter(|day| *day < first).collect();
    days.sort_unstable();
    days.dedup();
    days
}

#[cfg(test)]
mod tests {
    use super::*;

    fn used(requests: u64) -> Counters {
        Counters { requests, input_tokens: 10 * requests, nano_usd: 7 * requests, ..Counters::default() }
    }

    fn models(of: &[(&str, u64)]) -> Models {
        of.iter().map(|(model, n)| ((*model).to_owned(), used(*n))).collect()
    }

    fn report(by: By, model: Option<&str>) -> Report {
        let mut report = Report::new(by, model.map(str::to_owned));
        assert!(report.add(20, "acme", &models(&[("a", 1), ("b", 2)])));
        assert!(report.add(20, "zoo", &models(&[("a", 4)])));
        assert!(report.add(21, "acme", &models(&[("a", 8)])));
        report
    }

    /// Day, tenant, model, and calls.
    type Row<'a> = (Option<u64>, Option<&'a str>, Option<&'a str>, u64);

    fn rows(report: &Report) -> Vec<Row<'_>> {
        let row = |(w, c): (&'_ Whose, &Counters)| (w.day, w.tenant.clone(), w.model.clone(), c.requests);
        let rows: Vec<_> = report.rows.iter().map(row).collect();
        let name = |text: Option<String>| text.map(|text| &*text.leak());
        rows.into_iter().map(|(day, tenant, model, n)| (day, name(tenant), name(model), n)).collect()
    }

    #[test]
    fn rows_are_told_apart_by_what_was_asked_and_add_up() {
        let all = report(By { day: true, tenant: true, model: true }, None);
        assert_eq!(
            rows(&all),
            [
                (Some(20), Some("acme"), Some("a"), 1),
                (Some(20), Some("acme"), Some("b"), 2),
                (Some(20), Some("zoo"), Some("a"), 4),
                (Some(21), Some("acme"), Some("a"), 8),
            ]
        );
        let days = report(By { day: true, tenant: false, model: false }, None);
        assert_eq!(rows(&days), [(Some(20), None, None, 7), (Some(21), None, None, 8)]);
        let tenants = report(By { day: false, tenant: true, model: false }, Some("a"));
        assert_eq!(rows(&tenants), [(None, Some("acme"), None, 9), (None, Some("zoo"), None, 4)]);
        assert_eq!((all.total, tenants.total), (used(15), used(13)));
    }

    #[test]
    fn a_report_is_bounded() {
        let mut report = Report::new(By { day: true, tenant: false, model: false }, None);
        assert!((0..MAX_ROWS as u64).all(|day| report.add(day, "t", &models(&[("a", 1)]))));
        assert!(!report.add(u64::MAX, "t", &models(&[("a", 1)])));
    }

    #[test]
    fn days_are_read_or_refused() {
        let today = parse_day("2026-11-21").unwrap();
        let span = |from, to| Span::read(from, to, today);
        assert_eq!(span(None, None), Ok(Span { from: today - 6, to: today }));
        assert_eq!(span(Some("2026-11-20"), None), Ok(Span { from: today - 1, to: today }));
        assert_eq!(span(None, Some("2026-11-20")).map(|s| s.from), Ok(today - 7));
        assert!(span(Some("2025-11-21"), None).is_ok_and(|s| s.has(today) && !s.has(today + 1)));
        for (from, to, why) in [
            (Some("2025-11-20"), None, "367 days at once are too many; 366 may be asked for"),
            (Some("2026-11-22"), None, "2026-11-22 is after 2026-11-21"),
            (Some("yesterday"), None, "\"yesterday\" is not a day such as 2026-11-21"),
            (None, Some("2026-02-30"), "\"2026-02-30\" is not a day such as 2026-11-21"),
        ] {
            assert_eq!(span(from, to), Err(why.to_owned()));
        }
    }

    #[test]
    fn a_sheet_is_known_by_its_key_and_kept_for_so_many_days() {
        for tenant in ["acme", "a.b c", "(other)", "Größe"] {
            assert_eq!(sheet_of(&flush::key(7, tenant)), Some((7, tenant.to_owned())));
        }
        for key in
            ["limit.tenant.acme", "usage.7", "usage.x.acme", "usage.07.acme", "usage.7.a.b", "usage.7.=4"]
        {
            assert_eq!(sheet_of(key), None, "{key}");
        }
        let keys: Vec<String> = [96, 97, 98, 100, 97]
            .into_iter()
            .map(|day| flush::key(day, "acme"))
            .chain(["limit.tenant.acme".to_owned()])
            .collect();
        assert_eq!(expired(&keys, 100, 3), [96, 97]);
        assert_eq!(expired(&keys, 100, 400), [0u64; 0]);
    }
}
