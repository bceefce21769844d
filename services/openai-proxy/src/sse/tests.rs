//! Any split of a stream gives the same events.

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::json;

use super::*;

/// The events of a stream that comes in these chunks, with what is left at its end, and whether an event was too large.
fn split(chunks: &[&[u8]], max: usize) -> (Vec<Event>, bool) {
    let (mut splitter, mut events) = (Splitter::new(max), Vec::new());
    for chunk in chunks {
        if splitter.feed(Bytes::copy_from_slice(chunk), &mut events).is_err() {
            assert_eq!(splitter.held(), 0);
            return (events, true);
        }
        assert!(splitter.held() <= max);
    }
    events.extend(splitter.finish());
    (events, false)
}

/// Raw text, data and completeness of every event.
fn events(stream: &str) -> Vec<(String, Option<String>, bool)> {
    let text = |bytes: Bytes| String::from_utf8(bytes.to_vec()).unwrap();
    let (events, _) = split(&[stream.as_bytes()], 1_000);
    events.into_iter().map(|e| (text(e.raw.clone()), e.data().map(text), e.complete)).collect()
}

fn whole(raw: &str, data: Option<&str>) -> (String, Option<String>, bool) {
    (raw.to_owned(), data.map(str::to_owned), true)
}

#[test]
fn events_stay_as_they_came() {
    assert_eq!(
        events("data: a\n\ndata:b\n\n"),
        [whole("data: a\n\n", Some("a")), whole("data:b\n\n", Some("b"))]
    );
    assert_eq!(events("data: a\r\n\r\n\r\n"), [whole("data: a\r\n\r\n", Some("a")), whole("\r\n", None)]);
    assert_eq!(
        events("data: a\r\rdata: b\r\r"),
        [whole("data: a\r\r", Some("a")), whole("data: b\r\r", Some("b"))]
    );
    assert_eq!(
        events("data: a\r\n\rdata: b\n\r\n"),
        [whole("data: a\r\n\r", Some("a")), whole("data: b\n\r\n", Some("b"))]
    );
    let odd = "event: x\nid: 7\nretry: 5\nwhat ever\ndata:  two\ndata\ndata:three\n\n";
    assert_eq!(events(odd), [whole(odd, Some(" two\n\nthree"))]);
    assert_eq!(events("data\n\n"), [whole("data\n\n", Some(""))]);
    assert_eq!(events("database: no\n\n"), [whole("database: no\n\n", None)]);
    assert_eq!(events("\u{feff}data: a\n\n"), [whole("\u{feff}data: a\n\n", Some("a"))]);
}

#[test]
fn a_comment_does_not_wait_for_an_event() {
    assert_eq!(events(": ping\n"), [whole(": ping\n", None)]);
    assert_eq!(events(": ping\r\n\r\n"), [whole(": ping\r\n", None), whole("\r\n", None)]);
    assert_eq!(
        events("data: a\n: within\ndata: b\n\n"),
        [whole("data: a\n: within\ndata: b\n\n", Some("a\nb"))]
    );
}

#[test]
fn what_is_left_is_given_at_the_end() {
    assert_eq!(events("data: a\n\ndata: b\n")[1], ("data: b\n".to_owned(), Some("b".to_owned()), false));
    assert_eq!(events("data: a\r\n\r"), [whole("data: a\r\n\r", Some("a"))]);
    assert_eq!(events("data: a\r"), [("data: a\r".to_owned(), Some("a".to_owned()), false)]);
    assert_eq!(events(""), []);
}

#[test]
fn names_and_the_end_of_a_chat_are_known() {
    let event = |raw: &'static str| Event { raw: Bytes::from_static(raw.as_bytes()), complete: true };
    assert_eq!(event("event: first\nevent: response.created\ndata: {}\n\n").name(), Some("response.created"));
    assert_eq!(event("data: {}\n\n").name(), None);
    assert!(event("data: [DONE]\n\n").is_done() && event("data:[DONE]\r\n\r\n").is_done());
    assert!(!event("data: [DONE]\ndata: x\n\n").is_done() && !event(": [DONE]\n\n").is_done());
}

#[test]
fn whole_events_share_the_memory_of_their_chunk() {
    let chunk = Bytes::from_static(b"data: a\n\ndata: b\n\n");
    let mut found = Vec::new();
    Splitter::new(100).feed(chunk.clone(), &mut found).unwrap();
    assert_eq!(found[1].raw.as_ptr(), chunk[9..].as_ptr());
    assert_eq!(found[1].data().unwrap().as_ptr(), chunk[15..].as_ptr());
}

