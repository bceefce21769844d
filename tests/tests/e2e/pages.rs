//! What an operator sees: pages, configuration, exits.

use std::collections::BTreeSet;
use std::process::Output;

use serde_json::json;
use tasklane_testkit::{Client, Options, Stack, child, http, tool, wait};

/// The services, as the folders say: a list here would be forgotten with the first addition.
pub fn services() -> Vec<String> {
    let folders = std::fs::read_dir(tool::repository().join("services")).unwrap();
    let mut names: Vec<String> =
        folders.map(|folder| folder.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Runs a service with nothing of our settings but `env`; `None` where it is not built.
fn run(service: &str, args: &[&str], env: &[(&str, &str)]) -> Option<Output> {
    let program = tool::place_of_ours(&format!("tasklane-{service}"));
    if !program.is_file() {
        tool::skipped(&program.display().to_string(), "(`make test` builds it)");
        return None;
    }
    Some(child::command(program).args(args).envs(env.iter().copied()).output().unwrap())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[tokio::test]
async fn metrics_can_be_read_and_count_what_happened() {
    let Some(stack) = Stack::start(Options::default()).await else { return };
    for _ in 0..3 {
        stack.client.run("echo", json!(1)).await;
    }
    stack.client.run("error", json!({"mode": "permanent"})).await;
    let worker = families(stack.port("generic")).await;
    let of_worker =
        ["tasks", "task_duration_seconds", "queue_wait_seconds", "retries", "dead_letters", "slots"];
    assert_has(&worker, &of_worker);
    let router = families(stack.port("router")).await;
    assert_has(&router, &["router_decisions", "lane_backlog", "service_info"]);
    let page = http::get(stack.port("generic"), "/metrics").await.unwrap().body;
    let line = r#"tasklane_tasks_total{task_type="echo",outcome="succeeded"} 3"#;
    assert!(page.lines().any(|l| l == line), "{page}");
    let page = http::get(stack.port("router"), "/metrics").await.unwrap().body;
    let line = r#"tasklane_router_decisions_total{pool="generic",outcome="routed"} 4"#;
    assert!(page.lines().any(|l| l == line), "{page}");
}

#[tokio::test]
async fn who_waits_and_who_works_is_measured() {
    let one_slot = Options::no_workers().worker("generic", &[("TASKLANE_WORKER_SLOTS", "1")]);
    let Some(stack) = Stack::start(one_slot).await else { return };
    let running = started(&stack.client, 60_000).await;
    stack.client.submit_with("echo", json!(1), json!({"priority": "high"})).await;
    let port = stack.port("router");
    let value = async |series: &str| {
        let page = http::get(port, "/metrics").await?.body;
        let line = page.lines().find(|line| line.starts_with(series))?;
        line.rsplit(' ').next()?.parse::<f64>().ok()
    };
    wait::until("the waiting task grows older", async || {
        value(r#"tasklane_lane_oldest_task_seconds{pool="generic",priority="1"}"#)
            .await
            .filter(|age| *age >= 1.0)
    })
    .await;
    // The one that runs does not wait.
    assert_eq!(value(r#"tasklane_lane_oldest_task_seconds{pool="generic",priority="2"}"#).await, Some(0.0));
    assert_eq!(value(r#"tasklane_pool_workers{pool="generic"}"#).await, Some(1.0));
    assert_eq!(value(r#"tasklane_pool_slots{pool="generic"}"#).await, Some(1.0));
    assert!(value(r#"tasklane_nats_storage_used_bytes{server="test"}"#).await.unwrap() > 0.0);
    let limit = value(r#"tasklane_nats_storage_limit_bytes{server="test"}"#).await.unwrap();
    assert!(limit > 1e6, "{limit}");
    stack.client.api("api.task.cancel", json!({"id": running})).await;
    wait::until("nobody waits any more", async || {
        value(r#"tasklane_lane_oldest_task_seconds{pool="generic",priority="1"}"#)
            .await
            .filter(|age| *age == 0.0)
    })
    .await;
}

#[tokio::test]
async fn every_router_forgets_a_pool_that_is_gone() {
    let options = Options::default().router("router-2").router_env("TASKLANE_FLEET_FORGET_S", "1");
    let Some(mut stack) = Stack::start(options).await else { return };
    let shows = async |router: &str, port: u16| {
        let page = http::get(port, "/metrics").await.unwrap_or_else(|| panic!("{router} is gone")).body;
        page.lines().any(|line| line.starts_with(r#"tasklane_lane_backlog{pool="generic""#))
    };
    let routers = ["router", "router-2"].map(|name| (name, stack.port(name)));
    for (name, port) in routers {
        wait::until(&format!("{name} shows the pool"), async || shows(name, port).await.then_some(())).await;
    }
    stack.term("generic");
    stack.ended("generic").await;
    for (name, port) in routers {
        wait::until(&format!("{name} forgets the pool"), async || (!shows(name, port).await).then_some(()))
            .await;
    }
}

/// Submits a task that sleeps, and waits until a worker has it.
async fn started(client: &Client, ms: u64) -> String {
    let mut started = Box::pin(client.bus.listen("events.error.*.started".to_owned()).await.unwrap());
    client.bus.flush().await.unwrap();
    let id = client.submit("error", json!({"mode": "sleep", "delay_ms": ms})).await;
    let told = tokio::time::timeout(wait::PATIENCE, futures::StreamExt::next(&mut started)).await;
    assert!(told.unwrap().is_some());
    id
}

fn assert_has(families: &BTreeSet<String>, names: &[&str]) {
    for name in names {
        let full = format!("tasklane_{name}");
        assert!(
            families.iter().any(|f| f.trim_end_matches("_info") == full.trim_end_matches("_info")),
            "{full}: {families:?}"
        );
    }
}

/// Reads a page as OpenMetrics: comments of three kinds, samples with a number, the end. Returns the families.
async fn families(port: u16) -> BTreeSet<String> {
    let page = http::get(port, "/metrics").await.unwrap();
    assert!(page.head.to_lowercase().contains("content-type: application/openmetrics-text"), "{}", page.head);
    let body = page.body.strip_suffix("# EOF\n").unwrap_or_else(|| panic!("no end: {}", page.body));
    let mut families = BTreeSet::new();
    for line in body.lines() {
        if let Some(comment) = line.strip_prefix("# ") {
            let (kind, rest) = comment.split_once(' ').unwrap();
            assert!(["HELP", "TYPE", "UNIT"].contains(&kind), "{line}");
            families.insert(rest.split(' ').next().unwrap().to_owned());
            continue;
        }
        // A label's value may hold spaces; what follows the last brace does not.
        let (name, rest) = match line.split_once('{') {
            Some((name, rest)) => (name, rest.rsplit_once('}').unwrap_or_else(|| panic!("{line}")).1),
            None => line.split_once(' ').unwrap_or_else(|| panic!("{line}")),
        };
        let value = rest.trim().split(' ').next().unwrap();
        assert!(value.parse::<f64>().is_ok(), "{line}");
        assert!(
            families.iter().any(|family| name.starts_with(family.as_str())),
            "{line} belongs to no family"
        );
    }
    families
}

#[tokio::test]
async fn readiness_follows_the_drain_and_health_does_not() {
    let Some(mut stack) = Stack::start(Options::default()).await else { return };
    let (client, port) = (stack.client.clone(), stack.port("generic"));
    let listen = format!("127.0.0.1:{port}");
    let health =
        || run("generic", &["--health"], &[("TASKLANE_WORKER_HTTP_LISTEN", listen.as_str())]).unwrap();
    assert!(health().status.success(), "{}", text(&health().stderr));
    let id = started(&client, 4_000).await;
    stack.term("generic");
    wait::until("the worker is not ready", async || {
        http::get(port, "/readyz").await.filter(|page| page.status == 503)
    })
    .await;
    assert_eq!(http::get(port, "/healthz").await.unwrap().status, 200, "it drains, and is well");
    let said = health();
    assert!(
        said.status.code() == Some(1) && text(&said.stderr).contains("not ready"),
        "{}",
        text(&said.stderr)
    );
    assert!(client.record_now(&id).await.is_none(), "the task still runs");
    assert!(stack.ended("generic").await.success());
    assert_eq!(client.result(&id).await["status"], "succeeded", "the drain waited for it");
    assert_eq!(http::get(port, "/healthz").await, None);
    // Who says goodbye is gone at once, not after a time of silence.
    let workers = client.api("api.workers", json!({})).await;
    assert_eq!(workers["workers"], json!([]), "{workers}");

    let port = stack.port("router");
    assert_eq!(http::get(port, "/readyz").await.unwrap().status, 200);
    stack.term("router");
    assert!(stack.ended("router").await.success());
}

#[tokio::test]
async fn a_service_waits_for_what_it_needs_without_being_ready() {
    let Some(mut stack) = Stack::start(Options::default()).await else { return };
    let (generic, router) = (stack.port("generic"), stack.port("router"));
    stack.kill9_nats();
    // Both live on, and do their work when the server is back.
    for port in [generic, router] {
        assert_eq!(http::get(port, "/healthz").await.unwrap().status, 200);
    }
    stack.start_nats_again().await;
    assert_eq!(stack.client.run("echo", json!(1)).await["status"], "succeeded");
    // That the server was away is said once, and so is its return.
    for (text, times) in [("NATS is gone", 1), ("NATS is back", 1), ("IO error", 0)] {
        let log = stack.log("generic");
        assert_eq!(log.matches(text).count(), times, "{text}: {log}");
    }
}

#[test]
fn a_printed_configuration_is_one_that_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    for service in services() {
        let Some(printed) = run(&service, &["--print-config"], &[("TASKLANE_NATS_URL", "nats://there:1")])
        else {
            continue;
        };
        assert!(printed.status.success(), "{service}: {}", text(&printed.stderr));
        let printed = text(&printed.stdout);
        assert!(printed.contains("nats://there:1"), "{service}: {printed}");
        let file = folder.path().join(format!("{service}.toml"));
        std::fs::write(&file, &printed).unwrap();
        let file = file.display().to_string();
        let again = run(&service, &["--config", &file, "--print-config"], &[]).unwrap();
        assert!(again.status.success(), "{service}: {}", text(&again.stderr));
        assert_eq!(text(&again.stdout), printed, "{service}");
        let known = text(&run(&service, &["--print-variables"], &[]).unwrap().stdout);
        assert!(known.lines().any(|name| name == "TASKLANE_NATS_URL"), "{service}: {known}");
        // The environment stands over the file.
        let over =
            run(&service, &["--config", &file, "--print-config"], &[("TASKLANE_NATS_URL", "nats://over:2")]);
        assert_eq!(
            text(&over.unwrap().stdout),
            printed.replace("nats://there:1", "nats://over:2"),
            "{service}"
        );
        let help = run(&service, &["--help"], &[]).unwrap();
        assert!(help.status.success() && text(&help.stdout).contains("usage"), "{service}");
    }
}

#[test]
fn a_wrong_configuration_names_every_mistake_and_ends_with_two() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("wrong.toml");
    std::fs::write(&file, "slot = 8\n[nats]\ntimeout_ms = \"soon\"\n[log]\nformat = \"pretty\"\n").unwrap();
    let file = file.display().to_string();
    for service in services() {
        let env = [("TASKLANE_NATS_URI", "x"), ("TASKLANE_NATS_TIMEOUT_MS", "many")];
        let Some(ended) = run(&service, &["--config", &file], &env) else { continue };
        let said = text(&ended.stderr);
        assert_eq!(ended.status.code(), Some(2), "{service}: {said}");
        let mistakes = [
            "TL9004",
            "slot",
            "soon",
            "pretty",
            "TASKLANE_NATS_URI",
            "TASKLANE_NATS_URL",
            "\"many\" is not a whole number",
        ];
        for mistake in mistakes {
            assert!(said.contains(mistake), "{service} does not name {mistake}: {said}");
        }
        let unknown = run(&service, &["--frobnicate"], &[]).unwrap();
        assert_eq!(unknown.status.code(), Some(2), "{service}");
        assert!(text(&unknown.stderr).contains("--frobnicate"), "{service}");
        let missing = run(&service, &["--config", "/no/such/file.toml"], &[]).unwrap();
        assert_eq!(missing.status.code(), Some(2), "{service}");
        assert!(text(&missing.stderr).contains("/no/such/file.toml"), "{service}");
    }
}

#[test]
fn an_address_in_use_is_said_and_ends_the_service() {
    let Some(_) = tool::outside("nats-server") else {
        return tool::skipped("nats-server", "(`make setup` gets it)");
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let stack = Stack::start(Options::default()).await.unwrap();
        let (url, taken) = (stack.url(), format!("127.0.0.1:{}", stack.port("router")));
        let env = [("TASKLANE_NATS_URL", url.as_str()), ("TASKLANE_HTTP_LISTEN", taken.as_str())];
        let ended = tokio::task::spawn_blocking({
            let env: Vec<(String, String)> =
                env.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
            move || {
                let env: Vec<(&str, &str)> = env.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
                run("router", &[], &env).unwrap()
            }
        });
        let ended = ended.await.unwrap();
        assert_eq!(ended.status.code(), Some(1));
        let said = text(&ended.stdout) + &text(&ended.stderr);
        assert!(said.contains(&taken), "{said}");
    });
}
