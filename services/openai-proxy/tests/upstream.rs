//! The scripted upstream, asked by a client that sees every byte.

#![expect(clippy::unwrap_used, reason = "helpers of tests, which panic as tests do")]

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use tasklane_openai_proxy::retry::Hints;
use tasklane_openai_proxy::sse::{Event, Sniffed, Splitter, sniff};
use tasklane_testkit::upstream::{End, Ending, NAMES, Options, Script, Shape, TEXT, Upstream};

/// Where `needle` begins.
fn find(bytes: &[u8], needle: &[u8]) -> Option<usize> {
    bytes.windows(needle.len()).position(|window| window == needle)
}

/// An answer as it came over the wire.
#[derive(Debug)]
struct Got {
    status: u16,
    head: String,
    /// The chunks of HTTP, or one for a whole body.
    chunks: Vec<Vec<u8>>,
    /// Whether it ended as HTTP says.
    ended: bool,
}

impl Got {
    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    fn body(&self) -> Vec<u8> {
        self.chunks.concat()
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body()).unwrap()
    }

    /// What the events say together, how many there are, and whether the last is `[DONE]`.
    fn tally(&self) -> (Sniffed, usize, bool) {
        let (mut splitter, mut events, mut tally) =
            (Splitter::new(100_000_000), Vec::new(), Sniffed::default());
        for chunk in &self.chunks {
            splitter.feed(chunk.clone().into(), &mut events).unwrap();
        }
        assert_eq!(splitter.finish(), None);
        events.iter().filter_map(Event::data).for_each(|data| tally.add(sniff(&data)));
        (tally, events.len(), events.last().is_some_and(Event::is_done))
    }
}

async fn connect(upstream: &Upstream) -> TcpStream {
    TcpStream::connect(upstream.address()).await.unwrap()
}

async fn send(stream: &mut TcpStream, method: &str, path: &str, headers: &str, body: &[u8]) {
    let head =
        format!("{method} {path} HTTP/1.1\r\nHost: x\r\n{headers}Content-Length: {}\r\n\r\n", body.len());
    stream.write_all(&[head.as_bytes(), body].concat()).await.unwrap();
}

/// Asks on a connection of its own, and reads until the upstream closes it.
async fn ask_raw(upstream: &Upstream, method: &str, path: &str, headers: &str, body: &[u8]) -> Option<Got> {
    let mut stream = connect(upstream).await;
    send(&mut stream, method, path, &format!("Connection: close\r\n{headers}"), body).await;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.unwrap();
    let head_end = find(&bytes, b"\r\n\r\n")?;
    let head = String::from_utf8(bytes[..head_end].to_vec()).unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let mut rest = &bytes[head_end + 4..];
    let mut got = Got { status, head, chunks: Vec::new(), ended: false };
    if let Some(length) = got.header("content-length") {
        got.ended = rest.len() == length.parse::<usize>().unwrap();
        got.chunks.push(rest.to_vec());
        return Some(got);
    }
    while let Some(end) = find(rest, b"\r\n") {
        let length = usize::from_str_radix(std::str::from_utf8(&rest[..end]).unwrap(), 16).unwrap();
        if length == 0 {
            got.ended = rest == b"0\r\n\r\n";
            break;
        }
        got.chunks.push(rest[end + 2..end + 2 + length].to_vec());
        rest = &rest[end + 2 + length + 2..];
    }
    Some(got)
}

async fn ask(upstream: &Upstream, method: &str, path: &str, body: &Value) -> Got {
    let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
    ask_raw(upstream, method, path, "", &body).await.unwrap()
}

fn chat(model: &str, stream: bool) -> Value {
    json!({"model": model, "stream": stream, "stream_options": {"include_usage": true},
        "messages": [{"role": "system", "content": "be brief"}, {"role": "user", "content": "one two three"}]})
}

async fn ask_chat(upstream: &Upstream, model: &str, stream: bool) -> Got {
    ask(upstream, "POST", "/v1/chat/completions", &chat(model, stream)).await
}

