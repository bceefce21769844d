//! What is scraped, pinned as text.

use std::time::Duration;

use super::*;

/// The lines of one family. Series have no order of their own, so they are sorted.
fn family(text: &str, name: &str) -> String {
    let belongs = |line: &&str| {
        let rest = line.strip_prefix("# HELP ").or(line.strip_prefix("# TYPE ")).unwrap_or(line);
        rest.strip_prefix(name).is_some_and(|r| r.starts_with([' ', '{', '_']))
    };
    let (mut head, mut series): (Vec<_>, Vec<_>) =
        text.lines().filter(belongs).partition(|line| line.starts_with('#'));
    series.sort_unstable();
    head.extend(series);
    head.join("\n")
}

#[test]
fn counters_and_gauges_read_as_they_are_documented() {
    let metrics = Metrics::new("document");
    let echo = metrics.task("echo");
    echo.ended(Outcome::Succeeded);
    echo.ended(Outcome::Succeeded);
    echo.ended(Outcome::Expired);
    echo.retried();
    metrics.slots_total().set(8);
    metrics.slots_busy().set(3);
    metrics.lane_backlog("document", 1).set(17);
    metrics.dead_letters("echo", "TL2003").inc();
    metrics.router_decisions("document", "routed").inc_by(5);
    let text = metrics.encode();
    let expected = r#"# HELP tasklane_tasks Tasks that ended.
# TYPE tasklane_tasks counter
tasklane_tasks_total{task_type="echo",outcome="cancelled"} 0
tasklane_tasks_total{task_type="echo",outcome="expired"} 1
tasklane_tasks_total{task_type="echo",outcome="failed"} 0
tasklane_tasks_total{task_type="echo",outcome="succeeded"} 2
# HELP tasklane_slots Slots of this worker.
# TYPE tasklane_slots gauge
tasklane_slots{state="busy"} 3
tasklane_slots{state="total"} 8
# HELP tasklane_lane_backlog Tasks waiting on a lane.
# TYPE tasklane_lane_backlog gauge
tasklane_lane_backlog{pool="document",priority="1"} 17
# HELP tasklane_retries Attempts followed by another.
# TYPE tasklane_retries counter
tasklane_retries_total{task_type="echo"} 1
# HELP tasklane_dead_letters Tasks given up.
# TYPE tasklane_dead_letters counter
tasklane_dead_letters_total{task_type="echo",code="TL2003"} 1
# HELP tasklane_router_decisions Decisions of the router.
# TYPE tasklane_router_decisions counter
tasklane_router_decisions_total{pool="document",outcome="routed"} 5"#;
    let names = ["tasks", "slots", "lane_backlog", "retries", "dead_letters", "router_decisions"];
    let shown = names.map(|name| family(&text, &format!("tasklane_{name}"))).join("\n");
    assert_eq!(shown, expected, "{text}");
    assert!(text.ends_with("# EOF\n"), "{text}");
    assert!(text.contains("tasklane_service_info{service=\"document\",version="), "{text}");
}

#[test]
fn durations_fall_into_buckets_of_seconds() {
    let metrics = Metrics::new("test");
    let echo = metrics.task("echo");
    echo.duration(Duration::from_micros(700));
    echo.duration(Duration::from_secs(2));
    echo.queue_wait(Duration::from_millis(3));
    let text = metrics.encode();
    for line in [
        "# TYPE tasklane_task_duration_seconds histogram",
        "tasklane_task_duration_seconds_count{task_type=\"echo\"} 2",
        "tasklane_task_duration_seconds_bucket{le=\"0.0005\",task_type=\"echo\"} 0",
        "tasklane_task_duration_seconds_bucket{le=\"0.001\",task_type=\"echo\"} 1",
        "tasklane_task_duration_seconds_bucket{le=\"2.5\",task_type=\"echo\"} 2",
        "tasklane_task_duration_seconds_bucket{le=\"+Inf\",task_type=\"echo\"} 2",
        "tasklane_queue_wait_seconds_bucket{le=\"0.0025\",task_type=\"echo\"} 0",
        "tasklane_queue_wait_seconds_bucket{le=\"0.005\",task_type=\"echo\"} 1",
    ] {
        assert!(text.lines().any(|l| l == line), "{line}\nis not in\n{text}");
    }
}

