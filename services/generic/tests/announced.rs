//! What the task types announce: the schemas and rules that publishers and routers rely on. A change that breaks one
//! of these files breaks somebody's tasks.
//!
//! `TASKLANE_TEST_BLESS=1 cargo test -p tasklane-generic` writes the files anew, for a change that is meant.

use std::path::PathBuf;

use serde_json::{Value, json};
use tasklane_generic::{compute, echo, error};
use tasklane_runtime::contract::v1;

fn rule(rule: &v1::Rule) -> Value {
    json!({
        "required_capabilities": rule.required_capabilities,
        "preferred_worker_type": rule.preferred_worker_type,
        "max_processing_time_ms": rule.max_processing_time_ms,
        "memory_requirement_mb": rule.memory_requirement_mb,
        "max_attempts": rule.max_attempts,
    })
}

fn golden(name: &str, announced: &Value) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(format!("{name}.json"));
    if std::env::vars().any(|(key, _)| key == "TASKLANE_TEST_BLESS") {
        std::fs::write(&path, format!("{announced:#}\n"))
            .unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    }
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let expected: Value = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    assert_eq!(announced, &expected, "{name} no longer announces what {} holds", path.display());
}

#[test]
fn the_task_types_announce_what_they_did() {
    golden("echo", &json!({"schema": null, "rule": rule(&echo::rule())}));
    golden("compute", &json!({"schema": compute::schema(), "rule": rule(&compute::rule())}));
    golden("error", &json!({"schema": error::schema(), "rule": rule(&error::rule())}));
}

#[test]
fn the_schema_of_compute_takes_what_the_handler_takes() {
    let schema = jsonschema::validator_for(&compute::schema()).unwrap();
    for good in [
        json!({"expression": "a + 1", "inputs": {"a": 1}}),
        json!({"script": "let a = 1; a"}),
        json!({"expression": "1", "inputs": {}}),
    ] {
        assert!(schema.is_valid(&good), "{good}");
    }
    for bad in [
        json!({}),
        json!("1 + 1"),
        json!({"expression": ""}),
        json!({"expression": "1", "script": "1"}),
        json!({"expression": "1", "variables": {}}),
        json!({"expression": "a-b", "inputs": {"a-b": 1}}),
        json!({"expression": "1", "inputs": [1]}),
    ] {
        assert!(!schema.is_valid(&bad), "{bad}");
    }
}

#[test]
fn the_schema_of_error_takes_what_the_handler_takes() {
    let schema = jsonschema::validator_for(&error::schema()).unwrap();
    for mode in ["retriable", "permanent", "panic", "timeout", "exit", "out_of_memory", "flaky", "sleep"] {
        let good =
            json!({"mode": mode, "message": "m", "fail_attempts": 2, "retry_after_ms": 5, "delay_ms": 0});
        assert!(schema.is_valid(&good), "{good}");
    }
    for bad in [
        json!({}),
        json!({"mode": "panik"}),
        json!({"mode": "sleep", "delay_ms": -1}),
        json!({"mode": "sleep", "delay_ms": 3_600_001}),
        json!({"mode": "sleep", "wait_ms": 1}),
    ] {
        assert!(!schema.is_valid(&bad), "{bad}");
    }
}
