//! A result, an event and a routing decision, for people.

use super::{Paint, bytes, count, json, ms, one_line, table::Table};
use crate::record::{Attempt, Failure, Record, Route};

/// Lines of a result that a terminal shows before it says how to see the rest.
const SHOWN: usize = 100;
/// Characters of one of its lines.
const WIDE: usize = 500;

/// A status with its sign.
pub fn status(status: &str, paint: Paint) -> String {
    match status {
        "succeeded" => paint.good("✔ succeeded"),
        "cancelled" => paint.warn("⊘ cancelled"),
        "expired" => paint.warn("⌛ expired"),
        other => paint.bad(&format!("✘ {}", one_line(other))),
    }
}

fn failure(failure: &Failure) -> String {
    one_line(&format!("{} {}", failure.code, failure.message))
}

/// A result in full: status, body or error, route and timings, trace. `saved` says where the body was written to.
pub fn summary(record: &Record, saved: Option<&str>, paint: Paint) -> String {
    let mut out = format!(
        "{}  {}  {}\n",
        status(&record.status, paint),
        paint.bold(&one_line(&record.task_type)),
        paint.dim(&one_line(&record.task_id))
    );
    if let Some(error) = &record.error {
        out += &format!("{}\n", paint.bad(&failure(error)));
    }
    match saved {
        Some(place) => out += &format!("result: {place}\n"),
        None => out += &body(record, paint),
    }
    if record.attempts.len() > 1 {
        for attempt in &record.attempts {
            out += &format!("  {}\n", attempt_line(attempt));
        }
    }
    let facts = facts(record);
    if !facts.is_empty() {
        out += &format!("{}\n", paint.dim(&facts));
    }
    if !record.trace_id.is_empty() {
        out += &format!("{}\n", paint.dim(&format!("trace {}", one_line(&record.trace_id))));
    }
    out
}

fn body(record: &Record, paint: Paint) -> String {
    if !record.result_ref.is_empty() {
        return format!(
            "the result is large and lies in {}; --output FILE fetches it\n",
            one_line(&record.result_ref)
        );
    }
    let Some(raw) = &record.result else { return String::new() };
    if !record.content_type.is_empty() {
        let size = bytes((raw.get().len() as u64).saturating_sub(2) * 3 / 4);
        return format!(
            "the result is about {size} of {}; --output FILE saves it\n",
            one_line(&record.content_type)
        );
    }
    let (text, left) = json::head(&json::indent(raw.get()), SHOWN);
    let (text, cut) = json::narrow(&text, WIDE);
    let more = match (left, cut) {
        (0, false) => return text + "\n",
        (0, true) => "… some lines are cut".to_owned(),
        (left, _) => format!("… {}", count(left as u64, "more line")),
    };
    format!("{text}\n{}\n", paint.dim(&format!("{more}; --json prints all, --output FILE saves the result")))
}

fn attempt_line(attempt: &Attempt) -> String {
    let Attempt { n, worker, duration_ms, outcome, error } = attempt;
    let head =
        format!("attempt {n} on {}: {} after {}", one_line(worker), one_line(outcome), ms(*duration_ms));
    match error {
        Some(error) => format!("{head}: {}", failure(error)),
        None => head,
    }
}

/// Route and timings on one line.
fn facts(record: &Record) -> String {
    let mut facts = Vec::new();
    if let Some(route) = record.route.as_ref().filter(|route| !route.pool.is_empty()) {
        facts.push(format!("pool {} (score {:.2})", one_line(&route.pool), route.score));
    }
    if let Some(last) = record.attempts.last() {
        facts.push(format!("worker {}", one_line(&last.worker)));
    }
    if let Some(timings) = record.timings.as_ref().filter(|_| !record.attempts.is_empty()) {
        facts.push(format!("waited {}", ms(timings.queue_wait_ms)));
        facts.push(format!("worked {}", ms(timings.processing_ms)));
    }
    if record.attempts.len() > 1 {
        facts.push(count(record.attempts.len() as u64, "attempt"));
    }
    facts.join(" · ")
}

/// A result on one line, as `watch` shows it.
pub fn line(record: &Record, paint: Paint) -> String {
    let mut out = format!(
        "{}  {}  {}",
        status(&record.status, paint),
        one_line(&record.task_type),
        paint.dim(&one_line(&record.task_id))
    );
    let facts = facts(record);
    if !facts.is_empty() {
        out += &format!("  {}", paint.dim(&facts));
    }
    if let Some(error) = &record.error {
        out += &format!("  {}", paint.bad(&failure(error)));
    }
    out
}

/// What an event says, in a few words: `progress` as a share and a text, all else as its JSON.
pub fn event(kind: &str, body: &serde_json::Value) -> String {
    let text = |key: &str| body.get(key).and_then(serde_json::Value::as_str).map(one_line);
    match kind {
        "progress" => {
            let share = body.get("fraction").and_then(serde_json::Value::as_f64).unwrap_or(0.0) * 100.0;
            format!("{share:.0}% {}", text("message").unwrap_or_default()).trim_end().to_owned()
        }
        "started" => {
            let attempt = body.get("attempt").and_then(serde_json::Value::as_u64).unwrap_or(1);
            format!("started on {} (attempt {attempt})", text("worker").unwrap_or_default())
        }
        other => format!("{} {}", one_line(other), one_line(&body.to_string())),
    }
}

