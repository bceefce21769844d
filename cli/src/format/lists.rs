//! Workers, lanes, dead letters: the tables of an operator.

use super::{Paint, bytes, count, json, ms, one_line, table::Table, waits};
use crate::api::{Dead, DeadList, Explanation, Lane, Lanes, Workers};
use crate::format::result;

/// Every worker.
pub fn workers(said: &Workers, paint: Paint) -> String {
    if said.workers.is_empty() {
        return "no worker is there; start a service (`tasklane up` starts all)\n".to_owned();
    }
    let mut table = Table::new(&[
        "WORKER",
        "POOL",
        "TYPE",
        "STATE",
        ">BUSY",
        ">DONE",
        ">MEMORY",
        ">HEARD",
        "VERSION",
        "CAPABILITIES",
    ]);
    for w in &said.workers {
        table.row([
            &w.worker,
            &w.pool,
            &w.worker_type,
            &w.state,
            &format!("{}/{}", w.busy, w.slots),
            &w.finished.to_string(),
            &format!("{} MB", w.resident_mb),
            &format!("{} ago", ms(w.age_ms as f64)),
            &w.version,
            &w.capabilities.join(" "),
        ]);
    }
    table.render(paint)
}

/// Every task type that a worker serves.
pub fn task_types(said: &Workers, paint: Paint) -> String {
    let mut rows: Vec<[String; 6]> = Vec::new();
    for w in &said.workers {
        for t in &w.task_types {
            let measured = t.measured.as_ref().filter(|m| m.count > 0);
            let shown = |value: Option<f64>| value.map_or("-".to_owned(), ms);
            rows.push([
                t.name.clone(),
                w.worker.clone(),
                measured.map_or("0".to_owned(), |m| m.count.to_string()),
                shown(measured.map(|m| m.mean_ms)),
                shown(measured.map(|m| m.p95_ms)),
                t.description.clone().unwrap_or_default(),
            ]);
        }
    }
    rows.sort();
    let mut table = Table::new(&["TASK TYPE", "WORKER", ">DONE", ">MEAN", ">P95", "DESCRIPTION"]);
    rows.into_iter().for_each(|row| table.row(row));
    if table.is_empty() {
        "no worker is there, so no task type is served\n".to_owned()
    } else {
        table.render(paint)
    }
}

fn state(lane: &Lane) -> &'static str {
    match lane {
        l if l.paused => "paused",
        l if l.live => "live",
        _ => "gone",
    }
}

/// Every pool with its lanes, then the streams.
pub fn lanes(said: &Lanes, paint: Paint) -> String {
    let mut table = Table::new(&[
        "POOL",
        "STATE",
        ">WORKERS",
        ">SLOTS",
        ">RUNNING",
        ">CRITICAL",
        ">HIGH",
        ">NORMAL",
        ">LOW",
        ">WAIT",
    ]);
    for l in said.pools() {
        table.row([
            &l.pool,
            state(l),
            &l.workers.to_string(),
            &l.slots.to_string(),
            &l.running.to_string(),
            &l.queued.critical.to_string(),
            &l.queued.high.to_string(),
            &l.queued.normal.to_string(),
            &l.queued.low.to_string(),
            &l.expected_wait_ms.map_or("-".to_owned(), ms),
        ]);
    }
    let mut streams = Table::new(&["STREAM", ">MESSAGES", ">SIZE"]);
    for (name, stream) in &said.streams {
        streams.row([name, &stream.messages.to_string(), &bytes(stream.bytes)]);
    }
    let mut out = if table.is_empty() { "no pool is there\n".to_owned() } else { table.render(paint) };
    if said.waiting() > 0 {
        let waiting =
            format!("{} for a worker that can; `tasklane explain TYPE` says why", waits(said.waiting()));
        out += &format!("{}\n", paint.warn(&waiting));
    }
    if !streams.is_empty() {
        out += &format!("\n{}", streams.render(paint));
    }
    out
}

/// Who would get a task, and what it was taken to need.
pub fn explanation(said: &Explanation, paint: Paint) -> String {
    let needs = &said.needs;
    let mut parts = Vec::new();
    if !needs.required_capabilities.is_empty() {
        parts.push(needs.required_capabilities.join(" + "));
    }
    parts.extend(needs.preferred_worker_type.iter().map(|t| format!("preferably {t}")));
    parts.extend(needs.max_processing_time_ms.map(|t| format!("at most {}", ms(t as f64))));
    parts.extend(needs.memory_requirement_mb.map(|mb| format!("{mb} MB")));
    let needs = if parts.is_empty() { "nothing in particular".to_owned() } else { parts.join(", ") };
    format!("{}{}\n", result::route(&said.route, paint), paint.dim(&format!("needs: {}", one_line(&needs))))
}

