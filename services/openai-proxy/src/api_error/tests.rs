//! Our errors as clients see them, and theirs as we read them.

use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn every() -> Vec<ApiError> {
    let model = || "gpt-x".to_owned();
    vec![
        ApiError::BadJson("expected value at line 1 column 1".to_owned()),
        ApiError::BadRequest { param: "n".to_owned(), reason: "give at least 1".to_owned() },
        ApiError::BadKey,
        ApiError::Forbidden("`gpt-x`".to_owned()),
        ApiError::UnknownModel(model()),
        ApiError::UnknownUrl("POST /v1/nothing".to_owned()),
        ApiError::TooLarge { max: 1_000 },
        ApiError::OutOfBudget { what: "tenant `a`, day".to_owned(), opens_in: Duration::from_secs(5) },
        ApiError::RateLimited {
            what: "tenant `a`, requests".to_owned(),
            retry_in: Duration::from_micros(1_200_001),
        },
        ApiError::UpstreamDown { model: model(), retry_in: Some(Duration::from_secs(61)) },
        ApiError::Timeout { model: model(), what: "the first chunk", limit: Duration::from_secs(2) },
        ApiError::BadUpstream { model: model(), reason: "wrong JSON".to_owned() },
        ApiError::Busy,
    ]
}

fn header(answer: &Answer, name: &str) -> Option<String> {
    answer.headers.iter().find(|(n, _)| *n == name).map(|(_, value)| value.clone())
}

#[test]
fn statuses_codes_and_words() {
    let rows: Vec<_> = every()
        .iter()
        .map(|error| {
            let body: Value = serde_json::from_str(&error.answer().body).unwrap();
            (error.code(), error.status(), body["error"]["type"].clone(), body["error"]["code"].clone())
        })
        .collect();
    let invalid = "invalid_request_error";
    let expected = [
        ("TL2301", 400, invalid, Value::Null),
        ("TL2302", 400, invalid, json!("invalid_value")),
        ("TL2303", 401, invalid, json!("invalid_api_key")),
        ("TL2304", 403, invalid, json!("permission_denied")),
        ("TL2305", 404, invalid, json!("model_not_found")),
        ("TL2306", 404, invalid, json!("unknown_url")),
        ("TL2307", 413, invalid, json!("request_too_large")),
        ("TL2308", 429, "insufficient_quota", json!("insufficient_quota")),
        ("TL3301", 429, "rate_limit_exceeded", json!("rate_limit_exceeded")),
        ("TL3302", 503, "server_error", json!("service_unavailable")),
        ("TL3303", 504, "server_error", json!("timeout")),
        ("TL3304", 502, "server_error", json!("bad_gateway")),
        ("TL3305", 503, "server_error", json!("server_overloaded")),
    ];
    assert_eq!(rows, expected.map(|(code, status, kind, word)| (code, status, json!(kind), word)));
}

#[test]
fn all_four_fields_are_there_and_the_code_is_in_a_header() {
    for error in every() {
        let answer = error.answer();
        let body: Value = serde_json::from_str(&answer.body).unwrap();
        let fields: Vec<&String> = body["error"].as_object().unwrap().keys().collect();
        assert_eq!(fields, ["code", "message", "param", "type"]);
        assert!(!body["error"]["message"].as_str().unwrap().is_empty());
        assert_eq!(header(&answer, CODE_HEADER).as_deref(), Some(error.code()));
        assert_eq!(header(&answer, "content-type").as_deref(), Some("application/json"));
    }
    let unknown: Value =
        serde_json::from_str(&ApiError::UnknownModel("x\"y".to_owned()).answer().body).unwrap();
    assert_eq!(unknown["error"]["param"], "model");
}

#[test]
fn clients_are_told_when_to_come_back() {
    let row = |error: ApiError| {
        let answer = error.answer();
        (header(&answer, "retry-after"), header(&answer, "retry-after-ms"), header(&answer, "x-should-retry"))
    };
    let of = |a: &str, b: &str, c: &str| (Some(a.to_owned()), Some(b.to_owned()), Some(c.to_owned()));
    let limited = |ms| ApiError::RateLimited { what: String::new(), retry_in: Duration::from_micros(ms) };
    assert_eq!(row(limited(1_200_001)), of("2", "1201", "true"), "rounded up");
    assert_eq!(row(limited(0)), of("1", "1", "true"), "clients ignore a wait of zero");
    assert_eq!(row(limited(65_000_000)), of("65", "65000", "true"));
    assert_eq!(row(limited(65_000_001)), of("66", "65001", "false"));
    let broke = ApiError::OutOfBudget { what: String::new(), opens_in: Duration::from_secs(5) };
    assert_eq!(row(broke), of("5", "5000", "false"));
    let down = |retry_in| ApiError::UpstreamDown { model: String::new(), retry_in };
    assert_eq!(row(down(None)), (None, None, None));
    assert_eq!(row(down(Some(Duration::from_secs(3)))), of("3", "3000", "true"));
    assert_eq!(row(ApiError::BadKey), (None, None, None));
}