#[tokio::test]
async fn a_chat_is_answered_and_recorded() {
    let upstream = Upstream::start().await.unwrap();
    let got = ask_chat(&upstream, "mock", false).await;
    assert_eq!((got.status, got.ended, got.header("x-ratelimit-reset-requests")), (200, true, Some("60ms")));
    let body = got.json();
    assert_eq!(body["choices"][0]["message"]["content"], TEXT);
    assert_eq!(body["usage"]["prompt_tokens"], 5);
    assert_eq!(body["usage"]["completion_tokens"], 8);
    let requests = upstream.until("it is answered", |r| r.iter().all(|r| r.end == End::Answered)).await;
    assert_eq!((requests.len(), requests[0].number, upstream.count()), (1, 0, 1));
    assert_eq!((requests[0].method.as_str(), requests[0].path.as_str()), ("POST", "/v1/chat/completions"));
    assert_eq!((requests[0].header("host"), requests[0].json()), (Some("x"), chat("mock", false)));
}

#[tokio::test]
async fn a_stream_says_the_same_however_it_is_cut() {
    let upstream = Upstream::start().await.unwrap();
    let plain = ask_chat(&upstream, "mock", true).await;
    let (tally, events, done) = plain.tally();
    // The role, eight pieces, the finish, usage, the end.
    assert_eq!((events, done, plain.ended, plain.chunks.len()), (12, true, true, 12));
    assert_eq!((tally.chars, tally.finish), (TEXT.chars().count() as u64, vec!["stop".to_owned()]));
    assert_eq!(tally.usage.map(|u| (u.input, u.output)), Some((5, 8)));
    let bytes = String::from_utf8(plain.body()).unwrap();
    for (model, is_cut) in [
        ("mock-split-utf8", (|c| std::str::from_utf8(c).is_err()) as fn(&[u8]) -> bool),
        ("mock-split-data", |c| c == b"da"),
        ("mock-split-bytes", |c| c.len() == 1),
    ] {
        let got = ask_chat(&upstream, model, true).await;
        assert!(got.chunks.iter().any(|chunk| is_cut(chunk)), "{model}");
        let text = String::from_utf8(got.body()).unwrap().replace(model, "mock");
        let without_id =
            |text: &str| text.split("chatcmpl-").map(|part| part[1..].to_owned()).collect::<String>();
        assert_eq!(without_id(&text), without_id(&bytes), "{model}");
    }
    let (tally, events, done) = ask_chat(&upstream, "mock-comments", true).await.tally();
    assert_eq!(
        (tally.chars, events, done),
        (TEXT.chars().count() as u64, 12 * 3, true),
        "comment, blank, event"
    );
}

#[tokio::test]
async fn a_stream_breaks_off_where_the_script_says() {
    let upstream = Upstream::start().await.unwrap();
    for (model, events, ended, end) in [
        ("mock-close-first", 0, false, End::Broken),
        ("mock-close-middle", 4, false, End::Broken),
        ("mock-no-done", 11, true, End::Answered),
        ("mock-error-middle", 5, true, End::Answered),
    ] {
        let got = ask_chat(&upstream, model, true).await;
        let (tally, count, done) = got.tally();
        assert_eq!((got.status, count, got.ended, done), (200, events, ended, false), "{model}");
        assert_eq!(tally.error.is_some(), model == "mock-error-middle");
        upstream.until(model, |r| r.last().is_some_and(|r| r.end == end)).await;
    }
    let half = ask_chat(&upstream, "mock-close-middle", false).await;
    assert!(!half.ended && !half.body().is_empty());
    let body = chat("mock-close-before", true).to_string();
    assert!(ask_raw(&upstream, "POST", "/v1/chat/completions", "", body.as_bytes()).await.is_none());
}

#[tokio::test]
async fn each_form_of_retry_after() {
    let upstream = Upstream::start().await.unwrap();
    for (model, wait_ms, should) in [
        ("mock-429-seconds", 1_000..=1_000, None),
        ("mock-429-date", 1_000..=2_000, None),
        ("mock-429-ms", 100..=100, None),
        ("mock-429-never", 0..=0, Some(false)),
        ("mock-429-quota", 0..=0, None),
    ] {
        let before = u64::try_from(jiff::Timestamp::now().as_millisecond()).unwrap();
        let got = ask_chat(&upstream, model, true).await;
        let hints = Hints::read(|name| got.header(name), before);
        let wait = hints.retry_after.unwrap_or_default().as_millis();
        assert_eq!(got.status, 429);
        assert!(wait_ms.contains(&wait), "{model}: {wait} ms");
        assert_eq!(hints.should_retry, should, "{model}");
        let quota = got.json()["error"]["code"] == "insufficient_quota";
        assert_eq!(quota, model == "mock-429-quota");
    }
}

