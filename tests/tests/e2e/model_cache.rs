//! Answers that are given again, and prompts that are recorded only where somebody has switched that on.

use std::time::Duration;

use reqwest::Response;
use serde_json::{Value, json};
use tasklane_testkit::Options;
use tasklane_testkit::otlp::{OtlpReceiver, ReceivedSpan};
use tasklane_testkit::upstream::{Script, Shape, TEXT};
use tasklane_testkit::wait::{self, PATIENCE};

use crate::models::{Models, PROXY, body, chat, start, start_as};

fn same(model: &str) -> Value {
    let mut asked = chat(model);
    asked["temperature"] = json!(0);
    asked
}

fn from_cache(answer: &Response) -> Option<&str> {
    answer.headers().get("x-tasklane-cache").map(|value| value.to_str().unwrap())
}

async fn ask(models: &Models, asked: &Value) -> Response {
    models.post("/chat/completions", None, asked).await
}

#[tokio::test]
async fn the_same_question_is_asked_once_and_whoever_wants_a_fresh_answer_gets_one() {
    let Some(models) = start("[tenants.acme]\nkeys = [{ env = \"ACME_KEY\" }]\n").await else { return };
    let first = ask(&models, &same("a")).await;
    assert_eq!(from_cache(&first), Some("miss"));
    let first = body(first).await;
    let second = ask(&models, &same("a")).await;
    assert_eq!(
        (from_cache(&second), second.headers()["x-tasklane-model"].to_str().unwrap()),
        (Some("hit"), "a")
    );
    assert_eq!(body(second).await, first);
    assert_eq!(models.upstream.count(), 1);
    // The task asks the same, and says when it wants another answer.
    let client = &models.stack.client;
    assert_eq!(client.run("llm_chat", same("a")).await["result"], first);
    assert_eq!(models.upstream.count(), 1);
    let id = client.submit_with("llm_chat", same("a"), json!({"labels": {"llm_cache": "off"}})).await;
    assert_eq!(client.result(&id).await["status"], "succeeded");
    assert_eq!(models.upstream.count(), 2);
    // Another's question is another's, and one that draws lots is answered afresh.
    let other = models.post("/chat/completions", Some("key-of-acme"), &same("a")).await;
    assert_eq!(from_cache(&other), Some("miss"));
    assert_eq!(from_cache(&ask(&models, &chat("a")).await), None);
    assert_eq!(models.upstream.count(), 4);
    // Nothing of it was charged twice.
    let page = tasklane_testkit::http::get(models.stack.port(PROXY), "/metrics").await.unwrap().body;
    assert!(page.contains("tasklane_llm_cache_total{outcome=\"memory\"} 2"), "{page}");
}

#[tokio::test]
async fn what_was_answered_outlives_the_process_and_errors_are_not_kept() {
    let Some(mut models) = start("").await else { return };
    models.upstream.push(Script::error(400, "context_length_exceeded", vec![]));
    assert_eq!(ask(&models, &same("a")).await.status(), 400);
    assert_eq!(from_cache(&ask(&models, &same("a")).await), Some("miss"));
    assert_eq!(models.upstream.count(), 2);
    let vectors = json!({"model": "vectors", "input": ["a lamp", "a lens"]});
    let first = body(models.post("/embeddings", None, &vectors).await).await;
    // It is written beside the answer.
    let objects = models.stack.client.bus.clone();
    wait::until("both answers are in the object store", async || {
        let load = objects.stream_load("OBJ_llm-cache").await.ok()?;
        // Two messages each: the body, and what is told of it.
        (load.messages >= 4).then_some(())
    })
    .await;
    models.stack.kill9(PROXY);
    models.stack.start_again(PROXY).await;
    let again = models.post("/embeddings", None, &vectors).await;
    assert_eq!(from_cache(&again), Some("hit"));
    assert_eq!(body(again).await, first);
    assert_eq!(from_cache(&ask(&models, &same("a")).await), Some("hit"));
    assert_eq!(models.upstream.count(), 3);
}