#[test]
fn an_event_is_at_most_as_large_as_allowed() {
    let stream = b"data: a\n\ndata: bb\n\ndata: c\n\n";
    assert!(!split(&[stream], 10).1);
    let (found, too_large) = split(&[stream], 9);
    assert_eq!((found.len(), too_large), (1, true));
    let mut splitter = Splitter::new(4);
    let fed = splitter.feed(Bytes::from_static(b"12345"), &mut Vec::new());
    assert_eq!(fed, Err(TooLarge { max: 4 }));
    assert_eq!(
        splitter.feed(Bytes::from_static(b"\n\n"), &mut Vec::new()),
        Err(TooLarge { max: 4 }),
        "it stays so"
    );
}

#[test]
fn reads_chat_chunks() {
    let found = sniff(br#"{"id":"c1","model":"m","choices":[{"delta":{"content":"G\u00fc\u00df"},"finish_reason":null}],"usage":null}"#);
    assert_eq!(
        found,
        Sniffed { id: Some("c1".into()), model: Some("m".into()), chars: 3, ..Sniffed::default() }
    );
    let tools = json!({"choices": [{"delta": {"tool_calls": [{"function": {"name": "f", "arguments": "{}"}}]}},
        {"delta": {"reasoning": "abc", "reasoning_content": "abc", "refusal": "no"}, "finish_reason": "stop"}]});
    let found = sniff_value(&tools);
    assert_eq!((found.chars, found.finish), (8, vec!["stop".to_owned()]));
    let last = json!({"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 4.0, "total_tokens": 13,
        "prompt_tokens_details": {"cached_tokens": 8}, "completion_tokens_details": {"reasoning_tokens": 1}}});
    let usage = Usage { input: 9, output: 4, cached: 8, reasoning: 1 };
    assert_eq!(sniff_value(&last).usage, Some(usage));
}

#[test]
fn reads_events_of_responses() {
    let delta = json!({"type": "response.output_text.delta", "delta": "abc", "item_id": "i"});
    assert_eq!(sniff_value(&delta), Sniffed { chars: 3, ..Sniffed::default() });
    let body = json!({"id": "r1", "object": "response", "model": "m", "status": "completed",
        "output": [{"type": "message", "content": [{"type": "output_text", "text": "abc"}]},
            {"type": "reasoning", "summary": [{"text": "de"}]}, {"type": "function_call", "arguments": "{}"}],
        "usage": {"input_tokens": 5, "output_tokens": 2, "input_tokens_details": {"cached_tokens": 1}}});
    let expected = Sniffed {
        id: Some("r1".into()),
        model: Some("m".into()),
        usage: Some(Usage { input: 5, output: 2, cached: 1, reasoning: 0 }),
        finish: vec!["completed".into()],
        ..Sniffed::default()
    };
    assert_eq!(
        sniff_value(&json!({"type": "response.completed", "response": body})),
        expected,
        "deltas said it"
    );
    assert_eq!(sniff_value(&body), Sniffed { chars: 7, ..expected }, "nothing said it before");
    let going =
        json!({"type": "response.created", "response": {"id": "r1", "status": "in_progress", "error": null}});
    assert_eq!(sniff_value(&going), Sniffed { id: Some("r1".into()), ..Sniffed::default() });
    let failed = json!({"type": "response.failed", "response": {"status": "failed", "error": {"code": "c", "message": "no"}}});
    assert_eq!(sniff_value(&failed).error.unwrap().code.as_deref(), Some("c"));
}

#[test]
fn reads_whole_answers_and_errors_in_mid_stream() {
    let chat = json!({"choices": [{"message": {"content": [{"type": "text", "text": "abc"}]}, "finish_reason": "stop"}]});
    assert_eq!(sniff_value(&chat).chars, 3);
    assert_eq!(sniff_value(&json!({"choices": [{"text": "abcd"}]})).chars, 4);
    let embedding = json!({"usage": {"prompt_tokens": 5, "total_tokens": 5}});
    assert_eq!(sniff_value(&embedding).usage, Some(Usage { input: 5, ..Usage::default() }));
    for error in [
        json!({"error": {"message": "no", "code": 500}}),
        json!({"error": "no"}),
        json!({"type": "error", "message": "no"}),
    ] {
        assert_eq!(sniff_value(&error).error.unwrap().message.as_deref(), Some("no"));
    }
}

