//! OpenAI's own clients for Python and Node against the openai-proxy: what they expect of an API is more than anybody
//! writes down. The programs are in `tests/clients`; here is what they talk to, and what is seen of them from behind.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tasklane_testkit::child::{self, Plan};
use tasklane_testkit::upstream::{End, NAMES, Reply, Script, Shape, Upstream};
use tasklane_testkit::{Options, Stack, http, port, stack, tool, wait};
use tempfile::TempDir;

const PROXY: &str = "openai-proxy";
/// A program with all its checks takes some seconds.
const PATIENCE: Duration = Duration::from_secs(180);
/// Variables with the tenants' keys; the programs read the same ones.
const KEYS: [(&str, &str); 4] = [
    ("ACME_KEY", "key-of-acme"),
    ("HELD_KEY", "key-of-held"),
    ("NARROW_KEY", "key-of-narrow"),
    ("POOR_KEY", "key-of-poor"),
];

/// A proxy with every model of the scripted provider, and some more.
struct Clients {
    stack: Stack,
    upstream: Upstream,
    api: u16,
    _folder: TempDir,
}

/// Each scripted model by its own name. A token costs a thousandth of a dollar.
fn providers(base_url: &str) -> String {
    let mut text = format!(
        "[providers.p]\nbase_url = \"{base_url}\"\ntimeouts = {{ connect_ms = 500, first_chunk_ms = 1500, \
         between_chunks_ms = 1000 }}\n"
    );
    for name in
        NAMES.iter().chain(&["endless", "structured", "refused", "gone", "mock-500-3", "mock-500-9999"])
    {
        text.push_str(&format!(
            "[models.{name}]\nprovider = \"p\"\ncontext_tokens = 8000\nmax_output_tokens = 100\nprice = {{ input = 1000, \
             output = 1000 }}\n"
        ));
    }
    for kind in ["embedding", "moderation"] {
        text.push_str(&format!(
            "[models.{kind}]\nprovider = \"p\"\nkind = \"{kind}\"\ncontext_tokens = 8000\nfree = true\n"
        ));
    }
    text.push_str("[routes.careful]\ncandidates = [\"gone\", \"mock\"]\n");
    for (tenant, more) in [
        ("acme", ""),
        ("held", "models = [\"mock\"]"),
        ("narrow", "requests_per_minute = 2"),
        ("poor", "budgets = [{ usd = 0.2, per = \"day\" }]"),
    ] {
        let key = format!("{}_KEY", tenant.to_uppercase());
        text.push_str(&format!("[tenants.{tenant}]\nkeys = [{{ env = \"{key}\" }}]\n{more}\n"));
    }
    text
}