#[tokio::test]
async fn many_who_ask_the_same_at_once_make_one_call() {
    let Some(models) = start("").await else { return };
    let slow = Shape { first_delay: Duration::from_millis(300), ..Shape::default() };
    models.upstream.set("upstream-a", Script::Ordinary(slow));
    let asked = same("a");
    let answers = futures::future::join_all((0..20).map(|_| ask(&models, &asked))).await;
    let hits = answers.iter().filter(|answer| from_cache(answer) == Some("hit")).count();
    assert_eq!((hits, models.upstream.count()), (19, 1));
    // Where the one who asks fails, the others ask for themselves.
    models.upstream.set("upstream-b", Script::error(400, "bad", vec![]));
    let asked = same("b");
    let answers = futures::future::join_all((0..3).map(|_| ask(&models, &asked))).await;
    assert!(answers.iter().all(|answer| answer.status() == 400));
}

#[tokio::test]
async fn a_stream_is_given_again_as_it_came() {
    let Some(models) = start("").await else { return };
    let mut asked = same("a");
    asked["stream"] = json!(true);
    let first = ask(&models, &asked).await;
    assert_eq!(from_cache(&first), Some("miss"));
    let first = first.text().await.unwrap();
    let again = wait::until("it is kept", async || {
        let answer = ask(&models, &asked).await;
        (from_cache(&answer) == Some("hit")).then_some(answer)
    })
    .await;
    assert!(again.headers()["content-type"].to_str().unwrap().starts_with("text/event-stream"));
    let calls = models.upstream.count();
    assert_eq!(again.text().await.unwrap(), first);
    // As a task its usage is asked for as well: that is another stream, told piece by piece both times.
    for _ in 0..2 {
        let result = models.stack.client.run("llm_chat", asked.clone()).await;
        assert_eq!(result["result"]["choices"][0]["message"]["content"], TEXT, "{result}");
    }
    assert!(models.upstream.count() <= calls + 2);
}

#[tokio::test]
async fn an_answer_ages_and_the_cache_can_be_switched_off() {
    for (setting, value, hits_first) in
        [("TASKLANE_CACHE_TTL_S", "1", true), ("TASKLANE_CACHE_ENABLED", "false", false)]
    {
        let Some(models) = start_as("", Options::no_workers(), &[(setting, value)]).await else { return };
        assert_eq!(ask(&models, &same("a")).await.status(), 200);
        let second = ask(&models, &same("a")).await;
        if hits_first {
            wait::until("it is too old", async || {
                (from_cache(&ask(&models, &same("a")).await) == Some("miss")).then_some(())
            })
            .await;
        } else {
            assert_eq!((from_cache(&second), models.upstream.count()), (None, 2));
        }
    }
}

#[tokio::test]
async fn prompts_and_answers_are_in_spans_only_where_that_is_switched_on() {
    for (switch, recorded) in [("true", true), ("false", false)] {
        let receiver = OtlpReceiver::start().await.unwrap();
        let options = Options::no_workers()
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", &receiver.endpoint())
            .env("OTEL_BSP_SCHEDULE_DELAY", "100");
        let settings = [("TASKLANE_RECORDING_CONTENT", switch)];
        let Some(models) = start_as("", options, &settings).await else { return };
        assert_eq!(models.chat("a").await.status(), 200);
        let mut asked = chat("b");
        asked["stream"] = json!(true);
        assert!(ask(&models, &asked).await.text().await.unwrap().contains("[DONE]"));
        let both = |spans: &[ReceivedSpan]| spans.iter().filter(|s| s.name.starts_with("chat ")).count() == 2;
        let spans = receiver.wait_for(both, PATIENCE).await.unwrap_or_else(|e| panic!("{e}"));
        for name in ["chat a", "chat b"] {
            let span = spans.iter().find(|s| s.name == name).unwrap();
            let has =
                |attribute: &str, text: &str| span.attribute(attribute).is_some_and(|a| a.contains(text));
            assert_eq!(has("gen_ai.input.messages", "Say something."), recorded, "{span:?}");
            assert_eq!(has("gen_ai.output.messages", TEXT), recorded, "{span:?}");
        }
        let everything = format!("{spans:?}{}", models.stack.log(PROXY));
        assert_eq!(everything.contains("Say something."), recorded);
    }
}
