//! `tasklane llm` against a running openai-proxy: what was used to the token, what is left, a chat; and who may ask.

use std::process::{Output, Stdio};

use futures::StreamExt as _;
use serde_json::{Value, json};
use tasklane_bus::{BusConfig, Headers};
use tasklane_contract::{streams, subjects};
use tasklane_testkit::upstream::{Script, Shape, Upstream};
use tasklane_testkit::wait::{self, PATIENCE};
use tasklane_testkit::{Client, Options, Stack, port, tool};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;

const PROXY: &str = "openai-proxy";
const KEY: &str = "sk-of-the-provider";
const ACME: &str = "key-of-acme";
/// What one call of a stream of this shape says it wrote.
const PIECES: usize = 8;

struct Models {
    stack: Stack,
    upstream: Upstream,
    _folder: TempDir,
}

/// Models `a` and `b` (a thousandth of a dollar a token, and two), the route `fast` to `a`; acme has a budget a day.
async fn start(options: Options) -> Option<Models> {
    let upstream = Upstream::start().await.unwrap();
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("providers.toml");
    let text = format!(
        "[providers.p]\nbase_url = \"{}\"\nkey = {{ env = \"PROVIDER_KEY\" }}\n\
         [models.a]\nprovider = \"p\"\nname = \"upstream-a\"\ncontext_tokens = 8000\nmax_output_tokens = 100\n\
         price = {{ input = 1000, output = 1000 }}\n\
         [models.b]\nprovider = \"p\"\nname = \"upstream-b\"\ncontext_tokens = 8000\nmax_output_tokens = 100\n\
         price = {{ input = 2000, output = 2000 }}\n\
         [routes.fast]\ncandidates = [\"a\"]\n\
         [tenants.acme]\nkeys = [{{ env = \"ACME_KEY\" }}]\nbudgets = [{{ usd = 5, per = \"day\" }}]\n\
         when_spent = \"cheaper\"\n[tenants.zoo]\n",
        upstream.base_url()
    );
    std::fs::write(&file, text).unwrap();
    let (file, listen) = (file.display().to_string(), format!("127.0.0.1:{}", port::free()));
    let own = [
        ("TASKLANE_PROVIDERS_FILE", file.as_str()),
        ("TASKLANE_API_LISTEN", listen.as_str()),
        ("TASKLANE_USAGE_KEEP_DAYS", "30"),
        ("PROVIDER_KEY", KEY),
        ("ACME_KEY", ACME),
    ];
    let stack = Stack::start(options.service(PROXY, "tasklane-openai-proxy", &own)).await?;
    Some(Models { stack, upstream, _folder: folder })
}

/// The command with a connection to the stack, and no other setting.
fn tasklane(stack: &Stack, args: &[&str]) -> Command {
    let mut command = Command::new(tool::ours("tasklane"));
    for (key, _) in std::env::vars_os() {
        if key.to_str().is_some_and(|k| k.starts_with("TASKLANE_") || k.starts_with("OTEL_")) {
            command.env_remove(key);
        }
    }
    command.env("TASKLANE_NATS_URL", stack.url()).args(args).stdin(Stdio::null()).kill_on_drop(true);
    command
}

struct Said {
    code: i32,
    out: String,
    err: String,
}

impl Said {
    fn of(ended: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Self { code: ended.status.code().unwrap(), out: text(ended.stdout), err: text(ended.stderr) }
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("{e}: {}{}", self.out, self.err))
    }
}

async fn say(stack: &Stack, args: &[&str]) -> Said {
    let ended = tokio::time::timeout(PATIENCE, tasklane(stack, args).output()).await;
    Said::of(ended.unwrap_or_else(|_| panic!("tasklane {args:?} does not end")).unwrap())
}

impl Models {
    /// A call as a task; returns how many tokens went in and came out.
    async fn call(&self, model: &str, tenant: &str) -> (u64, u64) {
        let payload = json!({"model": model, "messages": [{"role": "user", "content": "Say something."}]});
        let id = self.stack.client.submit_with("llm_chat", payload, json!({"tenant": tenant})).await;
        let result = self.stack.client.result(&id).await;
        let usage = &result["result"]["usage"];
        let tokens = |key: &str| usage[key].as_u64().unwrap_or_else(|| panic!("{result}"));
        (tokens("prompt_tokens"), tokens("completion_tokens"))
    }

