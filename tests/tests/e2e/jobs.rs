//! Tasks of several model calls, against a scripted provider that answers by what it is asked.

use futures::StreamExt as _;
use serde_json::{Value, json};
use tasklane_testkit::upstream::{Recorded, Script, Upstream};
use tasklane_testkit::wait::PATIENCE;
use tasklane_testkit::{Options, Stack};
use tempfile::TempDir;

const PROXY: &str = "openai-proxy";
/// A repair says this; it stands in no other prompt.
const REPAIR: &str = "Your answer cannot be used";

/// A stack with a proxy whose model `m` reads 2000 tokens at once.
pub struct Jobs {
    pub stack: Stack,
    pub upstream: Upstream,
    _folder: TempDir,
}

/// A token costs a thousandth of a dollar, either way. The tenant `poor` has three dollars a day.
pub async fn start(own: &[(&str, &str)]) -> Option<Jobs> {
    let upstream = Upstream::start().await.unwrap();
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("providers.toml");
    let text = format!(
        "[providers.p]\nbase_url = \"{}\"\n[models.m]\nprovider = \"p\"\ncontext_tokens = 2000\nmax_output_tokens = \
         200\nprice = {{ input = 1000, output = 1000 }}\n[models.other]\nprovider = \"p\"\ncontext_tokens = 2000\n\
         max_output_tokens = 200\nfree = true\n[tenants.poor]\nbudgets = [{{ usd = 3.0, per = \"day\" }}]\n",
        upstream.base_url(),
    );
    std::fs::write(&file, text).unwrap();
    let file = file.display().to_string();
    let listen = format!("127.0.0.1:{}", tasklane_testkit::port::free());
    let common = [("TASKLANE_PROVIDERS_FILE", file.as_str()), ("TASKLANE_API_LISTEN", listen.as_str())];
    let all: Vec<(&str, &str)> = common.iter().chain(own).copied().collect();
    let stack = Stack::start(Options::no_workers().service(PROXY, "tasklane-openai-proxy", &all)).await?;
    Some(Jobs { stack, upstream, _folder: folder })
}

impl Jobs {
    /// Answers by the first of these markers that the request has.
    pub fn answers(&self, cases: &[(&str, Script)]) {
        self.upstream.set("m", Script::cases(cases));
    }

    /// Runs a task; gives its result, and the events `partial` and `progress` that came on the way.
    pub async fn run(&self, task_type: &str, payload: Value) -> (Value, Vec<Value>, Vec<Value>) {
        self.run_as(task_type, payload, "default").await
    }

    pub async fn run_as(
        &self,
        task_type: &str,
        payload: Value,
        tenant: &str,
    ) -> (Value, Vec<Value>, Vec<Value>) {
        let client = &self.stack.client;
        let events = client.bus.listen(format!("events.{task_type}.*.*")).await.unwrap();
        let mut events = Box::pin(events);
        client.bus.flush().await.unwrap();
        let id = client.submit_with(task_type, payload, json!({"tenant": tenant})).await;
        let result = client.result(&id).await;
        // Events come before the result is stored; a message of our own behind them says that all are there.
        let last = format!("events.{task_type}.{id}.test_end");
        client.bus.tell(last, tasklane_bus::Headers::new(), "{}".into()).await.unwrap();
        let (mut partial, mut progress) = (Vec::new(), Vec::new());
        loop {
            let next = tokio::time::timeout(PATIENCE, events.next()).await.unwrap();
            let (subject, _, body) = next.unwrap();
            let body: Value = serde_json::from_slice(&body).unwrap_or_default();
            match subject.as_str().rsplit('.').next() {
                Some("partial") => partial.push(body),
                Some("progress") => progress.push(body),
                Some("test_end") => break,
                _ => {}
            }
        }
        (result, partial, progress)
    }

