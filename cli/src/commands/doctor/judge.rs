//! What a doctor makes of what was found. Pure.

use serde_json::Value;
use tasklane_runtime::contract::streams::{ConsumerDef, StreamDef};

use crate::api::{Lanes, Workers};
use crate::format::{Paint, bytes, count, one_line, waits};

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// As it should be.
    Ok,
    /// Not looked at, or not needed.
    Skip,
    /// Works, and should be looked at.
    Warn,
    /// Does not work.
    Fail,
}

/// One check's outcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub level: Level,
    /// What was checked, in a word.
    pub what: &'static str,
    /// What was found.
    pub detail: String,
    /// How to mend it; empty where nothing is to be done.
    pub remedy: String,
}

impl Finding {
    /// As it should be.
    pub fn ok(what: &'static str, detail: impl Into<String>) -> Self {
        Self { level: Level::Ok, what, detail: detail.into(), remedy: String::new() }
    }

    /// Not looked at.
    pub fn skip(what: &'static str, detail: impl Into<String>) -> Self {
        Self { level: Level::Skip, ..Self::ok(what, detail) }
    }

    /// Should be looked at.
    pub fn warn(what: &'static str, detail: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { level: Level::Warn, what, detail: detail.into(), remedy: remedy.into() }
    }

    /// Does not work.
    pub fn fail(what: &'static str, detail: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { level: Level::Fail, ..Self::warn(what, detail, remedy) }
    }

    fn word(&self) -> &'static str {
        match self.level {
            Level::Ok => "ok",
            Level::Skip => "-",
            Level::Warn => "warn",
            Level::Fail => "fail",
        }
    }

    /// As one line, and a second one with the remedy.
    pub fn line(&self, paint: Paint) -> String {
        let word = format!("{:<4}", self.word());
        let word = match self.level {
            Level::Ok => paint.good(&word),
            Level::Skip => paint.dim(&word),
            Level::Warn => paint.warn(&word),
            Level::Fail => paint.bad(&word),
        };
        let line = format!("{word}  {:<9}  {}", self.what, one_line(&self.detail));
        if self.remedy.is_empty() { line } else { format!("{line}\n{:17}→ {}", "", self.remedy) }
    }

    /// For programs.
    pub fn to_json(&self) -> Value {
        let level = if self.level == Level::Skip { "skip" } else { self.word() };
        serde_json::json!({"level": level, "check": self.what, "detail": self.detail, "remedy": self.remedy})
    }
}

/// The last line.
pub fn verdict(findings: &[Finding], paint: Paint) -> String {
    let of = |level| findings.iter().filter(|f| f.level == level).count() as u64;
    match (of(Level::Fail), of(Level::Warn)) {
        (0, 0) => paint.good("all is well"),
        (0, warnings) => paint.warn(&format!("it works, with {}", count(warnings, "warning"))),
        (failures, warnings) => {
            paint.bad(&format!("{} and {}", count(failures, "failure"), count(warnings, "warning")))
        }
    }
}

/// Where a stream's stored configuration differs from its definition in what no operator may choose.
pub fn stream_drift(def: &StreamDef, config: &Value) -> Vec<String> {
    let mut drift = Vec::new();
    if let Some(text) = differing_list(&def.subjects, &config["subjects"]) {
        drift.push(format!("{} has the subjects {text}", def.name));
    }
    let retention = if def.work_queue { "workqueue" } else { "limits" };
    if config["retention"] != retention {
        drift.push(format!("{} has retention {}, not {retention}", def.name, config["retention"]));
    }
    if def.schedules && config["allow_msg_schedules"] != true {
        drift.push(format!("{} does not allow message schedules", def.name));
    }
    if config["allow_direct"] != true {
        drift.push(format!("{} does not allow direct reads", def.name));
    }
    if def.max_per_subject > 0 && config["max_msgs_per_subject"] != def.max_per_subject {
        drift.push(format!(
            "{} keeps {} messages a subject, not {}",
            def.name, config["max_msgs_per_subject"], def.max_per_subject
        ));
    }
    drift
}

