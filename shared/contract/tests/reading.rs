//! Reading submissions: every mistake has its code, and no bytes whatever make the reader panic.
#![allow(clippy::unwrap_used, missing_docs)]

use bytes::Bytes;
use proptest::prelude::*;
use tasklane_contract::submission::{self, Incoming, Limits, Rejected, Submission};
use tasklane_contract::{Message, code, headers, v1};

fn read_with(subject: &str, body: &[u8], given: &[(&str, &str)]) -> Result<Submission, Box<Rejected>> {
    let header = |name: &str| given.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned());
    let incoming = Incoming {
        subject,
        header: &header,
        body: &Bytes::copy_from_slice(body),
        stream: "TASKS",
        sequence: 7,
        stored_at_us: 1_795_176_000_000_000,
    };
    submission::read(&incoming, &Limits::default())
}

fn read(body: &str) -> Result<Submission, Box<Rejected>> {
    read_with("tasks.submit", body.as_bytes(), &[])
}

fn refused(body: &str) -> String {
    let rejected = read(body).unwrap_err();
    assert!(!rejected.task_id.is_empty(), "there is an id to answer to");
    format!("{}", rejected.refusal)
}

#[test]
fn every_mistake_has_its_code_and_names_its_place() {
    let deep = format!(r#"{{"task_type":"echo","payload":{}{}}}"#, "[".repeat(200), "]".repeat(200));
    let cases = [
        ("hello", "TL1001", "line 1"),
        (r#"{"task_type":"echo","payload":1"#, "TL1001", "EOF"),
        (r#"{"task_type":7,"payload":1}"#, "TL1002", "expected"),
        (r#"{"task_type":"echo","payload":1,"labels":[1]}"#, "TL1002", "invalid type"),
        (r#"{"task_type":"echo","paylod":1}"#, "TL1003", "`paylod`"),
        (r#"{"task_type":"echo","payload":1,"requirements":{"memory":1}}"#, "TL1003", "`memory`"),
        (r#"{"payload":1}"#, "TL1004", "`task_type`"),
        (r#"{"task_type":"echo"}"#, "TL1004", "`payload`"),
        (deep.as_str(), "TL1007", "64 levels"),
        (r#"{"task_type":"no such.type","payload":1}"#, "TL1008", "`task_type`"),
        (r#"{"task_type":"echo","payload":1,"tenant":"a b"}"#, "TL1008", "`tenant`"),
        (
            r#"{"task_type":"echo","payload":1,"requirements":{"max_processing_time_ms":0}}"#,
            "TL1009",
            "max_processing_time_ms",
        ),
        (r#"{"task_type":"echo","payload":1,"retry":{"max_attempts":1000}}"#, "TL1009", "max_attempts"),
        (r#"{"task_type":"echo","payload":1,"id":"a.b"}"#, "TL1012", "`id`"),
        (r#"{"task_type":"echo","payload":1,"deadline":"tomorrow"}"#, "TL1013", "`deadline`"),
        (
            r#"{"task_type":"echo","payload":1,"not_before":"2026-11-20T13:00:00Z","deadline":"2026-11-20T12:00:00Z"}"#,
            "TL1013",
            "not_before",
        ),
        (r#"{"task_type":"echo","payload_ref":"report.pdf"}"#, "TL1014", "obj://"),
        (r#"{"task_type":"echo","payload":1,"payload_ref":"obj://payloads/x"}"#, "TL1014", "both"),
        (r#"{"task_type":"echo","payload":1,"priority":"urgent"}"#, "TL1002", "critical, high, normal, low"),
    ];
    for (body, code, place) in cases {
        let text = refused(body);
        assert!(
            text.starts_with(code) && text.contains(place),
            "{body}\n gave {text}\n not {code} with {place}"
        );
    }
}

#[test]
fn size_and_utf8_are_checked_before_a_parser_sees_the_body() {
    let large = vec![b' '; 2 << 20];
    assert_eq!(read_with("tasks.submit", &large, &[]).unwrap_err().refusal.code, code::TOO_LARGE);
    let bad = b"{\"task_type\":\"echo\",\"payload\":\"\xff\"}";
    let rejected = read_with("tasks.submit", bad, &[]).unwrap_err();
    assert_eq!(rejected.refusal.code, code::NOT_UTF8);
    assert!(rejected.refusal.message.contains("byte 31"), "{}", rejected.refusal);
    let proto = [(headers::CONTENT_TYPE, headers::PROTOBUF)];
    assert_eq!(read_with("tasks.submit", b"\xff\xff", &proto).unwrap_err().refusal.code, code::NOT_PROTOBUF);
}

#[test]
fn names_come_in_both_cases_and_brackets_in_strings_do_not_count() {
    let text = format!(r#"{{"task_type":"DocumentAnalysis","payload":"{}"}}"#, "[".repeat(500));
    assert_eq!(read(&text).unwrap().task.task_type, "document_analysis");
    let text = r#"{"task_type":"echo","payload":1,"requirements":{"required_capabilities":["TextProcessing"],"preferred_worker_type":"DocumentProcessor"}}"#;
    let needs = read(text).unwrap().task.requirements.unwrap();
    assert_eq!(needs.required_capabilities, ["text_processing"]);
    assert_eq!(needs.preferred_worker_type, "document_processor");
}

#[test]
fn a_bare_payload_takes_the_rest_from_headers() {
    let given = [
        (headers::PRIORITY, "high"),
        (headers::TENANT, "acme"),
        (headers::MSG_ID, "invoice-42"),
        (headers::REPLY_TO, "_INBOX.x"),
    ];
    let read = read_with("tasks.submit.Echo", b"[1,2]", &given).unwrap();
    assert_eq!((read.task.id.as_str(), read.task.task_type.as_str()), ("invoice-42", "echo"));
    assert_eq!((read.task.priority(), read.task.tenant.as_str()), (v1::Priority::High, "acme"));
    assert_eq!((read.reply_to.as_str(), &read.task.payload[..]), ("_INBOX.x", &b"[1,2]"[..]));
    assert_eq!(read_with("tasks.submit.echo", b"{", &[]).unwrap_err().refusal.code, code::NOT_JSON);
    let text = [(headers::CONTENT_TYPE, "text/plain")];
    assert_eq!(&read_with("tasks.submit.echo", b"{", &text).unwrap().task.payload[..], b"{");
}

#[test]
fn the_same_stored_message_is_the_same_task() {
    let body = r#"{"task_type":"echo","payload":1}"#;
    assert_eq!(read(body).unwrap().task.id, read(body).unwrap().task.id);
}

proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(body in proptest::collection::vec(any::<u8>(), 0..600), proto: bool, bare: bool) {
        let subject = if bare { "tasks.submit.echo" } else { "tasks.submit" };
        let given: &[(&str, &str)] = if proto { &[(headers::CONTENT_TYPE, headers::PROTOBUF)] } else { &[] };
        if let Err(rejected) = read_with(subject, &body, given) {
            prop_assert!(rejected.refusal.code.as_str().starts_with("TL1"));
        }
        // What is not decoded must be refused, not abort.
        drop(v1::Routed::decode(&body[..]));
        drop(v1::Announcement::decode(&body[..]));
        drop(v1::DeadLetter::decode(&body[..]));
    }

    #[test]
    fn nearly_json_makes_no_reader_panic(body in r#"[\{\}\[\]",:a-z0-9\\ _.\-]{0,200}"#) {
        if let Err(rejected) = read(&body) {
            prop_assert!(rejected.refusal.code.as_str().starts_with("TL1"));
        }
    }

    #[test]
    fn what_is_accepted_in_protobuf_comes_out_as_it_went_in(id in "[a-z0-9-]{1,30}", payload in proptest::collection::vec(any::<u8>(), 0..200), priority in 0i32..5) {
        let task = v1::Task { id, task_type: "echo".into(), payload: payload.into(), priority, ..v1::Task::default() };
        let given = [(headers::CONTENT_TYPE, headers::PROTOBUF)];
        let read = read_with("tasks.submit", &task.encode_to_vec(), &given).unwrap();
        prop_assert_eq!(read.task, task);
        prop_assert_eq!(read.encoding, v1::Encoding::Protobuf);
    }
}