    /// What `usage` says once it knows of so many calls.
    async fn usage(&self, calls: u64, args: &[&str]) -> Value {
        let args = [&["llm", "usage", "--json"], args].concat();
        wait::until("usage is written", async || {
            let said = say(&self.stack, &args).await.json();
            (said["total"]["requests"] == calls).then_some(said)
        })
        .await
    }
}

fn row(tenant: &str, model: &str, calls: u64, (input, output): (u64, u64), nano_per_token: u64) -> Value {
    json!({"tenant": tenant, "model": model, "requests": calls, "input_tokens": calls * input, "cached_tokens": 0,
        "output_tokens": calls * output, "nano_usd": calls * (input + output) * nano_per_token})
}

#[tokio::test]
async fn usage_is_told_to_the_token_over_a_restart_and_old_usage_is_removed() {
    let Some(mut models) = start(Options::no_workers()).await else { return };
    assert!(say(&models.stack, &["llm", "usage"]).await.out.starts_with("nothing was used from "));
    let a = models.call("a", "acme").await;
    assert_eq!(a.1, PIECES as u64);
    models.call("fast", "acme").await;
    let b = models.call("b", "zoo").await;
    // Who is not in the file is counted for the tenant whose rules hold for it.
    models.call("a", "stranger").await;
    let dollar = 1_000_000;
    let by = ["--by", "tenant,model"];
    let rows = json!([
        row("acme", "a", 2, a, dollar),
        row("default", "a", 1, a, dollar),
        row("zoo", "b", 1, b, 2 * dollar)
    ]);
    assert_eq!(models.usage(4, &by).await["rows"], rows);

    // What was counted last is written before the process ends.
    models.call("a", "acme").await;
    models.stack.term(PROXY);
    assert!(models.stack.ended(PROXY).await.success());
    let bucket = models.stack.client.bus.bucket(streams::LLM).await.unwrap();
    bucket.put("usage.20000.acme", "{}".into()).await.unwrap();
    models.stack.start_again(PROXY).await;
    let one = models.usage(3, &["--by", "tenant,model", "--tenant", "acme", "--model", "a"]).await;
    assert_eq!(one["rows"], json!([row("acme", "a", 3, a, dollar)]));
    let days = models.usage(5, &["--by", "day", "--since", "1d"]).await;
    let today = days["to"].clone();
    assert_eq!((&days["rows"][0]["day"], days["rows"].as_array().unwrap().len()), (&today, 1), "{days}");
    let table = say(&models.stack, &["llm", "usage"]).await;
    let heads = table.out.lines().next().unwrap().split_whitespace().collect::<Vec<_>>();
    assert_eq!(heads, ["DAY", "TENANT", "MODEL", "CALLS", "INPUT", "CACHED", "OUTPUT", "USD"]);
    wait::until("what is past its time is gone", async || {
        bucket.keys("usage.20000.*", 10).await.unwrap().is_empty().then_some(())
    })
    .await;
    assert_eq!(bucket.keys("usage.*.*", 10).await.unwrap().len(), 3, "the rest stays");
}