#[tokio::test]
async fn scripts_are_taken_in_order_and_by_model() {
    let upstream = Upstream::start().await.unwrap();
    upstream.push(Script::status(500));
    upstream.push(Script::status(503));
    upstream.set("m", Script::says("hello"));
    assert_eq!(ask(&upstream, "GET", "/v1/models", &Value::Null).await.status, 200, "a GET takes none");
    assert_eq!(ask_chat(&upstream, "m", false).await.status, 500);
    assert_eq!((ask_chat(&upstream, "m", false).await.status, upstream.pushed()), (503, 0));
    assert_eq!(ask_chat(&upstream, "m", false).await.json()["choices"][0]["message"]["content"], "hello");
    let mut statuses = Vec::new();
    for _ in 0..6 {
        statuses.push(ask_chat(&upstream, "mock-500-2", false).await.status);
    }
    assert_eq!(statuses, [500, 500, 200, 500, 500, 200]);
}

#[tokio::test]
async fn odd_answers() {
    let upstream = Upstream::start().await.unwrap();
    let wrong = ask_chat(&upstream, "mock-wrong-json", false).await;
    assert_eq!((wrong.status, wrong.ended), (200, true));
    assert!(serde_json::from_slice::<Value>(&wrong.body()).is_err());
    assert_eq!(ask_chat(&upstream, "mock-no-usage", false).await.json().get("usage"), None);
    assert_eq!(ask_chat(&upstream, "mock-no-usage", true).await.tally().0.usage, None);
    assert!(ask_chat(&upstream, "mock-huge", false).await.body().len() > 8 << 20);
    let (tally, events, _) = ask_chat(&upstream, "mock-huge", true).await.tally();
    assert_eq!((tally.chars, events), (8 << 20, 8));
    let raw =
        [(Duration::ZERO, "HTTP/1.1 200 OK\r\n\r\n".into()), (Duration::from_millis(1), "0\r\n\r\n".into())];
    upstream.push(Script::Raw(raw.to_vec()));
    assert!(ask_chat(&upstream, "mock", false).await.ended);
}

#[tokio::test]
async fn a_client_that_goes_away_is_noticed() {
    let upstream = Upstream::start().await.unwrap();
    let slow = Shape { delay: Duration::from_secs(600), ..Shape::default() };
    upstream.set("slow", Script::Ordinary(slow.clone()));
    upstream.set("late", Script::Ordinary(Shape { first_delay: slow.delay, ..slow }));
    for model in ["mock-hang-before", "mock-hang-first", "mock-hang-middle", "slow", "late", "mock-huge"] {
        let mut stream = connect(&upstream).await;
        send(&mut stream, "POST", "/v1/chat/completions", "", chat(model, true).to_string().as_bytes()).await;
        upstream.until("it is there", |r| r.last().is_some_and(|r| r.json()["model"] == model)).await;
        assert_eq!(upstream.requests().last().unwrap().end, End::Pending, "{model}");
        drop(stream);
        upstream.until(model, |r| r.last().is_some_and(|r| r.end == End::ClientGone)).await;
    }
}

#[tokio::test]
async fn events_come_when_they_are_due() {
    let upstream = Upstream::start().await.unwrap();
    upstream.set("m", Script::slow(Duration::from_millis(20)));
    let start = Instant::now();
    ask_chat(&upstream, "m", true).await;
    assert!(start.elapsed() >= Duration::from_millis(11 * 20));
}

#[tokio::test]
async fn a_connection_is_used_again_and_bodies_may_be_chunked() {
    let upstream = Upstream::start().await.unwrap();
    let mut stream = connect(&upstream).await;
    let body = chat("mock", false).to_string();
    let (a, b) = body.split_at(10);
    let chunked = format!("{:x};x=y\r\n{a}\r\n{:X}\r\n{b}\r\n0\r\nTrailer: x\r\n\r\n", a.len(), b.len());
    let head =
        "POST /v1/chat/completions HTTP/1.1\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n";
    stream.write_all(format!("{head}{chunked}").as_bytes()).await.unwrap();
    send(&mut stream, "POST", "/v1/chat/completions", "Connection: close\r\n", body.as_bytes()).await;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200"));
    assert_eq!(answer.matches("HTTP/1.1 200").count(), 2);
    assert!(upstream.requests().iter().all(|r| r.json() == chat("mock", false)));
}

