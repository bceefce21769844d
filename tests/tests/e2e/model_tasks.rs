//! Model calls as tasks: told piece by piece, put off while there is no room, and never with a key in them.

use std::time::Duration;

use futures::StreamExt as _;
use serde_json::{Value, json};
use tasklane_testkit::upstream::{Ending, Script, Shape, Split, TEXT};

use crate::models::{KEY, PROXY, chat, start};

#[tokio::test]
async fn a_stream_is_told_as_it_comes_and_its_result_is_whole() {
    let Some(models) = start("").await else { return };
    let client = &models.stack.client;
    let mut events = Box::pin(client.bus.listen("events.llm_chat.*.chunk".to_owned()).await.unwrap());
    let slow = Shape { delay: Duration::from_millis(20), split: Split::InsideUtf8, ..Shape::default() };
    models.upstream.set("upstream-a", Script::Ordinary(slow));
    let mut asked = chat("a");
    asked["stream"] = json!(true);
    let id = client.submit("llm_chat", asked).await;
    let (mut told, mut pieces) = (String::new(), 0);
    while told != TEXT {
        let (subject, _, body) = events.next().await.expect("events go on");
        assert_eq!(subject, format!("events.llm_chat.{id}.chunk"));
        let event: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!((&event["choice"], &event["attempt"]), (&json!(0), &json!(1)));
        told.push_str(event["text"].as_str().unwrap());
        pieces += 1;
        assert!(TEXT.starts_with(&told), "{told}");
    }
    assert!(pieces > 1, "one by one");
    let result = client.result(&id).await;
    assert_eq!(result["status"], "succeeded", "{result}");
    let answer = &result["result"];
    assert_eq!(
        (&answer["object"], &answer["choices"][0]["message"]["content"]),
        (&json!("chat.completion"), &json!(TEXT))
    );
    assert!(answer["usage"]["prompt_tokens"].as_u64().unwrap() > 0, "{answer}");
}

#[tokio::test]
async fn a_stream_that_breaks_off_is_asked_for_again() {
    let Some(models) = start("").await else { return };
    let mut asked = chat("a");
    asked["stream"] = json!(true);
    for ending in [Ending::CloseAfter(3), Ending::ErrorAfter(3), Ending::HangAfter(3)] {
        models.upstream.push(Script::ends(ending));
        let result = models.stack.client.run("llm_chat", asked.clone()).await;
        assert_eq!(result["status"], "succeeded", "{ending:?}: {result}");
        assert_eq!(result["result"]["choices"][0]["message"]["content"], TEXT);
        let attempts = result["attempts"].as_array().unwrap();
        let codes: Vec<_> = attempts.iter().map(|a| a["error"]["code"].as_str()).collect();
        assert_eq!(codes, [Some("TL3320"), None], "{ending:?}");
    }
}

#[tokio::test]
async fn who_says_when_it_has_room_again_costs_no_attempt() {
    let Some(models) = start("").await else { return };
    let client = &models.stack.client;
    // Longer than a task waits here: it goes into a schedule.
    models.upstream.push(Script::limited("retry-after", "3"));
    let once = json!({"retry": {"max_attempts": 1}});
    let id = client.submit_with("llm_chat", chat("a"), once).await;
    let result = client.result(&id).await;
    assert_eq!(result["status"], "succeeded", "{result}");
    assert_eq!(result["attempts"].as_array().map(Vec::len), Some(1));
    assert_eq!(models.upstream.count(), 2);
}

#[tokio::test]
async fn who_wants_to_wait_for_the_budget_is_put_off_and_expires_only_by_the_deadline() {
    let queue = "[tenants.acme]\nbudgets = [{ usd = 0.001, per = \"day\" }]\nwhen_spent = \"queue\"\n\
                 [tenants.other]\nbudgets = [{ usd = 0.08, per = \"day\" }]\nwhen_spent = \"queue\"\n";
    let Some(models) = start(queue).await else { return };
    let client = &models.stack.client;
    let run = async |tenant: &str| {
        let deadline = tasklane_contract::time::to_rfc3339(tasklane_contract::time::now_us() + 2_000_000);
        let more = json!({"tenant": tenant, "deadline": deadline});
        client.result(&client.submit_with("llm_chat", chat("a"), more).await).await
    };
    // More than the whole budget: no waiting helps.
    let never = run("acme").await;
    assert_eq!((&never["status"], &never["error"]["code"]), (&json!("failed"), &json!("TL2302")), "{never}");
    let spent = loop {
        let result = run("other").await;
        if result["status"] != "succeeded" {
            break result;
        }
        assert!(models.upstream.count() < 50, "the budget never ends");
    };
    assert_eq!((&spent["status"], &spent["attempts"]), (&json!("expired"), &json!([])), "{spent}");
    assert!(spent["error"]["message"].as_str().unwrap().contains("TL2308"), "{spent}");
}

#[tokio::test]
async fn a_key_that_a_provider_repeats_goes_no_further() {
    let Some(models) = start("").await else { return };
    let said = Script::error(400, &format!("bad_key_{KEY}"), vec![]);
    models.upstream.set("upstream-a", said);
    let answer = models.chat("a").await.text().await.unwrap();
    assert!(answer.contains("bad_key_***") && !answer.contains(KEY), "{answer}");
    let result = models.stack.client.run("llm_chat", chat("a")).await;
    assert_eq!(result["error"]["code"], "TL2320");
    assert!(!result.to_string().contains(KEY) && !models.stack.log(PROXY).contains(KEY), "{result}");
}