/// Dead letters, one line each.
pub fn dead(said: &DeadList, paint: Paint) -> String {
    if said.dead.is_empty() {
        return "no dead letters\n".to_owned();
    }
    let mut table = Table::new(&[">NUMBER", "DIED", "TASK TYPE", "TASK", "REPLAY", "WHY"]);
    for d in &said.dead {
        let why = d.error.as_ref().map(|e| format!("{} {}", e.code, e.message)).unwrap_or_default();
        table.row([
            d.sequence.to_string(),
            d.died_at.as_deref().map(short_time).unwrap_or_default(),
            d.task_type.clone().unwrap_or("-".to_owned()),
            d.task_id.clone().unwrap_or("-".to_owned()),
            if d.replayable { "yes" } else { "no" }.to_owned(),
            why,
        ]);
    }
    let mut out = table.render(paint);
    if let Some(next) = said.next {
        out += &format!("{}\n", paint.dim(&format!("more: tasklane dead list --after {next}")));
    }
    out
}

/// To the second, for a table.
fn short_time(rfc3339: &str) -> String {
    rfc3339.split('.').next().unwrap_or_default().trim_end_matches('Z').replace('T', " ")
}

/// A dead letter in full.
pub fn dead_letter(d: &Dead, paint: Paint) -> String {
    let known = |text: &Option<String>| one_line(text.as_deref().unwrap_or("unknown"));
    let mut out = format!(
        "{}  {}  {}\n",
        paint.bold(&format!("dead letter {}", d.sequence)),
        known(&d.task_type),
        paint.dim(&known(&d.task_id))
    );
    if let Some(error) = &d.error {
        out += &format!("{}\n", paint.bad(&one_line(&format!("{} {}", error.code, error.message))));
    }
    out += &format!("died {} on {}\n", known(&d.died_at), one_line(&d.subject));
    for a in &d.attempts {
        let why = a.error.as_ref().map(|e| format!(": {} {}", e.code, e.message)).unwrap_or_default();
        let line =
            format!("  attempt {} on {}: {} after {}{why}", a.n, a.worker, a.outcome, ms(a.duration_ms));
        out += &format!("{}\n", one_line(&line));
    }
    if let Some(route) = d.route.as_ref().filter(|r| !r.pool.is_empty()) {
        out += &format!(
            "pool {} (score {:.2}) {}\n",
            one_line(&route.pool),
            route.score,
            one_line(&route.reason)
        );
    }
    if let Some(payload) = &d.payload {
        out += &format!("payload:\n{}\n", json::indent(payload.get()));
    }
    if let Some(raw) = &d.raw {
        out += &format!("as it came ({}):\n{}\n", bytes(raw.len() as u64), one_line(raw));
    }
    let last = match d.replayable {
        true => format!("tasklane dead replay {} submits it again", d.sequence),
        false => "it was refused as it came, so there is nothing to replay; submit it mended".to_owned(),
    };
    out + &format!("{}\n", paint.dim(&last))
}