/// A routing decision: who was looked at, and why it came out so.
pub fn route(route: &Route, paint: Paint) -> String {
    let mut table = Table::new(&["", "POOL", ">SCORE", "WHY"]);
    for candidate in &route.candidates {
        let mark = match candidate {
            c if c.pool == route.pool => "→",
            c if c.eligible => "",
            _ => "✘",
        };
        table.row([mark, &candidate.pool, &format!("{:.3}", candidate.score), &candidate.why]);
    }
    // The chosen pool may be known by the decision alone.
    if !route.candidates.iter().any(|c| c.pool == route.pool) && route.pool != "_" && !route.pool.is_empty() {
        table.row(["→", &route.pool, &format!("{:.3}", route.score), &route.reason]);
    }
    let head = match route.pool.as_str() {
        "_" | "" => paint.warn(&format!("nobody can do it now: {}", one_line(&route.reason))),
        pool => format!("{}  {}", paint.good(&one_line(pool)), one_line(&route.reason)),
    };
    if table.is_empty() { head + "\n" } else { format!("{head}\n\n{}", table.render(paint)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Paint = Paint { on: false };

    fn record(json: &str) -> Record {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn a_success_reads_so() {
        let record = record(
            r#"{"task_id":"0197-a","task_type":"echo","status":"succeeded","result":{"b":1.0,"a":[]},
                "attempts":[{"n":1,"worker":"generic-1","duration_ms":12.4,"outcome":"succeeded"}],
                "route":{"pool":"generic","score":0.97,"reason":"all capabilities"},
                "timings":{"queue_wait_ms":0.8,"processing_ms":12.4},"trace_id":"4bf9"}"#,
        );
        let expected = "\
✔ succeeded  echo  0197-a
{
  \"b\": 1.0,
  \"a\": []
}
pool generic (score 0.97) · worker generic-1 · waited 0.8 ms · worked 12 ms
trace 4bf9
";
        assert_eq!(summary(&record, None, PLAIN), expected);
        assert!(summary(&record, Some("out.json (9 B)"), PLAIN).contains("\nresult: out.json (9 B)\npool"));
    }

    #[test]
    fn a_failure_tells_every_attempt() {
        let record = record(
            r#"{"task_id":"t","task_type":"fail","status":"failed","error":{"code":"TL2002","message":"gave up"},
                "attempts":[{"n":1,"worker":"a","duration_ms":2,"outcome":"retried","error":{"code":"TL3001","message":"no"}},
                            {"n":2,"worker":"b","duration_ms":3,"outcome":"failed","error":{"code":"TL3001","message":"no"}}]}"#,
        );
        let expected = "\
✘ failed  fail  t
TL2002 gave up
  attempt 1 on a: retried after 2.0 ms: TL3001 no
  attempt 2 on b: failed after 3.0 ms: TL3001 no
worker b · 2 attempts
";
        assert_eq!(summary(&record, None, PLAIN), expected);
        assert_eq!(line(&record, PLAIN), "✘ failed  fail  t  worker b · 2 attempts  TL2002 gave up");
    }

    #[test]
    fn what_is_large_or_no_json_is_named() {
        let aside = record(r#"{"status":"succeeded","result_ref":"obj://payloads/result-1"}"#);
        assert!(summary(&aside, None, PLAIN).contains("lies in obj://payloads/result-1; --output FILE"));
        let image = record(r#"{"status":"succeeded","result":"AAAA","content_type":"image/png"}"#);
        assert!(summary(&image, None, PLAIN).contains("about 3 B of image/png; --output FILE"));
        let many = (0..500).map(|n| n.to_string()).collect::<Vec<_>>().join(",");
        let long = record(&format!(r#"{{"status":"succeeded","result":[{many}]}}"#));
        assert!(summary(&long, None, PLAIN).contains("… 402 more lines; --json prints all"));
    }

    #[test]
    fn events_are_short() {
        let progress = serde_json::json!({"fraction": 0.42, "message": "page 3\n"});
        assert_eq!(event("progress", &progress), "42% page 3\\n");
        assert_eq!(
            event("started", &serde_json::json!({"worker": "w", "attempt": 2})),
            "started on w (attempt 2)"
        );
        assert_eq!(event("log", &serde_json::json!({"x": 1})), "log {\"x\":1}");
    }

    #[test]
    fn a_decision_shows_all_who_were_looked_at() {
        let decision: Route = serde_json::from_str(
            r#"{"pool":"document","score":0.97,"reason":"the best of 2","candidates":[
                {"pool":"document","score":0.97,"eligible":true,"why":"all capabilities"},
                {"pool":"generic","score":0.3,"eligible":false,"why":"lacks text_processing"}]}"#,
        )
        .unwrap();
        let expected = "\
document  the best of 2

   POOL      SCORE  WHY
→  document  0.970  all capabilities
✘  generic   0.300  lacks text_processing
";
        assert_eq!(route(&decision, PLAIN), expected);
        let nobody = Route { pool: "_".into(), reason: "TL4002 no worker".into(), ..Route::default() };
        assert_eq!(route(&nobody, PLAIN), "nobody can do it now: TL4002 no worker\n");
    }
}
