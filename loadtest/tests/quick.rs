//! The load test itself works: it starts a stack, loses nothing, measures everything once, and leaves nobody behind.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// The program and, beside it, the services; `None` with a word where they were not built.
fn services_are_built(program: &Path) -> bool {
    let missing = ["tasklane-router", "tasklane-generic", "tasklane-openai-proxy"]
        .into_iter()
        .find(|name| !program.with_file_name(name).exists());
    if let Some(name) = missing {
        let path = program.with_file_name(name);
        println!("SKIPPED: quick: absent: {} (`cargo build --workspace --bins` makes it)", path.display());
    }
    missing.is_none()
}

#[test]
fn a_quick_run_measures_everything_and_loses_nothing() {
    let program = Path::new(env!("CARGO_BIN_EXE_tasklane-loadtest"));
    if !services_are_built(program) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let json = folder.path().join("report.json");
    let ran = Command::new(program).args(["--quick", "--json"]).arg(&json).output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    if said.contains("there is no nats-server") {
        println!("SKIPPED: quick: absent: nats-server");
        return;
    }
    assert!(ran.status.success(), "{said}");
    let report: Value = serde_json::from_slice(&std::fs::read(&json).unwrap()).unwrap();
    let ways = report["throughput"]["medians"].as_array().unwrap();
    assert_eq!(ways.len(), 3);
    for way in ways {
        assert!(
            way["tasks_per_s"].as_f64().unwrap() > 0.0 && way["product_ratio"].as_f64().unwrap() > 0.0,
            "{way}"
        );
        for process in ["nats-server", "router", "worker", "loadtest"] {
            assert!(way["cpu_us"][process].is_number(), "{way}");
        }
    }
    for way in report["latency"]["ways"].as_array().unwrap() {
        assert_eq!(way["tasks"], 200);
        assert!(way["p50_ms"].as_f64().unwrap() <= way["max_ms"].as_f64().unwrap(), "{way}");
    }
    assert!(report["tracing"]["spans"].as_u64().unwrap() >= 40, "{report}");
    assert_eq!(report["memory"]["resident_kib"]["router"].as_array().unwrap().len(), 20);
    model_calls_are_measured(&report["models"]);
    assert!(!report["bars"].as_array().unwrap().is_empty());
}

fn model_calls_are_measured(models: &Value) {
    let latency = &models["latency"];
    for way in latency["ways"].as_array().unwrap() {
        assert_eq!(way["calls"], 100, "{way}");
        assert!(
            way["whole"]["p50_ms"].as_f64().unwrap() <= way["whole"]["max_ms"].as_f64().unwrap(),
            "{way}"
        );
    }
    // Every call of the proxy's is a span, and every stream.
    assert!(latency["spans"].as_u64().unwrap() >= 125, "{latency}");
    let ways = models["throughput"]["medians"].as_array().unwrap();
    assert_eq!(ways.len(), 2);
    assert!(
        ways[1]["calls_per_s"].as_f64().unwrap() > 0.0 && ways[1]["cpu_us"]["proxy"].is_number(),
        "{ways:?}"
    );
    let memory = &models["memory"];
    assert_eq!((&memory["broken"], &memory["left"]), (&40.into(), &40.into()), "{memory}");
    assert_eq!(memory["resident_kib"].as_array().unwrap().len(), 20);
    let budgets = &models["budgets"];
    assert!(
        budgets["kills"].as_u64().unwrap() >= 1 && budgets["mean_served"].as_f64().unwrap() > 0.5,
        "{budgets}"
    );
    for wrong in ["exceeded", "undercharged", "inexact", "stuck", "stuck_minute"] {
        assert_eq!(budgets[wrong], 0, "{budgets}");
    }
}

#[test]
fn the_ml_service_is_measured_beside_the_others() {
    let program = Path::new(env!("CARGO_BIN_EXE_tasklane-loadtest"));
    if let Some(missing) =
        ["tasklane-router", "tasklane-ml"].into_iter().find(|name| !program.with_file_name(name).exists())
    {
        println!("SKIPPED: ml: absent: {}", program.with_file_name(missing).display());
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let json = folder.path().join("report.json");
    let ran = Command::new(program)
        .args(["ml-embeddings", "ml-memory", "--quick", "--json"])
        .arg(&json)
        .output()
        .unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    if said.contains("there is no nats-server") || said.contains("`scripts/setup.sh ml-peers`") {
        println!("SKIPPED: ml: absent: nats-server, or the packages that the ml service is compared with");
        return;
    }
    assert!(ran.status.success(), "{said}");
    let report: Value = serde_json::from_slice(&std::fs::read(&json).unwrap()).unwrap();
    let embeddings = &report["ml"]["embeddings"];
    assert_eq!((&embeddings["texts"], embeddings["ways"].as_array().map(Vec::len)), (&64.into(), Some(5)));
    for way in embeddings["ways"].as_array().unwrap() {
        assert!(way["rates"][0].as_f64().unwrap() > 0.0 && way["cpu_ms"][0].as_f64().unwrap() > 0.0, "{way}");
    }
    assert!(embeddings["cosines"][0]["least"].as_f64().unwrap() > 0.999, "{embeddings}");
    let memory = &report["ml"]["memory"];
    assert_eq!(
        (&memory["requests"], memory["resident_kib"].as_array().map(Vec::len)),
        (&400.into(), Some(20))
    );
}

#[test]
fn vectors_are_put_and_searched_through_the_platform() {
    let program = Path::new(env!("CARGO_BIN_EXE_tasklane-loadtest"));
    if let Some(missing) = ["tasklane-router", "tasklane-vector-indexer"]
        .into_iter()
        .find(|name| !program.with_file_name(name).exists())
    {
        println!("SKIPPED: vectors: absent: {}", program.with_file_name(missing).display());
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let json = folder.path().join("report.json");
    let ran =
        Command::new(program).args(["vectors-platform", "--quick", "--json"]).arg(&json).output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    if said.contains("there is no nats-server") {
        println!("SKIPPED: vectors: absent: nats-server");
        return;
    }
    assert!(ran.status.success(), "{said}");
    let report: Value = serde_json::from_slice(&std::fs::read(&json).unwrap()).unwrap();
    let platform = &report["vectors"]["platform"];
    assert!(platform["upserts_per_s"].as_f64().unwrap() > 0.0, "{platform}");
    let searches = platform["searches"].as_array().unwrap();
    assert_eq!(searches.len(), 4);
    for searches in searches {
        assert!(searches["rates"][0].as_f64().unwrap() > 0.0, "{searches}");
        assert!(searches["recall"].as_f64().unwrap() > 0.9, "{searches}");
    }
}

#[test]
fn what_is_not_there_is_said_and_fails() {
    let program = env!("CARGO_BIN_EXE_tasklane-loadtest");
    let ran =
        Command::new(program).args(["throughput", "--nats-server", "no/such/nats-server"]).output().unwrap();
    let said = String::from_utf8_lossy(&ran.stderr);
    assert!(!ran.status.success() && said.contains("no/such/nats-server"), "{said}");
}