/// Where a consumer's stored configuration differs from its definition.
pub fn consumer_drift(def: &ConsumerDef, config: &Value) -> Vec<String> {
    let one = config["filter_subject"].as_str().filter(|filter| !filter.is_empty());
    let filters = match one {
        Some(filter) => Value::from(vec![filter]),
        None => config["filter_subjects"].clone(),
    };
    let mut drift = Vec::new();
    if let Some(text) = differing_list(&def.filters, &filters) {
        drift.push(format!("{} has the filters {text}", def.name));
    }
    if config["ack_policy"] != "explicit" {
        drift.push(format!("{} has ack policy {}, not explicit", def.name, config["ack_policy"]));
    }
    drift
}

fn differing_list(wanted: &[String], found: &Value) -> Option<String> {
    let found: Vec<&str> = found.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let same = found.len() == wanted.len() && wanted.iter().all(|w| found.contains(&w.as_str()));
    (!same).then(|| format!("{}, not {}", found.join(" "), wanted.join(" ")))
}

/// Clocks: deadlines, delays and traces are made of them. `rtt_ms` is the uncertainty of the measurement.
pub fn clock(skew_ms: f64, rtt_ms: f64) -> Finding {
    let sure = (skew_ms.abs() - rtt_ms).max(0.0);
    let detail = format!("this machine and the NATS server differ by {sure:.0} ms at least");
    let remedy = "set both clocks by NTP: deadlines and delays are off by as much";
    match sure {
        sure if sure > 30_000.0 => Finding::fail("clock", detail, remedy),
        sure if sure > 1000.0 => Finding::warn("clock", detail, remedy),
        _ => Finding::ok("clock", format!("as the NATS server's (to {:.0} ms)", rtt_ms.ceil().max(1.0))),
    }
}

/// How full JetStream's store is; `None` for the bound where it has none.
pub fn storage(used: u64, bound: Option<u64>) -> Finding {
    let Some(bound) = bound.filter(|bound| *bound > 0) else {
        return Finding::ok("storage", format!("{} used, no bound set", bytes(used)));
    };
    let share = used as f64 / bound as f64;
    let detail = format!("{} of {} used ({:.0}%)", bytes(used), bytes(bound), share * 100.0);
    let remedy = "raise jetstream.max_file_store, keep results for less time, or take workers on: what cannot be stored is not accepted";
    match share {
        share if share >= 0.95 => Finding::fail("storage", detail, remedy),
        share if share >= 0.8 => Finding::warn("storage", detail, remedy),
        _ => Finding::ok("storage", detail),
    }
}

