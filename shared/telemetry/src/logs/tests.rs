//! Log lines as they are written.

use std::io::Write;
use std::sync::{Arc, Mutex};

use super::*;

#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// What `log` writes under these directives.
fn written(layer: impl FnOnce(Sink) -> BoxedLayer, directives: &str, log: impl FnOnce()) -> String {
    let sink = Sink::default();
    let subscriber = Registry::default().with(layer(sink.clone()).with_filter(filter(directives).unwrap()));
    tracing::subscriber::with_default(subscriber, log);
    let bytes = sink.0.lock().unwrap().clone();
    String::from_utf8(bytes).unwrap()
}

fn json(log: impl FnOnce()) -> Vec<Value> {
    let text = written(|sink| json_layer("router", move || sink.clone()), "info", log);
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_line_within_a_task_has_its_ids_at_the_top() {
    let trace = TraceContext::parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", None).unwrap();
    let lines = json(|| {
        let task = task_log_span("0197", "echo", Some(&trace));
        let _entered = task.enter();
        let _inner = tracing::info_span!("step", page = 3).entered();
        tracing::info!(bytes = 42u64, "read \"it\"");
    });
    assert_eq!(lines.len(), 1);
    let line = &lines[0];
    assert_eq!(line["task_id"], "0197");
    assert_eq!(line["task_type"], "echo");
    assert_eq!(line["trace_id"], "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_eq!(line["page"], 3);
    assert_eq!(line["bytes"], 42);
    assert_eq!(line["message"], "read \"it\"");
    assert_eq!(line["level"], "INFO");
    assert_eq!(line["service"], "router");
    assert!(line["timestamp"].as_str().unwrap().ends_with('Z'), "{line}");
}

#[test]
fn ids_may_also_stand_on_the_line_itself() {
    let lines = json(|| tracing::warn!(task_id = "0198", trace_id = %"abc", "late"));
    assert_eq!((&lines[0]["task_id"], &lines[0]["trace_id"]), (&"0198".into(), &"abc".into()));
}

#[test]
fn nobody_overwrites_what_the_log_says_of_itself() {
    let lines = json(|| {
        let _span = tracing::info_span!("s", level = "none", message = "from the span").entered();
        tracing::info!(service = "forged", "real");
    });
    assert_eq!((&lines[0]["level"], &lines[0]["message"]), (&"INFO".into(), &"real".into()));
    assert_eq!(lines[0]["service"], "router");
}

#[test]
fn a_line_is_one_line_whatever_is_in_it() {
    let lines = json(|| tracing::info!(text = "a\nb\u{1b}[31m", "one\ntwo"));
    assert_eq!(lines.len(), 1);
    assert_eq!(lines[0]["message"], "one\ntwo");
}

#[test]
fn human_lines_have_the_fields_too() {
    let layer = |sink: Sink| human_layer(false, move || sink.clone());
    let text = written(layer, "info", || {
        let _task = task_log_span("0197", "echo", None).entered();
        tracing::info!("done");
    });
    assert!(text.contains("done") && text.contains("task_id=\"0197\""), "{text}");
}

#[test]
fn libraries_are_quiet_unless_they_are_named() {
    let library = || tracing::info!(target: "async_nats::connector", "connected");
    let layer = |sink: Sink| json_layer("t", move || sink.clone());
    assert_eq!(written(layer, "info", library), "");
    assert_ne!(written(layer, "info,async_nats=info", library), "");
}

#[test]
fn a_level_that_is_none_is_an_error_with_a_code() {
    for odd in ["warning", "loud", "info,tasklane_runtime"] {
        assert_eq!(filter(odd).unwrap_err().code(), "TL9801", "{odd}");
    }
    for good in ["warn", "INFO", "warn,tasklane_runtime=debug", "off"] {
        assert!(filter(good).is_ok(), "{good}");
    }
    let error = filter("info,=,[").unwrap_err();
    assert_eq!(error.code(), "TL9801");
    assert!(error.to_string().contains("info,=,["), "{error}");
}