#[test]
fn odd_json_says_nothing_and_does_no_harm() {
    let rows = [
        "",
        "[DONE]",
        "{",
        "null",
        "3",
        "[]",
        r#"{"choices":{}}"#,
        r#"{"choices":[null,7,{"delta":[]}]}"#,
        r#"{"id":5}"#,
        r#"{"usage":{"prompt_tokens":"9"}}"#,
        r#"{"usage":{"prompt_tokens":-9}}"#,
        r#"{"usage":[]}"#,
        r#"{"response":[]}"#,
    ];
    for odd in rows {
        assert_eq!(sniff(odd.as_bytes()), Sniffed::default(), "{odd}");
    }
    assert_eq!(sniff("[".repeat(100_000).as_bytes()), Sniffed::default());
    let long = json!({"id": "ä".repeat(1_000)});
    assert_eq!(sniff_value(&long).id.unwrap().chars().count(), 256);
}

#[test]
fn a_tally_keeps_the_most_that_was_said() {
    let usage = |input, output| Sniffed {
        usage: Some(Usage { input, output, cached: 0, reasoning: 0 }),
        chars: 2,
        ..Sniffed::default()
    };
    let mut tally = Sniffed::default();
    for event in [usage(5, 1), usage(5, 3), usage(0, 0), Sniffed::default()] {
        tally.add(event);
    }
    assert_eq!((tally.usage.map(|u| (u.input, u.output)), tally.chars), (Some((5, 3)), 6));
}

/// Streams made of the pieces that matter.
fn stream() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        5 => Just("\n".as_bytes().to_vec()),
        4 => Just(b"\r".to_vec()),
        4 => Just(b"\r\n".to_vec()),
        4 => Just(b"data:".to_vec()),
        2 => Just(b" ".to_vec()),
        2 => Just(b":".to_vec()),
        1 => Just(b"event: x".to_vec()),
        1 => Just("\u{feff}".as_bytes().to_vec()),
        2 => Just("{\"ä\":\"世🌍\"}".as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..20),
    ];
    prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

/// What the standard says, without chunks: the data of every event that is dispatched.
fn by_the_standard(stream: &[u8]) -> Vec<Vec<u8>> {
    let (mut lines, mut line, mut rest) = (Vec::new(), Vec::new(), stream.iter().peekable());
    while let Some(&byte) = rest.next() {
        match byte {
            b'\r' | b'\n' => {
                if byte == b'\r' {
                    rest.next_if_eq(&&b'\n');
                }
                lines.push(std::mem::take(&mut line));
            }
            _ => line.push(byte),
        }
    }
    let (mut found, mut data) = (Vec::new(), None::<Vec<u8>>);
    for line in lines {
        if line.is_empty() {
            found.extend(data.take());
        } else if line == b"data" || line.starts_with(b"data:") {
            let value = line.get(5..).unwrap_or_default();
            let value = value.strip_prefix(b" ").unwrap_or(value);
            data = Some(data.map_or_else(|| value.to_vec(), |old| [&old, value].join(&b'\n')));
        }
    }
    found
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn chunks_make_no_difference(stream in stream(), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12), max in 1_usize..200) {
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
        cuts.extend([0, stream.len()]);
        cuts.sort_unstable();
        let chunks: Vec<&[u8]> = cuts.windows(2).map(|cut| &stream[cut[0]..cut[1]]).collect();
        let bytes: Vec<&[u8]> = stream.chunks(1).collect();
        let expected = split(&[&stream], max);
        prop_assert_eq!(&split(&chunks, max), &expected);
        prop_assert_eq!(&split(&bytes, max), &expected);
    }

    #[test]
    fn nothing_is_lost_and_the_data_is_that_of_the_standard(stream in stream().prop_filter("BOM", |s| !s.starts_with(b"\xef"))) {
        let (events, _) = split(&[&stream], usize::MAX);
        let raw: Vec<u8> = events.iter().flat_map(|e| e.raw.to_vec()).collect();
        prop_assert_eq!(&raw, &stream);
        // A mark in mid-stream is part of a field's name; an event of ours that begins with one is the sole difference.
        prop_assume!(!events.iter().any(|e| e.raw.starts_with(b"\xef")));
        let data: Vec<Vec<u8>> = events.iter().filter(|e| e.complete).filter_map(Event::data).map(|d| d.to_vec()).collect();
        prop_assert_eq!(data, by_the_standard(&stream));
        prop_assert!(events.iter().rev().skip(1).all(|e| e.complete));
    }

    #[test]
    fn sniffing_never_fails(json in "[{}\\[\\]\":,0-9a-z]{0,80}", key in "(usage|choices|response|error|delta|type|id|object|output)") {
        let _ = (sniff(json.as_bytes()), sniff(format!("{{\"{key}\":{json}}}").as_bytes()));
    }
}