#[tokio::test]
async fn models_and_budgets_are_told_without_a_secret() {
    let Some(models) = start(Options::no_workers()).await else { return };
    let used = models.call("a", "acme").await;
    let listed = say(&models.stack, &["llm", "models"]).await;
    assert_eq!(listed.code, 0, "{}", listed.err);
    let line = listed.out.lines().find(|line| line.starts_with("fast ")).unwrap();
    let cells = ["fast", "chat", "a", "p", "upstream-a", "8000", "1000", "1000", "1000", "ready"];
    assert_eq!(line.split_whitespace().collect::<Vec<_>>(), cells);

    // A breaker that is open is seen.
    models.upstream.set("upstream-b", Script::error(401, "invalid_api_key", vec![]));
    let payload = json!({"model": "b", "messages": [{"role": "user", "content": "?"}]});
    models.stack.client.submit("llm_chat", payload).await;
    wait::until("b's breaker is open", async || {
        let said = say(&models.stack, &["llm", "models", "--json"]).await.json();
        (said["models"]["b"]["breaker"] == "open" && said["models"]["a"]["breaker"] == "closed").then_some(())
    })
    .await;

    // What a running replica holds comes back in a few seconds; then it is what was used.
    let spent = (used.0 + used.1) * 1_000_000;
    let budget = wait::until("the budget shows what was spent", async || {
        let said = say(&models.stack, &["llm", "budgets", "--json"]).await.json();
        let [budget] = said["budgets"].as_array().unwrap().as_slice() else { panic!("{said}") };
        (budget["used_nano_usd"] == spent).then(|| budget.clone())
    })
    .await;
    assert_eq!(budget["left_nano_usd"], 5_000_000_000 - spent);
    assert_eq!(
        (&budget["tenant"], &budget["window"], &budget["when_spent"]),
        (&json!("acme"), &json!("day"), &json!("cheaper"))
    );
    assert!(budget["opens_at"].as_str().unwrap().ends_with("T00:00:00Z"), "{budget}");
    let none = say(&models.stack, &["llm", "budgets", "--tenant", "zoo"]).await;
    assert!(none.code == 0 && none.out.contains("no budget"), "{}", none.out);

    for subject in [subjects::LLM_MODELS, subjects::LLM_USAGE, subjects::LLM_BUDGETS] {
        let answer = models.stack.client.api(subject, json!({})).await.to_string();
        let address = models.upstream.address().to_string();
        for secret in [KEY, ACME, "PROVIDER_KEY", "ACME_KEY", address.as_str()] {
            assert!(!answer.contains(secret), "{secret}: {answer}");
        }
    }
}