    /// Runs a job until the budget of `poor` is spent; that is told as for any call, and not tried again.
    pub async fn spends(&self, task_type: &str, payload: Value) {
        for _ in 0..20 {
            let asked = self.upstream.count();
            let (result, ..) = self.run_as(task_type, payload.clone(), "poor").await;
            if result["status"] == "succeeded" {
                continue;
            }
            assert_eq!(
                (&result["error"]["code"], &result["attempts"][1]),
                (&json!("TL2308"), &Value::Null),
                "{result}"
            );
            let made = self.upstream.count() - asked;
            assert!(made > 0, "the budget ended between two jobs; another price would end it within one");
            return;
        }
        panic!("the budget never ends");
    }

    /// A payload that is refused before anything is asked.
    pub async fn refused(&self, task_type: &str, payload: Value, code: &str, said: &str) {
        let asked = self.upstream.count();
        let result = self.stack.client.run(task_type, payload).await;
        assert_eq!(
            (&result["status"], &result["error"]["code"]),
            (&json!("failed"), &json!(code)),
            "{result}"
        );
        let message = result["error"]["message"].as_str().unwrap();
        assert!(message.contains(said), "{said}: {message}");
        assert_eq!(self.upstream.count(), asked, "the provider was asked");
    }

    /// The first answer is wrong and the repaired one right, then both are wrong; `good` are the answers of the job,
    /// `broken` the marker of the one that is spoiled.
    pub async fn repairs(&self, task_type: &str, payload: Value, good: &[(&str, Script)], broken: &str) {
        let right = good.iter().find(|(marker, _)| *marker == broken).unwrap().1.clone();
        let spoiled = |repaired: Script| {
            let story = Script::says("I would rather tell a story.");
            let cases = Script::cases(&[(REPAIR, repaired), ("", story)]);
            let each = good.iter().map(|(marker, script)| {
                (*marker, if *marker == broken { cases.clone() } else { script.clone() })
            });
            each.collect::<Vec<_>>()
        };
        self.answers(&spoiled(right));
        let before = self.upstream.requests().len();
        let (result, ..) = self.run(task_type, payload.clone()).await;
        assert_eq!(result["status"], "succeeded", "{result}");
        assert!(result["result"]["usage"]["repairs"].as_u64().unwrap() >= 1, "{result}");
        assert!(result["result"]["templates"]["structured/repair"].is_object(), "{result}");
        // The model saw its answer, and what is wrong with it.
        let requests = self.upstream.requests();
        let repair = requests[before..].iter().find(|r| {
            let body = r.json().to_string();
            body.contains(REPAIR) && body.contains("tell a story")
        });
        let repair = repair.unwrap().json();
        let messages = repair["messages"].as_array().unwrap();
        assert_eq!(messages[messages.len() - 2]["content"], "I would rather tell a story.");
        let told = messages[messages.len() - 1]["content"].as_str().unwrap();
        assert!(told.contains("not JSON"), "{told}");

        self.answers(&spoiled(Script::says(r#"{"nonsense": true}"#)));
        let before = self.upstream.requests().len();
        let (result, ..) = self.run(task_type, payload).await;
        assert_eq!(
            (&result["status"], &result["error"]["code"]),
            (&json!("failed"), &json!("TL2330")),
            "{result}"
        );
        assert!(result["error"]["message"].as_str().unwrap().contains("required"), "{result}");
        assert_eq!(result["attempts"].as_array().unwrap().len(), 1, "it is final");
        let repairs = self.upstream.requests()[before..]
            .iter()
            .filter(|r| r.json().to_string().contains(REPAIR))
            .count();
        assert!(repairs >= 1, "it was repaired before");
    }
}

pub fn says(value: &Value) -> Script {
    Script::says(value.to_string())
}

/// The calls that the usage tells are those that the provider saw.
pub fn sums_up(jobs: &Jobs, result: &Value, before: u64) {
    let usage = &result["result"]["usage"];
    assert_eq!(usage["calls"].as_u64().unwrap(), jobs.upstream.count() - before, "{usage}");
    let tokens = usage["input_tokens"].as_u64().unwrap() + usage["output_tokens"].as_u64().unwrap();
    let cost = usage["cost_usd"].as_f64().unwrap();
    assert!(tokens > 0 && (cost - tokens as f64 / 1_000.0).abs() < 1e-9, "{usage}");
}

const FINAL: &str = "You write a summary for a reader";
const PART: &str = "You sum up one part";

fn summary() -> Vec<(&'static str, Script)> {
    let last = json!({"summary": "The lamp was lit in 1887.", "key_points": ["1887"]});
    vec![
        (FINAL, says(&last)),
        (PART, Script::says("The lamp, part of it.")),
        ("You merge", Script::says("Both.")),
    ]
}

pub fn long_text() -> String {
    (0..400).map(|n| format!("Paragraph {n} tells of the lamp and of those who kept it lit.\n\n")).collect()
}

#[tokio::test]
async fn a_short_document_is_one_call_and_a_long_one_many() {
    let Some(jobs) = start(&[]).await else { return };
    jobs.answers(&summary());
    let (short, ..) = jobs.run("document_summary", json!({"model": "m", "text": "The lamp was lit."})).await;
    assert_eq!(short["result"]["summary"], "The lamp was lit in 1887.", "{short}");
    assert_eq!((jobs.upstream.count(), &short["result"]["parts"]), (1, &json!(1)));
    assert_eq!(short["result"]["models"], json!(["m"]));
    let template = &short["result"]["templates"]["document_summary/final"];
    assert_eq!((&template["version"], template["hash"].as_str().unwrap().len()), (&json!("v1"), 12));
    let asked = jobs.upstream.requests()[0].json();
    assert_eq!(asked["response_format"]["json_schema"]["strict"], true);

    let before = jobs.upstream.count();
    let text = format!("{}{{{{focus}}}}", long_text());
    let (long, partial, progress) = jobs.run("document_summary", json!({"model": "m", "text": text})).await;
    let result = &long["result"];
    let parts = result["parts"].as_u64().unwrap();
    assert!(parts > 3 && result["levels"].as_u64().unwrap() >= 2, "{long}");
    assert_eq!(result["key_points"], json!(["1887"]));
    sums_up(&jobs, &long, before);
    let told = partial.iter().filter(|p| p["of"].as_str().unwrap().starts_with("part ")).count();
    assert_eq!((told as u64, &partial[0]["text"]), (parts, &json!("The lamp, part of it.")));
    assert!(progress.len() as u64 > parts && progress.last().unwrap()["fraction"] == 1.0, "{progress:?}");
    // Every paragraph was read once, and a placeholder in the text stayed what it is.
    let requests = jobs.upstream.requests();
    let bodies: Vec<String> = requests.iter().map(|r| r.json().to_string()).collect();
    for n in [0, 123, 399] {
        let having = bodies.iter().filter(|body| body.contains(&format!("Paragraph {n} tells"))).count();
        assert_eq!(having, 1, "paragraph {n}");
    }
    assert!(bodies.iter().any(|body| body.contains("{{focus}}")));
}

#[tokio::test]
async fn summaries_are_repaired_once_and_bad_payloads_are_told() {
    let Some(jobs) = start(&[("TASKLANE_JOBS_MAX_CALLS", "4")]).await else { return };
    let payload = json!({"model": "m", "text": "The lamp was lit."});
    jobs.repairs("document_summary", payload.clone(), &summary(), FINAL).await;
    for (payload, code, said) in [
        (json!({"model": "m"}), "TL1002", "give one of `text`, `source`, `chunks` and `documents`"),
        (json!({"model": "m", "txt": "x"}), "TL1010", "txt"),
        (json!({"model": "m", "text": "x", "words": 5}), "TL1010", "/words"),
        (json!({"model": "m", "source": "obj://payloads/x"}), "TL1010", "/source"),
        (json!({"model": "m", "source": "obj://documents/nothing"}), "TL1014", "nothing"),
        (json!({"model": "m", "text": " \n "}), "TL2336", "no text"),
        (json!({"text": "x"}), "TL2334", "jobs.model"),
        (json!({"model": "nobody", "text": "x"}), "TL2305", "nobody"),
        (json!({"model": "m", "text": long_text()}), "TL2333", "jobs.max_calls"),
    ] {
        jobs.refused("document_summary", payload, code, said).await;
    }
    // Models that write a fence around their JSON, or are cut off.
    jobs.answers(&[(FINAL, Script::says("```json\n{\"summary\": \"x\", \"key_points\": []}\n```"))]);
    let (fenced, ..) = jobs.run("document_summary", payload.clone()).await;
    assert_eq!((&fenced["result"]["summary"], &fenced["result"]["usage"]["calls"]), (&json!("x"), &json!(1)));
}

#[tokio::test]
async fn a_document_in_the_store_and_the_operators_prompts_are_used() {
    let prompts = TempDir::new().unwrap();
    std::fs::create_dir(prompts.path().join("document_summary")).unwrap();
    let own = prompts.path().join("document_summary/final.v1.md");
    std::fs::write(&own, "LIGHTHOUSE STYLE\n---\n{{text}}").unwrap();
    let folder = prompts.path().display().to_string();
    let Some(jobs) = start(&[("TASKLANE_PROMPTS_FOLDER", &folder), ("TASKLANE_JOBS_MODEL", "m")]).await
    else {
        return;
    };
    jobs.answers(&[("LIGHTHOUSE STYLE", says(&json!({"summary": "From the store.", "key_points": []})))]);
    let client = &jobs.stack.client;
    client.bus.put_object("documents", "lamp.md", &mut "# The lamp\n\nIt was lit.".as_bytes()).await.unwrap();
    let (result, ..) = jobs.run("document_summary", json!({"source": "obj://documents/lamp.md"})).await;
    assert_eq!(result["result"]["summary"], "From the store.", "{result}");
    assert_eq!(result["result"]["templates"]["document_summary/final"]["replaced"], true);
    // As document_chunk returns them; what they share is read once.
    let chunks = json!([{"index": 0, "text": "The lamp was lit.", "start": 0, "end": 17, "tokens": 5},
        {"index": 1, "text": "was lit. In 1887.", "start": 9, "end": 26, "tokens": 6}]);
    let (result, ..) = jobs.run("document_summary", json!({"chunks": chunks})).await;
    assert_eq!(result["status"], "succeeded", "{result}");
    let asked = jobs.upstream.requests()[1].json();
    assert_eq!(asked["messages"][1]["content"], "The lamp was lit.\n\nIn 1887.");
}

#[tokio::test]
async fn a_budget_that_ends_within_a_job_ends_it() {
    let Some(jobs) = start(&[]).await else { return };
    jobs.answers(&summary());
    // A call reserves its prompt and 200 tokens, about a dollar: two fit.
    let payload = json!({"model": "m", "text": long_text()});
    let (result, partial, _) = jobs.run_as("document_summary", payload, "poor").await;
    assert_eq!(
        (&result["status"], &result["error"]["code"]),
        (&json!("failed"), &json!("TL2308")),
        "{result}"
    );
    assert_eq!(result["attempts"].as_array().unwrap().len(), 1);
    let answered = jobs.upstream.count();
    assert!((1..=3).contains(&answered), "{answered} calls for three dollars");
    assert!(partial.len() as u64 <= answered, "{partial:?}");
    let (other, ..) = jobs.run("document_summary", json!({"model": "m", "text": "Short."})).await;
    assert_eq!(other["status"], "succeeded", "others are not concerned: {other}");
}

#[tokio::test]
async fn what_a_provider_limits_is_tried_again() {
    let Some(jobs) = start(&[]).await else { return };
    jobs.upstream.push(Script::limited("x-should-retry", "false"));
    jobs.answers(&summary());
    let (result, ..) = jobs.run("document_summary", json!({"model": "m", "text": "The lamp was lit."})).await;
    assert_eq!(result["status"], "succeeded", "{result}");
    assert_eq!(result["attempts"].as_array().unwrap().len(), 2, "{result}");
}

#[tokio::test]
async fn the_next_attempt_goes_on_where_the_last_one_was() {
    let Some(jobs) = start(&[]).await else { return };
    let mut limited = summary();
    limited[0].1 = Script::limited("retry-after", "3");
    jobs.answers(&limited);
    let client = &jobs.stack.client;
    let id = client.submit("document_summary", json!({"model": "m", "text": long_text()})).await;
    let is_final = |seen: &[Recorded]| seen.iter().any(|r| r.json().to_string().contains(FINAL));
    let before = jobs.upstream.until("the last call was made", is_final).await.len() as u64;
    jobs.answers(&summary());
    let result = client.result(&id).await;
    assert_eq!(result["status"], "succeeded", "{result}");
    // Only the call that failed was made again, and what the others cost is told.
    assert_eq!((jobs.upstream.count(), result["attempts"].as_array().unwrap().len()), (before + 1, 1));
    assert_eq!(result["result"]["usage"]["calls"], json!(before));
}

const ANALYSE: &str = "You analyse texts";

#[tokio::test]
async fn an_analysis_is_put_together_from_its_parts() {
    let Some(jobs) = start(&[]).await else { return };
    let found = |sentiment: &str, score: f64, place: &str| {
        json!({"language": "en", "topics": [{"name": "lamps", "weight": 0.8}],
            "entities": [{"name": place, "type": "place", "mentions": 2}],
            "sentiment": {"label": sentiment, "score": score}, "key_points": ["It was lit."],
            "categories": [{"name": "history", "confidence": 1.0}]})
    };
    let good = [(ANALYSE, says(&found("positive", 0.9, "Holmgrund")))];
    jobs.answers(&[("Paragraph 399 tells", says(&found("negative", -0.8, "Paris"))), good[0].clone()]);
    let payload = json!({"model": "m", "text": long_text(), "categories": ["history", "sport"]});
    let (result, partial, progress) = jobs.run("content_analysis", payload).await;
    let found = &result["result"];
    let parts = found["parts"].as_u64().unwrap();
    assert!(parts > 3, "{result}");
    assert_eq!((partial.len() as u64, progress.len() as u64), (parts, parts));
    assert_eq!(
        found["entities"][0],
        json!({"name": "Holmgrund", "type": "place", "mentions": 2 * (parts - 1)})
    );
    assert_eq!((&found["sentiment"]["label"], &found["topics"][0]["weight"]), (&json!("mixed"), &json!(0.8)));
    assert_eq!((&found["key_points"], &found["language"]), (&json!(["It was lit."]), &json!("en")));
    sums_up(&jobs, &result, 0);

    let payload = json!({"model": "m", "text": "The lamp.", "categories": ["history"]});
    jobs.repairs("content_analysis", payload, &good, ANALYSE).await;
    // A category that nobody gave is told to the model; one that stays is dropped and reported.
    jobs.answers(&good);
    let payload = json!({"model": "m", "text": "The lamp.", "categories": ["sport"]});
    let (result, ..) = jobs.run("content_analysis", payload).await;
    assert_eq!(result["result"]["categories"], json!([]), "{result}");
    assert!(result["result"]["warnings"][0].as_str().unwrap().contains("`history`"), "{result}");
    for (payload, code, said) in [
        (json!({"model": "m", "text": "x", "aspects": ["mood"]}), "TL1010", "/aspects"),
        (json!({"model": "m", "documents": []}), "TL1010", "/documents"),
        (json!({"model": "m", "documents": ["x", {"title": "T"}]}), "TL1002", "documents[1]"),
    ] {
        jobs.refused("content_analysis", payload, code, said).await;
    }
    jobs.answers(&good);
    let payload = json!({"model": "m", "text": long_text(), "categories": ["history"]});
    jobs.spends("content_analysis", payload).await;
}
