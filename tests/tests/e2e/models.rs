//! Model calls through the openai-proxy: as tasks and over HTTP, against a scripted provider.

use std::time::Duration;

use reqwest::{Response, StatusCode};
use serde_json::{Value, json};
use tasklane_testkit::otlp::{OtlpReceiver, ReceivedSpan};
use tasklane_testkit::upstream::{End, Ending, Script, Shape, Upstream};
use tasklane_testkit::wait::{self, PATIENCE};
use tasklane_testkit::{Options, Stack, port};
use tempfile::TempDir;

pub const PROXY: &str = "openai-proxy";
pub const KEY: &str = "sk-of-the-provider";

/// A stack with a proxy, its provider, and how to reach it.
pub struct Models {
    pub stack: Stack,
    pub upstream: Upstream,
    pub api: u16,
    pub folder: TempDir,
}

/// Models `a` and `b` of one provider, the route `both`, and the tenants that `more` names. A token costs a
/// thousandth of a dollar, either way.
pub async fn start(more: &str) -> Option<Models> {
    start_with(more, Options::no_workers()).await
}

pub async fn start_with(more: &str, options: Options) -> Option<Models> {
    start_as(more, options, &[]).await
}

/// With settings of the proxy's own.
pub async fn start_as(more: &str, options: Options, settings: &[(&str, &str)]) -> Option<Models> {
    let upstream = Upstream::start().await.unwrap();
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("providers.toml");
    let model = |id: &str| {
        format!(
            "[models.{id}]\nprovider = \"p\"\nname = \"upstream-{id}\"\ncontext_tokens = 8000\nmax_output_tokens = 100\n\
             price = {{ input = 1000, output = 1000 }}\n"
        )
    };
    let text = format!(
        "[providers.p]\nbase_url = \"{}\"\nkey = {{ env = \"PROVIDER_KEY\" }}\ntimeouts = {{ first_chunk_ms = 2000, \
         between_chunks_ms = 1000 }}\n{}{}[models.vectors]\nprovider = \"p\"\nkind = \"embedding\"\ncontext_tokens = \
         8000\nfree = true\n[routes.both]\ncandidates = [\"a\", \"b\"]\n{more}",
        upstream.base_url(),
        model("a"),
        model("b")
    );
    std::fs::write(&file, text).unwrap();
    let api = port::free();
    let (file, listen) = (file.display().to_string(), format!("127.0.0.1:{api}"));
    let own = [
        ("TASKLANE_PROVIDERS_FILE", file.as_str()),
        ("TASKLANE_API_LISTEN", listen.as_str()),
        ("PROVIDER_KEY", KEY),
        ("ACME_KEY", "key-of-acme"),
    ];
    let own = [&own[..], settings].concat();
    let stack = Stack::start(options.service(PROXY, "tasklane-openai-proxy", &own)).await?;
    Some(Models { stack, upstream, api, folder })
}

impl Models {
    pub async fn post(&self, path: &str, key: Option<&str>, body: &Value) -> Response {
        let mut request = http().post(format!("http://127.0.0.1:{}/v1{path}", self.api));
        if let Some(key) = key {
            request = request.bearer_auth(key);
        }
        let request = request.header("content-type", "application/json").body(body.to_string());
        tokio::time::timeout(PATIENCE, request.send()).await.unwrap().unwrap()
    }

    pub async fn chat(&self, model: &str) -> Response {
        self.post("/chat/completions", None, &chat(model)).await
    }
}

/// A client; it wants to know who does TLS, though nothing here does.
pub fn http() -> reqwest::Client {
    drop(rustls::crypto::ring::default_provider().install_default());
    reqwest::Client::new()
}

pub fn chat(model: &str) -> Value {
    json!({"model": model, "messages": [{"role": "user", "content": "Say something."}], "max_completion_tokens": 20})
}

pub async fn body(answer: Response) -> Value {
    serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap()
}

