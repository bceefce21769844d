//! A platform of one's own: NATS, routers and workers as processes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use rustix::process::Signal;
use serde_json::Value;
use tasklane_bus::Headers;
use tasklane_contract::streams;
use tempfile::TempDir;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::child::{self, Plan, Running};
use crate::keys::Keys;
use crate::nats::{Nats, Shape};
use crate::{Client, http, port, tool, wait};

/// Stacks that run at once in one test process.
static TURNS: Semaphore = Semaphore::const_new(3);

/// The router's name where there is one.
pub const ROUTER: &str = "router";
/// The worker's name where there is one.
pub const GENERIC: &str = "generic";
/// The program of the generic service.
const GENERIC_PROGRAM: &str = "tasklane-generic";

/// Environment variables.
pub type Env = BTreeMap<String, String>;

/// Environment variables from pairs.
pub fn env(pairs: &[(&str, &str)]) -> Env {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

/// What a stack begins with.
#[derive(Debug, Clone)]
pub struct Options {
    env: Env,
    router_env: Env,
    routers: Vec<String>,
    workers: Vec<(String, &'static str, Env)>,
    nodes: usize,
    secure: bool,
    jetstream: String,
}

impl Default for Options {
    /// One router and one generic worker.
    fn default() -> Self {
        Self::no_workers().worker(GENERIC, &[])
    }
}

impl Options {
    /// One router and nobody to work.
    pub fn no_workers() -> Self {
        Self {
            env: Env::new(),
            router_env: Env::new(),
            routers: vec![ROUTER.to_owned()],
            workers: Vec::new(),
            nodes: 1,
            secure: false,
            jetstream: String::new(),
        }
    }

    /// A variable for every process.
    #[must_use]
    pub fn env(mut self, key: &str, value: &str) -> Self {
        self.env.insert(key.to_owned(), value.to_owned());
        self
    }

    /// A variable for routers.
    #[must_use]
    pub fn router_env(mut self, key: &str, value: &str) -> Self {
        self.router_env.insert(key.to_owned(), value.to_owned());
        self
    }

    /// So many NATS servers, as a cluster.
    #[must_use]
    pub fn nodes(mut self, nodes: usize) -> Self {
        self.nodes = nodes;
        self
    }

    /// Users with nkeys and permissions, and TLS. Every member connects as the user of its name.
    #[must_use]
    pub fn secure(mut self) -> Self {
        self.secure = true;
        self
    }

    /// More lines of the servers' `jetstream { ... }`.
    #[must_use]
    pub fn jetstream(mut self, lines: &str) -> Self {
        lines.clone_into(&mut self.jetstream);
        self
    }

    /// One more router.
    #[must_use]
    pub fn router(mut self, name: &str) -> Self {
        self.routers.push(name.to_owned());
        self
    }

    /// One more process of the generic service, with variables of its own.
    #[must_use]
    pub fn worker(self, name: &str, own: &[(&str, &str)]) -> Self {
        self.service(name, GENERIC_PROGRAM, own)
    }

    /// One more process of any service that is a worker, with variables of its own.
    #[must_use]
    pub fn service(mut self, name: &str, program: &'static str, own: &[(&str, &str)]) -> Self {
        self.workers.push((name.to_owned(), program, env(own)));
        self
    }
}

/// A member's part in the stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Router,
    Worker,
}

struct Member {
    part: Part,
    plan: Plan,
    port: u16,
    running: Option<Running>,
}

/// A running platform. Everything ends with it; if its test fails, the ends of all logs are shown.
pub struct Stack {
    /// A client of it.
    pub client: Client,
    members: BTreeMap<String, Member>,
    options: Options,
    nats: Nats,
    /// The users, where it has such.
    pub keys: Option<Keys>,
    folder: TempDir,
    _turn: SemaphorePermit<'static>,
}

impl Drop for Stack {
    fn drop(&mut self) {
        if std::thread::panicking() {
            child::show_logs(&self.logs());
        }
    }
}

impl Stack {
    /// Starts a stack and waits until every member is ready and known. `None` where there is no NATS server; the test
    /// is then skipped, and that is said.
    ///
    /// # Panics
    /// Where something does not start, and where a skip is a failure.
    pub async fn start(options: Options) -> Option<Self> {
        let Some(program) = tool::outside("nats-server") else {
            tool::skipped("nats-server", "(`make setup` gets it)");
            assert!(!tool::is_strict(), "nothing runs without nats-server, and TASKLANE_STRICT=1");
            return None;
        };
        let turn = TURNS.acquire().await.unwrap_or_else(|e| panic!("{e}"));
        let folder = TempDir::with_prefix("tasklane-test-").unwrap_or_else(|e| panic!("{e}"));
        let logs = folder.path().join("logs");
        std::fs::create_dir(&logs).unwrap_or_else(|e| panic!("{}: {e}", logs.display()));
        let keys = options.secure.then(|| Keys::make(&folder.path().join("keys")));
        let shape = Shape {
            nodes: options.nodes,
            keys: keys.as_ref().map(|keys| keys.folder().to_path_buf()),
            jetstream: options.jetstream.clone(),
        };
        let nats = Nats::start(program, folder.path(), &logs, &shape).await;
        let client = match &keys {
            Some(keys) => Client::connect_as(&keys.config("operator", &nats.url())).await,
            None => Client::connect(&nats.url()).await,
        };
        let members = BTreeMap::new();
        let mut stack = Self { client, members, options: options.clone(), nats, keys, folder, _turn: turn };
        for name in &options.routers {
            stack.start_router(name).await;
        }
        for (name, program, own) in &options.workers {
            stack.launch(name, Part::Worker, program, own.clone());
        }
        for (name, ..) in &options.workers {
            stack.await_ready(name).await;
        }
        Some(stack)
    }

    /// Where NATS listens.
    pub fn url(&self) -> String {
        self.nats.url()
    }

    fn logs(&self) -> PathBuf {
        self.folder.path().join("logs")
    }

    /// A folder of this stack, for files of a test.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What a member has written so far.
    ///
    /// # Panics
    /// Where there is no such member.
    pub fn log(&self, name: &str) -> String {
        child::log(&self.logs(), name)
    }

    /// Where a member's pages are.
    ///
    /// # Panics
    /// Where there is no such member.
    pub fn port(&self, name: &str) -> u16 {
        self.member(name).port
    }

    fn member(&self, name: &str) -> &Member {
        self.members.get(name).unwrap_or_else(|| panic!("there is no {name} in this stack"))
    }

    fn member_mut(&mut self, name: &str) -> &mut Member {
        self.members.get_mut(name).unwrap_or_else(|| panic!("there is no {name} in this stack"))
    }

    fn running(&mut self, name: &str) -> &mut Running {
        self.member_mut(name).running.as_mut().unwrap_or_else(|| panic!("{name} does not run"))
    }

    /// Starts one more router.
    ///
    /// # Panics
    /// Where it does not get ready.
    pub async fn start_router(&mut self, name: &str) {
        let own = self.options.router_env.clone();
        self.launch(name, Part::Router, "tasklane-router", own);
        self.await_ready(name).await;
    }

    /// Starts one more process of the generic service, with variables of its own.
    ///
    /// # Panics
    /// Where it does not get ready.
    pub async fn start_worker(&mut self, name: &str, own: &[(&str, &str)]) {
        self.launch(name, Part::Worker, GENERIC_PROGRAM, env(own));
        self.await_ready(name).await;
    }

    /// Starts one more process of any service that is a worker, with variables of its own.
    ///
    /// # Panics
    /// Where it does not get ready.
    pub async fn start_service(&mut self, name: &str, program: &str, own: &[(&str, &str)]) {
        self.launch(name, Part::Worker, program, env(own));
        self.await_ready(name).await;
    }

    /// Starts it without waiting until it is ready.
    fn launch(&mut self, name: &str, part: Part, program: &str, own: Env) {
        let port = port::free();
        let listen = format!("127.0.0.1:{port}");
        let key = match part {
            Part::Router => "TASKLANE_HTTP_LISTEN",
            Part::Worker => "TASKLANE_WORKER_HTTP_LISTEN",
        };
        let mut env = self.options.env.clone();
        env.insert("TASKLANE_NATS_URL".to_owned(), self.url());
        env.insert("TASKLANE_LOG_FORMAT".to_owned(), "json".to_owned());
        env.insert(key.to_owned(), listen);
        if part == Part::Router {
            env.insert("TASKLANE_MONITOR_URLS".to_owned(), self.nats.monitors());
        }
        if let Some(keys) = &self.keys {
            env.extend(keys.env(name));
        }
        env.extend(own);
        let plan = Plan { name: name.to_owned(), program: tool::ours(program), args: vec![], env };
        let running = Some(plan.start(&self.logs()));
        let before = self.members.insert(name.to_owned(), Member { part, plan, port, running });
        assert!(before.is_none(), "there is a {name} in this stack already");
    }

    /// Waits until a member says that it is ready and, if it is a worker, until the router knows it.
    async fn await_ready(&mut self, name: &str) {
        let (client, port) = (self.client.clone(), self.port(name));
        let running = self.running(name);
        wait::until(&format!("{name} is ready"), async || {
            assert!(running.is_running(), "{name} ended before it was ready");
            (http::get(port, "/readyz").await?.status == 200).then_some(())
        })
        .await;
        if self.member(name).part == Part::Worker {
            let id = self.worker_id(name);
            wait::until(&format!("the router knows {name} ({id})"), async || {
                state_of(&client, &id).await.filter(|state| state == "ready")
            })
            .await;
        }
    }

    /// The name that a worker gave itself when it was last started.
    ///
    /// # Panics
    /// Where it has not said so.
    pub fn worker_id(&self, name: &str) -> String {
        let log = self.log(name);
        let lines = log.lines().rev().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let id = lines.filter_map(|line| find(&line, "worker")).next();
        id.unwrap_or_else(|| panic!("{name} has not said its name:\n{log}"))
    }

    /// Kills a member without a word (SIGKILL).
    ///
    /// # Panics
    /// Where it does not run.
    pub fn kill9(&mut self, name: &str) {
        self.running(name).kill9();
        self.member_mut(name).running = None;
    }

    /// Asks a member to end (SIGTERM), and does not wait.
    ///
    /// # Panics
    /// Where it does not run.
    pub fn term(&mut self, name: &str) {
        self.running(name).signal(Signal::TERM);
    }

    /// Stops a member where it is (SIGSTOP): it neither works nor knows.
    ///
    /// # Panics
    /// Where it does not run.
    pub fn pause(&mut self, name: &str) {
        self.running(name).signal(Signal::STOP);
    }

    /// Lets a stopped member go on.
    ///
    /// # Panics
    /// Where it does not run.
    pub fn resume(&mut self, name: &str) {
        self.running(name).signal(Signal::CONT);
    }

    /// Waits until a member has ended.
    ///
    /// # Panics
    /// Where it has not within [`wait::PATIENCE`].
    pub async fn ended(&mut self, name: &str) -> ExitStatus {
        let status = self.running(name).ended_within(wait::PATIENCE).await;
        self.member_mut(name).running = None;
        status
    }

    /// Starts a member that has ended, as it was, and waits until it is ready.
    ///
    /// # Panics
    /// Where it runs, or does not get ready.
    pub async fn start_again(&mut self, name: &str) {
        self.launch_again(name);
        self.await_ready(name).await;
    }

    /// Starts a member that has ended, as it was, and does not wait: it may not live long.
    ///
    /// # Panics
    /// Where it runs.
    pub fn launch_again(&mut self, name: &str) {
        let logs = self.logs();
        let member = self.member_mut(name);
        assert!(member.running.is_none(), "{name} runs");
        member.running = Some(member.plan.start(&logs));
    }

    /// Kills the first NATS server, which is the only one unless there is a cluster, without a word.
    ///
    /// # Panics
    /// Where it does not run.
    pub fn kill9_nats(&mut self) {
        self.nats.kill9(0);
    }

    /// The folder of the first NATS server's store.
    pub fn nats_store(&self) -> PathBuf {
        self.folder.path().join("store-test/jetstream")
    }

    /// Starts the first NATS server again, on the same port and store.
    ///
    /// # Panics
    /// Where it does not come up.
    pub async fn start_nats_again(&mut self) {
        self.nats.start_again(0).await;
    }

    /// Waits until everything is at rest: nothing came in that is not routed, nothing is routed that is not done.
    ///
    /// # Panics
    /// Where that is not so within [`wait::PATIENCE`].
    pub async fn at_rest(&self) {
        for stream in [streams::TASKS, streams::WORK] {
            let what = format!("{stream} is empty");
            wait::until(&what, async || self.client.messages(stream).await.filter(|n| *n == 0)).await;
        }
    }
}

async fn state_of(client: &Client, worker: &str) -> Option<String> {
    // In a cluster it takes a moment until our server has heard of a router that is connected to another.
    let asked = client.bus.ask("api.workers", Headers::new(), "{}".into(), wait::PATIENCE).await;
    let workers: Value = serde_json::from_slice(&asked.ok()?.1).ok()?;
    let found = workers["workers"].as_array()?.iter().find(|w| w["worker"] == worker)?.clone();
    found["state"].as_str().map(str::to_owned)
}

/// The first text under a key, however deep.
fn find(value: &Value, key: &str) -> Option<String> {
    let object = value.as_object()?;
    let here = object.get(key).and_then(Value::as_str).map(str::to_owned);
    here.or_else(|| object.values().find_map(|inner| find(inner, key)))
}