/// Every pool, and what waits for nobody.
pub fn pools(workers: &Workers, lanes: &Lanes) -> Vec<Finding> {
    let mut findings: Vec<Finding> = Vec::new();
    for lane in lanes.pools() {
        let waiting = lane.queued.all();
        let what = "pool";
        if lane.paused {
            let detail = format!("{} is paused, {}", lane.pool, waits(waiting));
            findings.push(Finding::warn(
                what,
                detail,
                format!("`tasklane resume {}` when it may go on", lane.pool),
            ));
        } else if !lane.live {
            let detail = format!("{}: no worker is there, {}", lane.pool, waits(waiting));
            let remedy = format!("start a worker of the pool {}", lane.pool);
            // Nobody there and nobody missed: it may have been scaled down on purpose.
            let judge = if waiting > 0 { Finding::fail } else { Finding::warn };
            findings.push(judge(what, detail, remedy));
        } else {
            let detail = format!(
                "{}: {}, {}, {}",
                lane.pool,
                count(lane.workers.into(), "worker"),
                count(lane.slots.into(), "slot"),
                waits(waiting)
            );
            findings.push(Finding::ok(what, detail));
        }
    }
    if lanes.waiting() > 0 {
        let detail = format!("{} for a worker that can", waits(lanes.waiting()));
        let remedy = "`tasklane explain TYPE` says who is missing: start that service";
        findings.push(Finding::warn("waiting", detail, remedy));
    }
    if workers.workers.is_empty() {
        let remedy = "start a service: `tasklane up` starts all, `tasklane-generic` alone is enough for echo";
        findings.push(Finding::fail("pool", "no worker is there: every task waits", remedy));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use tasklane_runtime::contract::streams::{self, Policy};

    #[test]
    fn what_is_as_defined_does_not_drift() {
        let defs = streams::streams(&Policy::default());
        let tasks = &defs[0];
        let good = serde_json::json!({"subjects": ["tasks.sched.>", "tasks.submit", "tasks.submit.*", "tasks.retry"],
            "retention": "workqueue", "allow_msg_schedules": true, "allow_direct": true});
        assert_eq!(stream_drift(tasks, &good), Vec::<String>::new());
        let bad = serde_json::json!({"subjects": ["tasks.>"], "retention": "limits", "allow_direct": true});
        let drift = stream_drift(tasks, &bad);
        assert_eq!(drift.len(), 3, "{drift:?}");
        assert!(
            drift[0].starts_with("TASKS has the subjects tasks.>, not tasks.submit tasks.submit.*"),
            "{drift:?}"
        );
    }

    #[test]
    fn one_filter_or_many_are_the_same() {
        let lane = streams::lane_consumer(
            "generic",
            tasklane_runtime::domain::priority::Priority::High,
            &Policy::default(),
        );
        let one = serde_json::json!({"filter_subject": "work.*.generic.p1", "ack_policy": "explicit"});
        let many = serde_json::json!({"filter_subjects": ["work.*.generic.p1"], "ack_policy": "explicit"});
        assert!(consumer_drift(&lane, &one).is_empty() && consumer_drift(&lane, &many).is_empty());
        assert_eq!(consumer_drift(&lane, &serde_json::json!({"ack_policy": "none"})).len(), 2);
    }

    #[test]
    fn levels_follow_the_measure() {
        let clocks = [(0.4, 1.0), (1500.0, 600.0), (-1500.0, 10.0), (60_000.0, 10.0)];
        let levels = clocks.map(|(skew, rtt)| clock(skew, rtt).level);
        assert_eq!(levels, [Level::Ok, Level::Ok, Level::Warn, Level::Fail]);
        let stores = [(10, None), (10, Some(100)), (85, Some(100)), (99, Some(100))];
        assert_eq!(
            stores.map(|(u, b)| storage(u, b).level),
            [Level::Ok, Level::Ok, Level::Warn, Level::Fail]
        );
    }

    #[test]
    fn each_pool_is_judged() {
        let lanes: Lanes = serde_json::from_str(
            r#"{"lanes":[{"pool":"a","live":true,"workers":2,"slots":8},{"pool":"b","paused":true},
                {"pool":"c","queued":{"normal":1}},{"pool":"_","queued":{"low":2}}]}"#,
        )
        .unwrap();
        let one: Workers = serde_json::from_str(r#"{"workers":[{"worker":"w"}]}"#).unwrap();
        let said: Vec<_> = pools(&one, &lanes).into_iter().map(|f| (f.level, f.detail)).collect();
        assert_eq!(
            said,
            [
                (Level::Ok, "a: 2 workers, 8 slots, 0 tasks wait".to_owned()),
                (Level::Warn, "b is paused, 0 tasks wait".to_owned()),
                (Level::Fail, "c: no worker is there, 1 task waits".to_owned()),
                (Level::Warn, "2 tasks wait for a worker that can".to_owned()),
            ]
        );
        assert_eq!(pools(&Workers::default(), &Lanes::default())[0].level, Level::Fail);
    }

    #[test]
    fn a_line_says_what_to_do() {
        let plain = Paint { on: false };
        let finding = Finding::warn("clock", "off", "set it");
        assert_eq!(finding.line(plain), "warn  clock      off\n                 → set it");
        assert_eq!(verdict(std::slice::from_ref(&finding), plain), "it works, with 1 warning");
        assert_eq!(verdict(&[Finding::fail("x", "", ""), finding], plain), "1 failure and 1 warning");
        assert_eq!(verdict(&[Finding::skip("x", "")], plain), "all is well");
    }
}
