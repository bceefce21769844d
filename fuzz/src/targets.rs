//! What the fuzz targets do with bytes. Also included by a test of the contract, which runs a bounded number of
//! mutations of the golden files through it, so that the decoders are fuzzed a little at every change.

use bytes::Bytes;
use tasklane_contract::submission::{self, Incoming, Limits};
use tasklane_contract::{Message, headers, json, v1};

/// A submission in each form it may come in: the first byte chooses subject and content type, the rest is the body.
pub fn submission(data: &[u8]) {
    let Some((choice, body)) = data.split_first() else { return };
    let subject = if choice & 1 == 0 { "tasks.submit" } else { "tasks.submit.echo" };
    let content_type = match (choice >> 1) & 3 {
        0 => None,
        1 => Some(headers::PROTOBUF),
        2 => Some("text/plain"),
        _ => Some("application/json; charset=utf-8"),
    };
    let incoming = Incoming {
        subject,
        header: &|name| if name == headers::CONTENT_TYPE { content_type.map(str::to_owned) } else { None },
        body: &Bytes::copy_from_slice(body),
        stream: "TASKS",
        sequence: 1,
        stored_at_us: 1_795_176_000_000_000,
    };
    match submission::read(&incoming, &Limits::default()) {
        Ok(read) => assert!(!read.task.id.is_empty() && !read.task.task_type.is_empty()),
        Err(rejected) => {
            assert!(!rejected.task_id.is_empty(), "there is an id to answer to");
            assert!(rejected.refusal.code.as_str().starts_with("TL1"), "{}", rejected.refusal);
        }
    }
}

/// Every message of ours; what can be read can be written as JSON that is JSON, and read again.
pub fn messages(data: &[u8]) {
    if let Ok(result) = v1::TaskResult::decode(data) {
        let text = json::encode_result(&result);
        assert!(serde_json_is_valid(&text), "{}", String::from_utf8_lossy(&text));
        assert_eq!(
            v1::TaskResult::decode(&result.encode_to_vec()[..]).map(|r| r.task_id),
            Ok(result.task_id)
        );
    }
    if let Ok(letter) = v1::DeadLetter::decode(data) {
        assert!(json::encode_dead(1, &letter).is_object());
    }
    drop(v1::Routed::decode(data));
    drop(v1::Announcement::decode(data));
}

fn serde_json_is_valid(text: &[u8]) -> bool {
    // The contract's own reader of JSON: a result is no task, but it must get past the syntax.
    !matches!(
        json::decode_task(&Bytes::copy_from_slice(text)),
        Err(refusal) if refusal.code == tasklane_contract::code::NOT_JSON
    )
}