#[tokio::test]
async fn a_chat_is_a_task_and_the_provider_sees_its_own_name_and_key() {
    let Some(models) = start("").await else { return };
    models.upstream.set("upstream-a", Script::says("The lamp is lit."));
    let mut payload = chat("a");
    payload["unknown_field"] = json!({"kept": [1, 2.50]});
    let result = models.stack.client.run("llm_chat", payload.clone()).await;
    assert_eq!(result["status"], "succeeded", "{result}");
    assert_eq!(result["result"]["choices"][0]["message"]["content"], "The lamp is lit.");
    assert_eq!(result["route"]["pool"], PROXY);
    let seen = models.upstream.requests();
    let [seen] = seen.as_slice() else { panic!("one request: {seen:?}") };
    let mut expected = payload;
    expected["model"] = json!("upstream-a");
    assert_eq!(seen.json(), expected);
    assert_eq!(seen.header("authorization"), Some(format!("Bearer {KEY}").as_str()));
    assert!(!models.stack.log(PROXY).contains(KEY), "the key is in the log");

    let vectors =
        models.stack.client.run("llm_embed", json!({"model": "vectors", "input": ["a", "b"]})).await;
    assert_eq!(vectors["result"]["data"].as_array().map(Vec::len), Some(2), "{vectors}");
}