#[test]
fn an_event_is_one_event_that_holds_the_body() {
    let error = ApiError::BadUpstream { model: "m".to_owned(), reason: "two\nlines\r\n".to_owned() };
    let mut events = Vec::new();
    let mut splitter = crate::sse::Splitter::new(10_000);
    splitter.feed(error.event().into(), &mut events).unwrap();
    assert_eq!((events.len(), splitter.finish()), (1, None));
    assert_eq!(events[0].name(), None);
    let read = UpstreamError::read(&events[0].data().unwrap());
    assert_eq!((read.message, read.code), (Some(error.to_string()), Some("bad_gateway".to_owned())));
}

/// Message, type, param and code as they are read.
fn read(body: &str) -> [Option<String>; 4] {
    let error = UpstreamError::read(body.as_bytes());
    [error.message, error.kind, error.param, error.code]
}

fn of<const N: usize>(texts: [&str; N]) -> [Option<String>; N] {
    texts.map(|text| (!text.is_empty()).then(|| text.to_owned()))
}

#[test]
fn reads_what_upstreams_send() {
    let rows = [
        (r#"{"error":{"message":"no","type":"t","param":"p","code":"c","new":[]}}"#, ["no", "t", "p", "c"]),
        (r#"{"error":{"message":"no","type":null,"param":null,"code":429}}"#, ["no", "", "", "429"]),
        (r#"{"error":{"message":7,"code":1.5}}"#, ["7", "", "", "1.5"]),
        (r#"{"error":"just text"}"#, ["just text", "", "", ""]),
        (
            r#"{"object":"error","message":"no","type":"NotFoundError","code":404}"#,
            ["no", "NotFoundError", "", "404"],
        ),
        (r#"{"type":"error","code":"c","message":"no","param":null}"#, ["no", "error", "", "c"]),
        (r#"{"detail":"Not Found"}"#, ["Not Found", "", "", ""]),
        (
            r#"{"detail":[{"loc":["body"],"msg":"field required","type":"missing"}]}"#,
            ["field required", "", "", ""],
        ),
        (r#"[{"error":{"code":400,"message":"bad","status":"INVALID_ARGUMENT"}}]"#, ["bad", "", "", "400"]),
        (r#""text""#, ["text", "", "", ""]),
        ("<html>502 Bad Gateway</html>\n", ["<html>502 Bad Gateway</html>", "", "", ""]),
        ("{}", [""; 4]),
        ("[]", [""; 4]),
        ("null", [""; 4]),
        ("", [""; 4]),
        (r#"{"error":null}"#, [""; 4]),
        (r#"{"error":{}}"#, [""; 4]),
        (r#"{"error":{"message":{"message":"deep"}}}"#, ["deep", "", "", ""]),
    ];
    for (body, expected) in rows {
        assert_eq!(read(body), of(expected), "{body}");
    }
}

#[test]
fn what_is_kept_is_bounded() {
    let long = "ä".repeat(10_000);
    for body in [format!(r#"{{"error":{{"message":"{long}"}}}}"#), long.clone()] {
        assert_eq!(UpstreamError::read(body.as_bytes()).message.unwrap().chars().count(), 500);
    }
}

#[test]
fn an_answer_without_an_error_has_none() {
    for event in
        [json!({"error": null}), json!({"choices": []}), json!({"type": "response.created"}), json!(3)]
    {
        assert_eq!(UpstreamError::in_event(&event), None);
    }
}

proptest! {
    #[test]
    fn reads_any_bytes(body in prop::collection::vec(any::<u8>(), 0..3_000)) {
        let error = UpstreamError::read(&body);
        prop_assert!(error.message.is_none_or(|m| m.chars().count() <= 500));
    }
}