#[test]
fn every_name_is_shown_once_and_starts_with_ours_or_process() {
    let metrics = Metrics::new("test");
    metrics.task("echo").ended(Outcome::Failed);
    metrics.counter("pages", "Pages read", ["format"]).with(["pdf"]).inc();
    let text = metrics.encode();
    let mut types: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
    assert!(types.iter().all(|t| t.starts_with("tasklane_") || t.starts_with("process_")), "{types:?}");
    let all = types.len();
    types.sort_unstable();
    types.dedup();
    assert_eq!(types.len(), all, "{text}");
}

#[test]
fn the_cost_of_the_process_is_shown() {
    let text = Metrics::new("test").encode();
    let value = |name: &str| -> f64 {
        let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("{text}"));
        line.trim().parse().unwrap()
    };
    assert!(value("process_cpu_seconds_total ") > 0.0);
    if std::path::Path::new("/proc/self/status").exists() {
        assert!(value("process_resident_memory_bytes ") > 1e6);
    } else {
        println!("skipped: this system has no /proc, so resident memory is not shown");
    }
    assert_eq!(value("tasklane_spans_total{outcome=\"dropped\"} "), 0.0);
}

#[test]
fn a_service_adds_its_own_and_may_ask_again() {
    let metrics = Metrics::new("test");
    metrics.counter("pages", "Pages read", ["format"]).with(["pdf"]).inc_by(3);
    metrics.counter("tasklane_pages_total", "Pages read", ["format"]).with(["pdf"]).inc();
    metrics.gauge("models", "Models loaded", []).with([]).set(2);
    metrics.histogram("page_bytes", "Size of pages", [], &[10.0, 100.0]).with([]).observe(50.0);
    let text = metrics.encode();
    for line in [
        "tasklane_pages_total{format=\"pdf\"} 4",
        "tasklane_models{} 2",
        "tasklane_page_bytes_bucket{le=\"100.0\"} 1",
    ] {
        assert!(text.lines().any(|l| l == line), "{line}\nis not in\n{text}");
    }
    // Of another kind under the same name: counted, but never in the text, which would be invalid.
    metrics.gauge("pages", "Pages", ["format"]).with(["pdf"]).set(9);
    assert_eq!(metrics.encode().matches("# TYPE tasklane_pages ").count(), 1);
}

#[test]
fn task_types_past_the_bound_are_one() {
    let metrics = Metrics::new("test");
    for n in 0..MAX_VALUES + 20 {
        metrics.task(&format!("type_{n}")).ended(Outcome::Succeeded);
    }
    let text = metrics.encode();
    let expected = "tasklane_tasks_total{task_type=\"other\",outcome=\"succeeded\"} 20";
    assert!(text.lines().any(|line| line == expected), "{text}");
    let types = text.lines().filter(|line| line.starts_with("tasklane_retries_total{")).count();
    assert_eq!(types, MAX_VALUES + 1);
}

#[test]
fn a_pool_that_is_gone_is_no_longer_shown() {
    let metrics = Metrics::new("test");
    for priority in 0..4 {
        metrics.lane_backlog("old", priority).set(1);
        metrics.lane_backlog("new", priority).set(1);
    }
    metrics.forget_pool("old");
    let text = metrics.encode();
    assert!(!text.contains("\"old\""), "{text}");
    assert_eq!(text.matches("pool=\"new\"").count(), 4);
}

#[test]
fn a_hostile_label_cannot_break_the_format() {
    let metrics = Metrics::new("test");
    metrics.dead_letters("x\"} 1\nfake 7", "c\\").inc();
    let text = metrics.encode();
    assert!(!text.lines().any(|line| line.starts_with("fake")), "{text}");
}
