//! `api.llm.usage`: what was used over some days, by tenant, model and day.

use serde::Deserialize;
use serde_json::{Map, Value, json};
use tasklane_runtime::contract::{Refusal, code, subjects};

use super::unread;
use crate::books::now_ms;
use crate::gateway::Gateway;
use crate::ledger::calendar::{day, day_name};
use crate::ledger::report::{By, Report, Span, Whose};
use crate::ledger::usage::Counters;
use crate::sheets::{self, NoReport};

/// What may be asked.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Question {
    tenant: Option<String>,
    model: Option<String>,
    /// The first day, such as `2026-11-21`, in UTC.
    from: Option<String>,
    /// The last day.
    to: Option<String>,
    /// What rows are told apart by; nothing: by all.
    by: Option<Vec<Key>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Key {
    Day,
    Tenant,
    Model,
}

pub(super) async fn answer(gateway: &Gateway, question: Question) -> Result<Value, Refusal> {
    let question = read(question, day(now_ms()))?;
    let sheets = gateway.books().sheets();
    let report = sheets.report(&question).await.map_err(|e| match &e {
        NoReport::TooMuch(_) => refused(&e.to_string()),
        NoReport::Sheet(e) => unread(e),
        NoReport::Bus(e) => Refusal::new(code::NATS, e.to_string()),
    })?;
    Ok(said(&report, question.span, sheets.keep_days()))
}

fn refused(why: &str) -> Refusal {
    Refusal::new(code::BAD_REQUEST, format!("{}: {why}", subjects::LLM_USAGE))
}

fn read(question: Question, today: u64) -> Result<sheets::Question, Refusal> {
    let Question { tenant, model, from, to, by } = question;
    let span = Span::read(from.as_deref(), to.as_deref(), today).map_err(|e| refused(&e))?;
    let by = by.unwrap_or_else(|| vec![Key::Day, Key::Tenant, Key::Model]);
    let has = |key| by.contains(&key);
    let by = By { day: has(Key::Day), tenant: has(Key::Tenant), model: has(Key::Model) };
    Ok(sheets::Question { span, tenant, model, by })
}

fn said(report: &Report, span: Span, keep_days: u64) -> Value {
    let rows: Vec<Value> = report.rows.iter().map(|(whose, counters)| row(whose, counters)).collect();
    json!({
        "from": day_name(span.from),
        "to": day_name(span.to),
        "rows": rows,
        "total": Value::Object(counted(&report.total)),
        "keep_days": keep_days,
    })
}

fn row(whose: &Whose, counters: &Counters) -> Value {
    let mut row = Map::new();
    let keys =
        [("day", whose.day.map(day_name)), ("tenant", whose.tenant.clone()), ("model", whose.model.clone())];
    for (key, value) in keys {
        if let Some(value) = value {
            row.insert(key.to_owned(), value.into());
        }
    }
    row.append(&mut counted(counters));
    Value::Object(row)
}

fn counted(counters: &Counters) -> Map<String, Value> {
    [
        ("requests", counters.requests),
        ("input_tokens", counters.input_tokens),
        ("cached_tokens", counters.cached_tokens),
        ("output_tokens", counters.output_tokens),
        ("nano_usd", counters.nano_usd),
    ]
    .into_iter()
    .map(|(key, n)| (key.to_owned(), n.into()))
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(text: &str) -> Result<sheets::Question, String> {
        let question = serde_json::from_str(text).map_err(|e| e.to_string())?;
        read(question, 20_778).map_err(|e| e.message)
    }

    #[test]
    fn a_question_is_read_with_what_it_leaves_out() {
        let all = question("{}").unwrap();
        assert_eq!(
            (all.span, all.by.day && all.by.tenant && all.by.model),
            (Span { from: 20_772, to: 20_778 }, true)
        );
        let one = question(r#"{"tenant":"acme","by":["model"]}"#).unwrap();
        assert_eq!(
            (one.tenant.as_deref(), one.by),
            (Some("acme"), By { day: false, tenant: false, model: true })
        );
        for wrong in [r#"{"by":["year"]}"#, r#"{"tenannt":"a"}"#, r#"{"from":"x"}"#] {
            assert!(question(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_row_has_what_rows_are_told_apart_by() {
        let mut report = Report::new(By { day: true, tenant: false, model: true }, None);
        let used =
            Counters { requests: 2, input_tokens: 30, cached_tokens: 4, output_tokens: 5, nano_usd: 6 };
        assert!(report.add(20_778, "acme", &[("a".to_owned(), used)].into()));
        let said = said(&report, Span { from: 20_778, to: 20_778 }, 400);
        let expected = json!({"day": "2026-11-21", "model": "a", "requests": 2, "input_tokens": 30,
            "cached_tokens": 4, "output_tokens": 5, "nano_usd": 6});
        assert_eq!(said["rows"], json!([expected]));
        assert_eq!((&said["total"]["nano_usd"], &said["from"]), (&json!(6), &json!("2026-11-21")));
    }
}