#[tokio::test]
async fn http_clients_get_what_the_provider_says_whole_or_in_pieces() {
    let Some(models) = start("").await else { return };
    let answer = models.chat("a").await;
    assert_eq!(
        (answer.status(), answer.headers()["x-tasklane-model"].to_str().unwrap()),
        (StatusCode::OK, "a")
    );
    assert!(body(answer).await["usage"]["prompt_tokens"].as_u64().unwrap() > 0);

    let mut asked = chat("a");
    asked["stream"] = json!(true);
    let answer = models.post("/chat/completions", None, &asked).await;
    assert!(answer.headers()["content-type"].to_str().unwrap().starts_with("text/event-stream"));
    let text = answer.text().await.unwrap();
    assert!(text.trim_end().ends_with("data: [DONE]"), "{text}");
    // The usage was our wish; who did not ask for it does not see its chunk.
    assert!(!text.contains(r#""choices":[]"#), "{text}");
    asked["stream_options"] = json!({"include_usage": true});
    let text = models.post("/chat/completions", None, &asked).await.text().await.unwrap();
    assert!(text.contains(r#""choices":[]"#), "{text}");

    let list = http().get(format!("http://127.0.0.1:{}/v1/models", models.api)).send().await.unwrap();
    let list = body(list).await;
    let ids: Vec<&str> = list["data"].as_array().unwrap().iter().map(|m| m["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["a", "b", "both", "vectors"]);
}

/// Events of a stream whose connection is torn, without the chunk that would end it.
fn torn(events: &[&str]) -> Script {
    let mut bytes =
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
    for event in events {
        let event = format!("data: {event}\n\n");
        bytes.extend(format!("{:x}\r\n{event}\r\n", event.len()).into_bytes());
    }
    Script::Raw(vec![(Duration::ZERO, bytes.into())])
}

#[tokio::test]
async fn a_stream_that_has_said_its_end_did_not_break_off() {
    let Some(models) = start("").await else { return };
    let chat = json!({"model": "a", "messages": [{"role": "user", "content": "hi"}], "stream": true});
    let respond = json!({"model": "a", "input": "hi", "stream": true});
    let delta = r#"{"choices":[{"index":0,"delta":{"content":"hi"},"finish_reason":"stop"}]}"#;
    let text = r#"{"type":"response.output_text.delta","delta":"hi"}"#;
    let end =
        r#"{"type":"response.completed","response":{"object":"response","status":"completed","output":[]}}"#;
    for (path, asked, events, breaks) in [
        ("/chat/completions", &chat, &[delta, "[DONE]"][..], false),
        ("/chat/completions", &chat, &[delta], true),
        ("/responses", &respond, &[text, end], false),
        ("/responses", &respond, &[text], true),
    ] {
        models.upstream.push(torn(events));
        let said = models.post(path, None, asked).await.text().await.unwrap();
        assert_eq!(said.contains("it broke off"), breaks, "{path}: {said}");
    }
}

#[tokio::test]
async fn what_one_model_cannot_do_the_next_of_the_route_does() {
    let Some(models) = start("").await else { return };
    for script in
        [Script::error(401, "invalid_api_key", vec![]), Script::status(404), Script::CloseBeforeHeaders]
    {
        models.upstream.set("upstream-a", script.clone());
        let answer = models.chat("both").await;
        assert_eq!(answer.status(), StatusCode::OK, "{script:?}");
        assert_eq!(answer.headers()["x-tasklane-model"], "b", "{script:?}");
    }
    // Where nobody else is there, the provider's own error is the answer.
    models.upstream.set("upstream-b", Script::error(400, "context_length_exceeded", vec![]));
    let answer = models.chat("b").await;
    assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
    assert_eq!(body(answer).await["error"]["code"], "context_length_exceeded");
    let failed = models.stack.client.run("llm_chat", chat("b")).await;
    assert_eq!(
        (&failed["status"], &failed["error"]["code"]),
        (&json!("failed"), &json!("TL2320")),
        "{failed}"
    );
}

#[tokio::test]
async fn what_a_provider_says_of_trying_again_reaches_the_client() {
    let Some(models) = start("").await else { return };
    for (name, value) in [("retry-after", "100"), ("retry-after-ms", "100000"), ("x-should-retry", "false")] {
        models.upstream.set("upstream-a", Script::limited(name, value));
        let answer = models.chat("a").await;
        assert_eq!(answer.status(), StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(answer.headers().get(name).map(|v| v.to_str().unwrap()), Some(value), "{name}");
    }
}

#[tokio::test]
async fn an_error_in_mid_stream_is_told_once_in_the_providers_words() {
    let Some(models) = start("").await else { return };
    models.upstream.set("upstream-a", Script::ends(Ending::ErrorAfter(4)));
    let mut asked = chat("a");
    asked["stream"] = json!(true);
    let response = json!({"model": "a", "input": "hi", "stream": true});
    for (path, asked) in [("/chat/completions", asked), ("/responses", response)] {
        let text = models.post(path, None, &asked).await.text().await.unwrap();
        assert!(text.contains("the script says so") && !text.contains("broke off"), "{path}: {text}");
    }
}

#[tokio::test]
async fn a_call_is_a_span_with_what_it_used_or_what_was_wrong() {
    let receiver = OtlpReceiver::start().await.unwrap();
    let options = Options::no_workers()
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", &receiver.endpoint())
        .env("OTEL_BSP_SCHEDULE_DELAY", "100");
    let Some(models) = start_with("", options).await else { return };
    assert_eq!(models.chat("a").await.status(), StatusCode::OK);
    models.upstream.set("upstream-b", Script::error(400, "context_length_exceeded", vec![]));
    assert_eq!(models.chat("b").await.status(), StatusCode::BAD_REQUEST);
    let both = |spans: &[ReceivedSpan]| spans.iter().filter(|s| s.name.starts_with("chat ")).count() == 2;
    let spans = receiver.wait_for(both, PATIENCE).await.unwrap_or_else(|e| panic!("{e}"));
    let named = |name: &str| spans.iter().find(|s| s.name == name).unwrap_or_else(|| panic!("{spans:?}"));
    let good = named("chat a");
    for (name, value) in [
        ("gen_ai.request.model", "upstream-a"),
        ("gen_ai.response.model", "upstream-a"),
        ("gen_ai.request.max_tokens", "20"),
        ("gen_ai.response.finish_reasons", "stop"),
    ] {
        assert_eq!(good.attribute(name), Some(value), "{name}: {good:?}");
    }
    let first: f64 = good.attribute("gen_ai.response.time_to_first_chunk").unwrap().parse().unwrap();
    assert!(first > 0.0, "{first}");
    assert!(good.attribute("gen_ai.usage.output_tokens").is_some_and(|n| n.parse::<u64>().unwrap() > 0));
    assert_eq!(named("chat b").attribute("error.type"), Some("context_length_exceeded"));
}

#[tokio::test]
async fn a_budget_is_kept_by_all_replicas_and_over_a_restart() {
    // A call reserves its input and 20 tokens of output: some 4 cents; what is used is settled.
    let acme = "[tenants.acme]\nkeys = [{ env = \"ACME_KEY\" }]\nbudgets = [{ usd = 0.5, per = \"day\" }]\n";
    let Some(mut models) = start(acme).await else { return };
    let mut done = 0;
    let refused = loop {
        let answer = models.post("/chat/completions", Some("key-of-acme"), &chat("a")).await;
        if answer.status() != StatusCode::OK {
            break answer;
        }
        done += 1;
        assert!(done < 200, "the budget never ends");
    };
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(refused.headers()["x-tasklane-code"], "TL2308");
    assert_eq!(body(refused).await["error"]["code"], "insufficient_quota");
    let answered = models.upstream.count();
    assert!(answered >= 3, "some calls fit into half a dollar: {answered}");

    // Others are not concerned.
    assert_eq!(models.chat("a").await.status(), StatusCode::OK);
    // What was spent stays spent, whoever dies.
    models.stack.kill9(PROXY);
    models.stack.start_again(PROXY).await;
    let again = models.post("/chat/completions", Some("key-of-acme"), &chat("a")).await;
    assert_eq!(again.headers()["x-tasklane-code"], "TL2308");
    let task = models.stack.client.submit_with("llm_chat", chat("a"), json!({"tenant": "acme"})).await;
    assert_eq!(models.stack.client.result(&task).await["error"]["code"], "TL2308");
}

#[tokio::test]
async fn who_runs_out_of_money_is_answered_by_a_cheaper_model_and_never_by_a_dearer_one() {
    let dear = |id: &str, usd: u32| {
        format!(
            "[models.{id}]\nprovider = \"p\"\ncontext_tokens = 8000\nmax_output_tokens = 100\nprice = {{ input = {usd}, \
             output = {usd} }}\n"
        )
    };
    let rest = "[routes.three]\ncandidates = [\"dear\", \"dearest\", \"a\"]\n[tenants.acme]\nkeys = [{ env = \"ACME_KEY\" \
                }]\nbudgets = [{ usd = 1.0, per = \"day\" }]\nwhen_spent = \"cheaper\"\n";
    let Some(models) = start(&[dear("dear", 5_000), dear("dearest", 10_000), rest.to_owned()].concat()).await
    else {
        return;
    };
    let mut answered = Vec::new();
    while answered.last().is_none_or(|model| model != "a") {
        let answer = models.post("/chat/completions", Some("key-of-acme"), &chat("three")).await;
        assert_eq!(answer.status(), StatusCode::OK, "after {answered:?}");
        answered.push(answer.headers()["x-tasklane-model"].to_str().unwrap().to_owned());
        assert!(answered.len() < 20, "{answered:?}");
    }
    assert_eq!(answered[0], "dear");
    assert!(!answered.iter().any(|model| model == "dearest"), "{answered:?}");
}

#[tokio::test]
async fn who_asks_wrongly_is_told_as_clients_expect() {
    let Some(models) = start("[tenants.acme]\nkeys = [{ env = \"ACME_KEY\" }]\nmodels = [\"b\"]\n").await
    else {
        return;
    };
    for (key, asked, status, code) in [
        (None, json!({"messages": []}), 400, "TL2302"),
        (None, chat("nobody"), 404, "TL2305"),
        (None, chat("vectors"), 400, "TL2302"),
        (Some("key-of-acme"), chat("a"), 403, "TL2304"),
    ] {
        let answer = models.post("/chat/completions", key, &asked).await;
        assert_eq!(
            (answer.status().as_u16(), answer.headers()["x-tasklane-code"].to_str().unwrap()),
            (status, code)
        );
        assert!(answer.headers()["x-request-id"].to_str().unwrap().starts_with("req_"));
        let error = body(answer).await["error"].clone();
        assert!(
            ["message", "type", "param", "code"].iter().all(|field| error.get(field).is_some()),
            "{error}"
        );
    }
    assert_eq!(models.post("/nonsense", None, &json!({})).await.status(), StatusCode::NOT_FOUND);
    assert_eq!(models.upstream.count(), 0, "nothing of it reached the provider");
}

#[tokio::test]
async fn what_lies_at_the_provider_is_asked_there() {
    let Some(models) = start("[tenants.acme]\nkeys = [{ env = \"ACME_KEY\" }]\nmodels = [\"b\"]\n").await
    else {
        return;
    };
    let url = |path: &str| format!("http://127.0.0.1:{}/v1{path}", models.api);
    let made = models.post("/responses", None, &json!({"model": "a", "input": "hi"})).await;
    let id = body(made).await["id"].as_str().unwrap().to_owned();
    let found = http().get(url(&format!("/responses/{id}"))).send().await.unwrap();
    assert_eq!(body(found).await["id"], json!(id));
    for path in ["/files?purpose=batch", "/batches"] {
        let listed = http().get(url(path)).send().await.unwrap();
        assert_eq!(listed.status(), StatusCode::OK, "{path}");
    }
    let seen = models.upstream.requests();
    assert!(seen.iter().any(|r| r.method == "GET" && r.path.ends_with("/files?purpose=batch")), "{seen:?}");
    assert!(seen.iter().all(|r| r.header("authorization") == Some(format!("Bearer {KEY}").as_str())));
    let held = http().get(url("/files")).bearer_auth("key-of-acme").send().await.unwrap();
    assert_eq!(held.headers()["x-tasklane-code"], "TL2304", "who is held to models has no files");
    let named = http().get(url("/files")).header("x-tasklane-provider", "nobody").send().await.unwrap();
    assert_eq!(named.headers()["x-tasklane-code"], "TL2302");
}

#[tokio::test]
async fn the_providers_file_is_followed_and_a_broken_one_changes_nothing() {
    let Some(models) = start("").await else { return };
    let file = models.folder.path().join("providers.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, "[models.a]\nprovidder = 1\n").unwrap();
    wait::until("the mistake is told", async || {
        models.stack.log(PROXY).contains("cannot be used").then_some(())
    })
    .await;
    assert_eq!(models.chat("a").await.status(), StatusCode::OK, "the one before stays");
    std::fs::write(&file, format!("{text}\n[routes.new]\ncandidates = [\"b\"]\n")).unwrap();
    wait::until("the new route is there", async || {
        (models.chat("new").await.status() == StatusCode::OK).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_client_that_goes_away_ends_the_call() {
    let Some(models) = start("").await else { return };
    let slow = Shape { pieces: 50, delay: Duration::from_millis(200), ..Shape::default() };
    models.upstream.set("upstream-a", Script::Ordinary(slow));
    let mut asked = chat("a");
    asked["stream"] = json!(true);
    let mut answer = models.post("/chat/completions", None, &asked).await;
    assert!(answer.chunk().await.unwrap().is_some());
    drop(answer);
    let seen = models
        .upstream
        .until("the provider sees it", |seen| seen.iter().any(|r| r.end != End::Pending))
        .await;
    assert_eq!(seen[0].end, End::ClientGone);
    // What came through is charged.
    let counted = async || {
        let page = tasklane_testkit::http::get(models.stack.port(PROXY), "/metrics").await?.body;
        let line = page.lines().find(|l| {
            l.starts_with(r#"tasklane_llm_tokens_total{tenant="default",model="a",direction="input"}"#)
        })?;
        line.rsplit(' ').next()?.parse::<f64>().ok().filter(|tokens| *tokens > 0.0)
    };
    wait::until("it is counted", counted).await;
}