#[tokio::test]
async fn a_chat_asks_once_and_prints_what_comes() {
    let Some(models) = start(Options::no_workers()).await else { return };
    models.upstream.set("upstream-a", Script::says("The lamp is lit."));
    let said = say(&models.stack, &["llm", "chat", "--system", "Be short.", "What is it?"]).await;
    assert_eq!((said.code, said.out.as_str()), (0, "The lamp is lit.\n"), "{}", said.err);
    let seen = models.upstream.requests()[0].json();
    assert_eq!(seen["messages"][0], json!({"role": "system", "content": "Be short."}));
    assert_eq!(seen["messages"][1], json!({"role": "user", "content": "What is it?"}));
    let (input, output) = models.call("a", "zoo").await;
    assert!(
        said.err.contains("upstream-a · ") && said.err.contains(&format!(", {output} out")),
        "{}",
        said.err
    );
    assert!(input > 0 && said.err.contains(" USD"), "{}", said.err);

    // Standard input is asked where it is no terminal; --json gives the completion.
    let args = ["llm", "chat", "--model", "a", "--tenant", "zoo", "--json"];
    let mut asking = tasklane(&models.stack, &args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = asking.stdin.take().unwrap();
    stdin.write_all(b"From a pipe").await.unwrap();
    drop(stdin);
    let said = Said::of(tokio::time::timeout(PATIENCE, asking.wait_with_output()).await.unwrap().unwrap());
    assert_eq!(said.json()["choices"][0]["message"]["content"], "The lamp is lit.", "{}", said.err);
    assert_eq!(models.upstream.requests().last().unwrap().json()["messages"][0]["content"], "From a pipe");
    models.usage(2, &["--tenant", "zoo"]).await;
}

#[tokio::test]
async fn pieces_of_an_answer_are_printed_as_they_come() {
    let Some(models) = start(Options::no_workers()).await else { return };
    let delay = std::time::Duration::from_millis(400);
    let slow = Shape { delay, text: "The lamp is lit.".into(), pieces: 4, ..Shape::default() };
    models.upstream.set("upstream-a", Script::Ordinary(slow));
    let bus = &models.stack.client.bus;
    let mut told = Box::pin(bus.listen("events.llm_chat.*.chunk".to_owned()).await.unwrap());
    bus.flush().await.unwrap();
    let mut asking = tasklane(&models.stack, &["llm", "chat", "What is it?"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let (subject, ..) = tokio::time::timeout(PATIENCE, told.next()).await.unwrap().unwrap();
    let mut out = asking.stdout.take().unwrap();
    let mut first = [0; 4];
    tokio::time::timeout(PATIENCE, out.read_exact(&mut first)).await.unwrap().unwrap();
    assert_eq!(&first, b"The ");
    let done = models.stack.client.record_now(subject.split('.').nth(2).unwrap()).await;
    assert!(done.is_none(), "it was printed before the answer was there");
    let mut rest = String::new();
    tokio::time::timeout(PATIENCE, out.read_to_string(&mut rest)).await.unwrap().unwrap();
    assert_eq!(rest, "lamp is lit.\n", "and once");
    assert!(asking.wait().await.unwrap().success());
}

#[tokio::test]
async fn what_is_wrong_is_told_with_what_to_do() {
    let Some(models) = start(Options::no_workers()).await else { return };
    for (args, code, text) in [
        (&["llm", "usage", "--since", "monday"][..], 2, "TL1013 --since"),
        (&["llm", "usage", "--since", "2020-01-01"], 2, "TL1020"),
        (&["llm", "usage", "--by", "year"], 2, "invalid value"),
        (&["llm", "chat", "--model", "nobody", "hi"], 1, "TL2305"),
        (&["llm", "chat", " "], 2, "nothing to ask"),
    ] {
        let said = say(&models.stack, args).await;
        assert!(
            said.code == code && said.err.contains(text),
            "{args:?}: {} {}{}",
            said.code,
            said.out,
            said.err
        );
    }
    let Models { mut stack, .. } = models;
    stack.term(PROXY);
    stack.ended(PROXY).await;
    for args in [&["llm", "models"][..], &["llm", "usage"], &["llm", "budgets"], &["llm", "chat", "hi"]] {
        let said = say(&stack, args).await;
        assert_eq!(said.code, 5, "{args:?} {}", said.err);
        assert!(
            said.err.contains("no openai-proxy answers") && said.err.contains("tasklane up"),
            "{}",
            said.err
        );
    }
}

#[tokio::test]
async fn with_users_the_proxy_answers_operators_and_nobody_else_answers() {
    let Some(models) = start(Options::default().secure()).await else { return };
    models.call("a", "acme").await;
    let api = async |subject| models.stack.client.api(subject, json!({})).await;
    wait::until("usage is written and read", async || {
        (api(subjects::LLM_USAGE).await["total"]["requests"] == 1).then_some(())
    })
    .await;
    assert_eq!(api(subjects::LLM_BUDGETS).await["budgets"][0]["tenant"], "acme");
    // An application sees what it may ask for; what all tenants spend is not its matter.
    let keys = models.stack.keys.as_ref().unwrap();
    let user = async |name| {
        Client::connect_as(&BusConfig { timeout_ms: 300, ..keys.config(name, &models.stack.url()) }).await
    };
    let publisher = user("publisher").await;
    assert!(publisher.api(subjects::LLM_MODELS, json!({})).await["models"]["a"].is_object());
    for subject in [subjects::LLM_USAGE, subjects::LLM_BUDGETS] {
        let patience = std::time::Duration::from_millis(500);
        assert!(
            publisher.bus.ask(subject, Headers::new(), "{}".into(), patience).await.is_err(),
            "{subject}"
        );
    }
    // Another pool hears no question, and so answers none.
    let generic = user("generic").await;
    let mut ear = Box::pin(generic.bus.listen("api.llm.*".to_owned()).await.unwrap());
    generic.bus.flush().await.unwrap();
    api(subjects::LLM_MODELS).await;
    generic.bus.flush().await.unwrap();
    assert!(futures::FutureExt::now_or_never(ear.next()).flatten().is_none());
    let log = models.stack.log(PROXY);
    let refused: Vec<&str> = log.lines().filter(|line| line.contains("NATS refused")).collect();
    assert_eq!(refused, Vec::<&str>::new());
}