#[tokio::test]
async fn embeddings_depend_on_the_text_alone() {
    let upstream = Upstream::start().await.unwrap();
    let embed = async |body: Value| ask(&upstream, "POST", "/v1/embeddings", &body).await.json();
    let floats = embed(json!({"model": "mock", "input": ["one", "two words", "one"]})).await;
    let of = |n: usize| floats["data"][n]["embedding"].as_array().unwrap().clone();
    assert_eq!((of(0).len(), of(0) == of(2), of(0) == of(1)), (16, true, false));
    assert_eq!(floats["usage"], json!({"prompt_tokens": 4, "total_tokens": 4}));
    let length: f64 = of(0).iter().map(|x| x.as_f64().unwrap().powi(2)).sum();
    assert!((length - 1.0).abs() < 1e-5);
    let coded = embed(json!({"model": "mock", "input": "one", "encoding_format": "base64"})).await;
    use base64::Engine as _;
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(coded["data"][0]["embedding"].as_str().unwrap())
        .unwrap();
    let decoded: Vec<f32> = bytes.chunks(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
    let plain: Vec<f32> = of(0).iter().map(|x| x.as_f64().unwrap() as f32).collect();
    assert_eq!(decoded, plain);
    let tokens = embed(json!({"model": "mock", "input": [1, 2, 3], "dimensions": 4})).await;
    assert_eq!(tokens["data"][0]["embedding"].as_array().unwrap().len(), 4);
    assert_eq!((tokens["data"].as_array().unwrap().len(), &tokens["usage"]["prompt_tokens"]), (1, &json!(3)));
}

#[tokio::test]
async fn responses_are_made_streamed_and_kept() {
    let upstream = Upstream::start().await.unwrap();
    let request = json!({"model": "mock", "input": "one two"});
    let made = ask(&upstream, "POST", "/v1/responses", &request).await.json();
    assert_eq!((made["status"].as_str(), &made["usage"]["input_tokens"]), (Some("completed"), &json!(2)));
    let path = format!("/v1/responses/{}", made["id"].as_str().unwrap());
    assert_eq!(ask(&upstream, "GET", &path, &Value::Null).await.json(), made);
    let items = ask(&upstream, "GET", &format!("{path}/input_items?limit=5"), &Value::Null).await.json();
    assert_eq!(items["data"][0]["content"][0]["text"], "one two");
    assert_eq!(
        ask(&upstream, "POST", &format!("{path}/cancel"), &json!({})).await.json()["status"],
        "cancelled"
    );
    assert_eq!(ask(&upstream, "DELETE", &path, &Value::Null).await.json()["deleted"], true);
    assert_eq!(ask(&upstream, "GET", &path, &Value::Null).await.status, 404);

    let mut streamed = request.clone();
    streamed["stream"] = json!(true);
    let got = ask(&upstream, "POST", "/v1/responses", &streamed).await;
    let (tally, events, _) = got.tally();
    assert_eq!((events, tally.chars), (16, TEXT.chars().count() as u64));
    assert_eq!(
        (tally.usage.map(|u| (u.input, u.output)), tally.finish),
        (Some((2, 8)), vec!["completed".to_owned()])
    );
    let text = String::from_utf8(got.body()).unwrap();
    assert!(text.starts_with("event: response.created\ndata: ") && text.contains("\"sequence_number\":15"));
    upstream.push(Script::ends(Ending::WithoutDone));
    let cut = ask(&upstream, "POST", "/v1/responses", &streamed).await.tally().0;
    assert_eq!((cut.usage, cut.finish, cut.chars), (None, Vec::new(), tally.chars));
}

#[tokio::test]
async fn files_and_batches_give_back_what_came() {
    let upstream = Upstream::start().await.unwrap();
    let form = "--b\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nbatch\r\n--b\r\nContent-Disposition: form-data; \
        name=\"file\"; filename=\"in.jsonl\"\r\nContent-Type: x\r\n\r\n{}\r\n{}\r\n--b--\r\n";
    let headers = "Content-Type: multipart/form-data; boundary=b\r\n";
    let file = ask_raw(&upstream, "POST", "/v1/files", headers, form.as_bytes()).await.unwrap().json();
    assert_eq!(
        (&file["filename"], &file["purpose"], &file["bytes"]),
        (&json!("in.jsonl"), &json!("batch"), &json!(6))
    );
    let path = format!("/v1/files/{}", file["id"].as_str().unwrap());
    assert_eq!(ask(&upstream, "GET", &path, &Value::Null).await.json(), file);
    assert_eq!(ask(&upstream, "GET", &format!("{path}/content"), &Value::Null).await.body(), b"{}\r\n{}");
    assert_eq!(ask(&upstream, "GET", "/v1/files", &Value::Null).await.json()["data"], json!([file]));

    let asked =
        json!({"input_file_id": file["id"], "endpoint": "/v1/chat/completions", "completion_window": "24h"});
    let batch = ask(&upstream, "POST", "/v1/batches", &asked).await.json();
    for field in ["input_file_id", "endpoint", "completion_window"] {
        assert_eq!(batch[field], asked[field]);
    }
    let path = format!("/v1/batches/{}", batch["id"].as_str().unwrap());
    assert_eq!(
        ask(&upstream, "POST", &format!("{path}/cancel"), &json!({})).await.json()["status"],
        "cancelling"
    );
    assert_eq!(ask(&upstream, "GET", &path, &Value::Null).await.json()["status"], "cancelling");
    assert_eq!(
        ask(&upstream, "DELETE", &format!("/v1/files/{}", file["id"].as_str().unwrap()), &Value::Null)
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn the_small_endpoints_and_mistakes() {
    let upstream = Upstream::start().await.unwrap();
    let models = ask(&upstream, "GET", "/v1/models", &Value::Null).await.json();
    assert!(models["data"].as_array().unwrap().iter().any(|m| m["id"] == "mock-hang-middle"));
    let moderated = json!({"model": "mock", "input": ["fine", "forbidden"]});
    let results = ask(&upstream, "POST", "/v1/moderations", &moderated).await.json()["results"].clone();
    assert_eq!((&results[0]["flagged"], &results[1]["flagged"]), (&json!(false), &json!(true)));
    assert_eq!(
        ask(&upstream, "GET", "/v1/nothing", &Value::Null).await.json()["error"]["code"],
        "unknown_url"
    );
    assert_eq!(ask(&upstream, "POST", "/v1/chat/completions", &json!({})).await.status, 400);
}

#[tokio::test]
async fn only_the_latest_requests_are_kept() {
    let upstream = Upstream::start_with(Options { port: 0, keep: 3 }).await.unwrap();
    for _ in 0..20 {
        ask(&upstream, "GET", "/v1/models", &Value::Null).await;
    }
    let requests = upstream.requests();
    assert!((3..=6).contains(&requests.len()));
    assert_eq!((requests.last().unwrap().number, upstream.count()), (19, 20));
}

#[test]
fn every_name_that_is_listed_has_a_script() {
    assert!(NAMES[1..].iter().all(|name| Script::named(name, || 0).is_some()));
    assert_eq!(Script::named("mock-nothing", || 0), None);
    assert_eq!(Script::named("gpt-5", || 0), None);
}

#[tokio::test]
async fn it_stops_when_it_is_dropped() {
    let upstream = Upstream::start().await.unwrap();
    let mut stream = connect(&upstream).await;
    send(
        &mut stream,
        "POST",
        "/v1/chat/completions",
        "",
        chat("mock-hang-before", true).to_string().as_bytes(),
    )
    .await;
    upstream.until("it is there", |r| r.len() == 1).await;
    let address = upstream.address();
    drop(upstream);
    let mut rest = Vec::new();
    assert_eq!(stream.read_to_end(&mut rest).await.unwrap_or(0), 0);
    let mut tries = 0;
    while TcpStream::connect(address).await.is_ok() {
        tries += 1;
        assert!(tries < 100, "somebody still listens");
        tokio::task::yield_now().await;
    }
}