/// One page for `top`: totals, pools, workers. At most `height` lines.
pub fn top(lanes_said: &Lanes, workers_said: &Workers, height: usize, paint: Paint) -> String {
    let sum = |of: fn(&Lane) -> u64| lanes_said.pools().map(of).sum::<u64>();
    let done: u64 = workers_said.workers.iter().map(|w| w.finished).sum();
    let mut out = format!(
        "{}  {} queued · {} running · {} finished\n\n",
        paint.bold("tasklane"),
        sum(|l| l.queued.all()),
        sum(|l| l.running),
        done
    );
    out += &lanes(lanes_said, paint);
    out.push('\n');
    let mut busiest = Table::new(&["WORKER", "POOL", "STATE", ">BUSY", ">DONE", ">MEMORY"]);
    let mut order: Vec<_> = workers_said.workers.iter().collect();
    order.sort_by(|a, b| b.busy.cmp(&a.busy).then_with(|| a.worker.cmp(&b.worker)));
    for w in order {
        busiest.row([
            &w.worker,
            &w.pool,
            &w.state,
            &format!("{}/{}", w.busy, w.slots),
            &w.finished.to_string(),
            &format!("{} MB", w.resident_mb),
        ]);
    }
    out += &busiest.render(paint);
    let (shown, left) = json::head(&out, height.saturating_sub(1).max(1));
    if left == 0 { out } else { format!("{shown}\n{}\n", paint.dim(&count(left as u64, "more line"))) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::de::DeserializeOwned;

    const PLAIN: Paint = Paint { on: false };

    fn from<T: DeserializeOwned>(json: &str) -> T {
        serde_json::from_str(json).unwrap()
    }

    const LANES: &str = r#"{"lanes":[
        {"pool":"document","live":true,"paused":false,"workers":2,"slots":8,
         "queued":{"critical":0,"high":1,"normal":20,"low":300},"running":8,"expected_wait_ms":1234.5},
        {"pool":"_","live":false,"paused":false,"workers":0,"slots":0,
         "queued":{"critical":0,"high":0,"normal":3,"low":0},"running":1,"expected_wait_ms":null}],
        "streams":{"WORK":{"messages":321,"bytes":20480}}}"#;

    const WORKERS: &str = r#"{"workers":[
        {"worker":"document-7f","pool":"document","worker_type":"document_processor","capabilities":["text_processing"],
         "task_types":[{"name":"document_analysis","description":"Reads a document","rule":{},"schema":null,
                        "measured":{"count":3,"mean_ms":12.0,"p95_ms":40}},
                       {"name":"chunk","description":null,"measured":null}],
         "slots":4,"busy":1,"state":"ready","memory_mb":0,"resident_mb":35,"started_at":"x","version":"0.1.0",
         "finished":17,"age_ms":400,"new_field":1}]}"#;

    #[test]
    fn lanes_and_streams() {
        let expected = "\
POOL      STATE  WORKERS  SLOTS  RUNNING  CRITICAL  HIGH  NORMAL  LOW   WAIT
document  live         2      8        8         0     1      20  300  1.2 s
4 tasks wait for a worker that can; `tasklane explain TYPE` says why

STREAM  MESSAGES     SIZE
WORK         321  20.0 KB
";
        assert_eq!(lanes(&from(LANES), PLAIN), expected);
    }

    #[test]
    fn workers_and_their_task_types() {
        let expected = "\
WORKER       POOL      TYPE                STATE  BUSY  DONE  MEMORY       HEARD  VERSION  CAPABILITIES
document-7f  document  document_processor  ready   1/4    17   35 MB  400 ms ago  0.1.0    text_processing
";
        assert_eq!(workers(&from(WORKERS), PLAIN), expected);
        let expected = "\
TASK TYPE          WORKER       DONE   MEAN    P95  DESCRIPTION
chunk              document-7f     0      -      -
document_analysis  document-7f     3  12 ms  40 ms  Reads a document
";
        assert_eq!(task_types(&from(WORKERS), PLAIN), expected);
        assert!(workers(&Workers::default(), PLAIN).starts_with("no worker is there"));
    }

    #[test]
    fn dead_letters() {
        let list = r#"{"dead":[{"sequence":7,"task_id":"t-1","task_type":"fail","tenant":"","error":
            {"code":"TL2002","message":"gave up"},"died_at":"2026-11-20T12:00:00.123456Z","replayable":true,
            "attempts":[{"n":1,"worker":"w","duration_ms":3,"outcome":"failed"}],"payload":{"x":1},"raw":null,
            "subject":"work.any.generic.p2"},
            {"sequence":8,"task_id":null,"task_type":null,"error":{"code":"TL1001","message":"not JSON"},
             "died_at":"2026-11-20T12:00:01Z","replayable":false,"raw":"{oops\n"}],"next":9}"#;
        let list: DeadList = from(list);
        let expected = "\
NUMBER  DIED                 TASK TYPE  TASK  REPLAY  WHY
     7  2026-11-20 12:00:00  fail       t-1   yes     TL2002 gave up
     8  2026-11-20 12:00:01  -          -     no      TL1001 not JSON
more: tasklane dead list --after 9
";
        assert_eq!(dead(&list, PLAIN), expected);
        let expected = "\
dead letter 7  fail  t-1
TL2002 gave up
died 2026-11-20T12:00:00.123456Z on work.any.generic.p2
  attempt 1 on w: failed after 3.0 ms
payload:
{
  \"x\": 1
}
tasklane dead replay 7 submits it again
";
        assert_eq!(dead_letter(&list.dead[0], PLAIN), expected);
        assert!(dead_letter(&list.dead[1], PLAIN).contains("as it came (6 B):\n{oops\\n\nit was refused"));
        assert_eq!(dead(&DeadList::default(), PLAIN), "no dead letters\n");
    }

    #[test]
    fn needs_are_said_in_words() {
        let said: Explanation = from(
            r#"{"needs":{"required_capabilities":["a","b"],"preferred_worker_type":"w","max_processing_time_ms":30000,
                "memory_requirement_mb":512},"route":{"pool":"p","score":1,"reason":"best score","candidates":[]}}"#,
        );
        let text = explanation(&said, PLAIN);
        assert!(text.ends_with("needs: a + b, preferably w, at most 30.0 s, 512 MB\n"), "{text}");
    }

    #[test]
    fn top_fits_the_terminal() {
        let page = top(&from(LANES), &from(WORKERS), 100, PLAIN);
        assert!(page.starts_with("tasklane  321 queued · 8 running · 17 finished\n"), "{page}");
        assert!(page.contains("document-7f  document  ready   1/4    17   35 MB"), "{page}");
        let short = top(&from(LANES), &from(WORKERS), 5, PLAIN);
        assert_eq!(short.lines().count(), 5, "{short}");
        assert!(short.ends_with("more lines\n"));
    }
}