async fn start() -> Option<Clients> {
    let upstream = Upstream::start().await.unwrap();
    let endless = Shape { pieces: 50, delay: Duration::from_millis(200), ..Shape::default() };
    upstream.set("endless", Script::Ordinary(endless));
    upstream.set("structured", Script::says(r#"{"name": "Lighthouse", "lamps": 3}"#));
    let refusal = r#"{"error":{"message":"too long","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}}"#;
    upstream.set("refused", Script::Reply(Reply { status: 400, headers: vec![], body: refusal.into() }));
    upstream.set("gone", Script::status(404));
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("providers.toml");
    std::fs::write(&file, providers(&upstream.base_url())).unwrap();
    let api = port::free();
    let (file, listen) = (file.display().to_string(), format!("127.0.0.1:{api}"));
    let mut own = vec![
        ("TASKLANE_PROVIDERS_FILE", file.as_str()),
        ("TASKLANE_API_LISTEN", listen.as_str()),
        ("TASKLANE_API_ANONYMOUS", "false"),
    ];
    own.extend(KEYS);
    let stack = Stack::start(Options::no_workers().service(PROXY, "tasklane-openai-proxy", &own)).await?;
    Some(Clients { stack, upstream, api, _folder: folder })
}

impl Clients {
    /// Runs a program to its end and gives what it wrote, which is shown where it fails.
    async fn run(&self, name: &str, program: &Path, args: &[&str]) -> String {
        let mut env = stack::env(&KEYS);
        env.insert("OPENAI_BASE_URL".to_owned(), format!("http://127.0.0.1:{}/v1", self.api));
        env.insert("OPENAI_API_KEY".to_owned(), KEYS[0].1.to_owned());
        // A web proxy of whoever runs the tests is not asked for what lies here.
        env.insert("NO_PROXY".to_owned(), "127.0.0.1".to_owned());
        env.insert("PYTHONDONTWRITEBYTECODE".to_owned(), "1".to_owned());
        let args = args.iter().map(|&arg| arg.to_owned()).collect();
        let plan = Plan { name: name.to_owned(), program: program.to_path_buf(), args, env };
        let logs = self.stack.folder().join("programs");
        std::fs::create_dir_all(&logs).unwrap();
        let ended = plan.start(&logs).ended_within(PATIENCE).await;
        let said = child::log(&logs, name);
        assert!(ended.success(), "{name} failed ({ended}):\n{said}");
        said
    }

    /// Every stream of the model `endless` was left by its client: so many provider's answers ended early, and what
    /// came through is counted.
    async fn left(&self, streams: usize) {
        let of = |request: &&tasklane_testkit::upstream::Recorded| request.json()["model"] == "endless";
        let seen = self
            .upstream
            .until("every stream is over", |all| all.iter().filter(of).all(|r| r.end != End::Pending))
            .await;
        let ends: Vec<End> = seen.iter().filter(of).map(|r| r.end).collect();
        assert_eq!(ends, vec![End::ClientGone; streams]);
        for direction in ["input", "output"] {
            let start = format!(
                r#"tasklane_llm_tokens_total{{tenant="acme",model="endless",direction="{direction}"}}"#
            );
            wait::until(&format!("{direction} tokens are counted"), async || {
                let page = http::get(self.stack.port(PROXY), "/metrics").await?.body;
                let line = page.lines().find(|line| line.starts_with(&start))?.to_owned();
                line.rsplit(' ').next()?.parse::<f64>().ok().filter(|tokens| *tokens > 0.0)
            })
            .await;
        }
    }
}

fn client(name: &str) -> Option<PathBuf> {
    let found = tool::outside(name);
    if found.is_none() {
        tool::skipped(name, &format!("(`scripts/setup.sh {name}` gets it)"));
    }
    found
}

fn programs(language: &str) -> PathBuf {
    tool::repository().join("tests/clients").join(language)
}

#[tokio::test]
async fn the_official_python_client_gets_what_it_expects() {
    let Some(python) = client("openai-python") else { return };
    let Some(clients) = start().await else { return };
    let folder = programs("python").display().to_string();
    let said = clients.run("python", &python, &["-m", "unittest", "discover", "-v", "-s", &folder]).await;
    assert!(
        said.contains("\nRan ") && !said.contains("\nRan 0 tests") && !said.contains("skipped"),
        "{said}"
    );
    clients.left(3).await;
}

#[tokio::test]
async fn the_official_node_client_gets_what_it_expects() {
    let Some(modules) = client("openai-node") else { return };
    let Some(clients) = start().await else { return };
    // Modules are looked for beside the programs, and what is fetched does not lie in the checkout.
    let folder = TempDir::new().unwrap();
    std::os::unix::fs::symlink(&modules, folder.path().join("node_modules")).unwrap();
    let mut tests = vec!["--test".to_owned()];
    for file in std::fs::read_dir(programs("node")).unwrap() {
        let file = file.unwrap().path();
        let copy = folder.path().join(file.file_name().unwrap());
        std::fs::copy(&file, &copy).unwrap();
        if copy.display().to_string().ends_with(".test.mjs") {
            tests.push(copy.display().to_string());
        }
    }
    let args: Vec<&str> = tests.iter().map(String::as_str).collect();
    let said = clients.run("node", Path::new("node"), &args).await;
    assert!(
        !said.contains("# pass 0") && said.contains("# skipped 0") && said.contains("# todo 0"),
        "{said}"
    );
    clients.left(2).await;
}
