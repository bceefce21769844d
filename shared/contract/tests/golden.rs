//! Golden files pin both encodings: what is on the wire today is read tomorrow. `TASKLANE_TEST_BLESS=1` writes them
//! anew; a change in them is a change of the contract and needs a reason.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, missing_docs)]

use std::collections::BTreeMap;
use std::path::PathBuf;

use bytes::Bytes;
use tasklane_contract::{Message, json, v1};

fn compare(name: &str, now: &[u8]) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    if std::env::var("TASKLANE_TEST_BLESS").is_ok() {
        std::fs::write(&path, now).unwrap();
    }
    let golden = std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    assert!(golden == now, "{name} is on the wire as\n{}\nand was pinned as\n{}", show(now), show(&golden));
}

fn show(bytes: &[u8]) -> String {
    std::str::from_utf8(bytes).map_or_else(|_| hex(bytes), str::to_owned)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn task() -> v1::Task {
    v1::Task {
        id: "01980000-0000-7000-8000-000000000001".into(),
        task_type: "document_analysis".into(),
        payload: Bytes::from_static(br#"{"source":"obj://documents/report.pdf"}"#),
        content_type: String::new(),
        payload_ref: String::new(),
        priority: v1::Priority::High.into(),
        tenant: "acme".into(),
        labels: BTreeMap::from([("order".into(), "42".into())]),
        created_at_us: 1_795_176_000_000_000,
        requirements: Some(v1::Requirements {
            required_capabilities: vec!["text_processing".into()],
            preferred_worker_type: "document_processor".into(),
            max_processing_time_ms: 30_000,
            memory_requirement_mb: 512,
        }),
        retry: Some(v1::Retry { max_attempts: 3 }),
        not_before_us: 0,
        deadline_us: 1_795_179_600_000_000,
    }
}

fn route() -> v1::Route {
    let candidate = |pool: &str, score, eligible| v1::Candidate {
        pool: pool.into(),
        score,
        why: format!("why {pool}"),
        eligible,
    };
    v1::Route {
        pool: "document".into(),
        score: 0.97,
        reason: "the best of 2".into(),
        candidates: vec![candidate("document", 0.97, true), candidate("generic", 0.68, false)],
    }
}

fn routed() -> v1::Routed {
    v1::Routed {
        task: Some(task()),
        needs: task().requirements,
        max_attempts: 3,
        route: Some(route()),
        attempts: vec![v1::Attempt {
            n: 1,
            worker: "document-7f".into(),
            started_at_us: 1_795_176_000_001_200,
            duration_ms: 12.4,
            outcome: "retried".into(),
            error: Some(v1::TaskError { code: "TL3002".into(), message: "too slow".into(), retriable: true }),
            pool: "document".into(),
        }],
        submitted_at_us: 1_795_176_000_000_400,
        routed_at_us: 1_795_176_000_000_800,
        reply_to: "_INBOX.abc".into(),
        encoding: v1::Encoding::Protobuf.into(),
        hops: 2,
    }
}

fn result() -> v1::TaskResult {
    let end = tasklane_contract::story::End::Succeeded(Bytes::from_static(br#"{"words":12}"#), String::new());
    tasklane_contract::story::result(
        routed(),
        end,
        "4bf92f3577b34da6a3ce929d0e0e4736".into(),
        1_795_176_000_013_600,
    )
}

fn announcement() -> v1::Announcement {
    v1::Announcement {
        worker: "document-7f".into(),
        pool: "document".into(),
        worker_type: "document_processor".into(),
        capabilities: vec!["text_processing".into()],
        task_types: vec![v1::TaskType {
            name: "document_analysis".into(),
            description: "Analyses a document".into(),
            schema_json: r#"{"type":"object"}"#.into(),
            rule: Some(v1::Rule {
                required_capabilities: vec!["text_processing".into()],
                preferred_worker_type: "document_processor".into(),
                max_processing_time_ms: 30_000,
                memory_requirement_mb: 512,
                max_attempts: 3,
            }),
            measured: Some(v1::Measured { count: 9, mean_ms: 10.0, p95_ms: 20.5, memory_p95_mb: 64.0 }),
        }],
        slots: 2,
        busy: 1,
        memory_mb: 1024,
        state: v1::WorkerState::Ready.into(),
        started_at_us: 1_795_176_000_000_000,
        version: "0.1.0".into(),
        resident_mb: 80,
        finished: 9,
    }
}

#[test]
fn protobuf_is_as_pinned() {
    let dead = tasklane_contract::story::dead_letter(
        routed(),
        v1::TaskError { code: "TL2002".into(), message: "gave up".into(), retriable: false },
        "work.text_processing.document.p1",
        1_795_176_000_020_000,
    );
    compare("task.pb", &task().encode_to_vec());
    compare("routed.pb", &routed().encode_to_vec());
    compare("result.pb", &result().encode_to_vec());
    compare("dead_letter.pb", &dead.encode_to_vec());
    compare("announcement.pb", &announcement().encode_to_vec());
}

#[test]
fn the_results_json_is_as_pinned() {
    compare("result.json", &json::encode_result(&result()));
    let binary = v1::TaskResult {
        result: Bytes::from_static(&[0, 159, 146]),
        content_type: "image/png".into(),
        ..result()
    };
    compare("result_binary.json", &json::encode_result(&binary));
    let failed = tasklane_contract::story::result(
        routed(),
        tasklane_contract::story::End::Failed(v1::TaskError {
            code: "TL2001".into(),
            message: "cannot \"be\" done".into(),
            retriable: false,
        }),
        String::new(),
        1_795_176_000_013_600,
    );
    compare("result_failed.json", &json::encode_result(&failed));
}

#[test]
fn a_submission_in_json_is_the_task() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/submission.json");
    let body = Bytes::from(std::fs::read(path).unwrap());
    assert_eq!(json::decode_task(&body).unwrap(), task());
}
