//! A NATS server, or a cluster of them, each with a store of its own.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use crate::child::{Plan, Running};
use crate::{http, port, wait};

/// What servers of a test have beyond the least.
#[derive(Debug, Clone, Default)]
pub struct Shape {
    /// How many; more than one form a cluster.
    pub nodes: usize,
    /// A folder of `tasklane keys`: users have nkeys, and connections TLS.
    pub keys: Option<PathBuf>,
    /// More lines of `jetstream { ... }`, such as a sync interval.
    pub jetstream: String,
}

/// A NATS server on a port and a store that it keeps when it is started again.
#[derive(Debug)]
struct Node {
    plan: Plan,
    port: u16,
    monitor: u16,
    running: Option<Running>,
}

/// The servers of a stack.
#[derive(Debug)]
pub struct Nats {
    nodes: Vec<Node>,
    logs: PathBuf,
}

impl Nats {
    /// Starts servers whose stores and configurations lie in `folder`.
    ///
    /// # Panics
    /// Where one does not start.
    pub async fn start(program: PathBuf, folder: &Path, logs: &Path, shape: &Shape) -> Self {
        let routes: Vec<u16> = (0..shape.nodes).map(|_| port::free()).collect();
        let nodes = (0..shape.nodes).map(|n| Node::new(&program, folder, n, &routes, shape)).collect();
        let mut nats = Self { nodes, logs: logs.to_path_buf() };
        // A cluster is ready when most of it is there: all are started before any is waited for.
        for node in &mut nats.nodes {
            node.running = Some(node.plan.start(&nats.logs));
        }
        for node in &mut nats.nodes {
            node.ready().await;
        }
        nats
    }

    /// Where clients connect to.
    pub fn url(&self) -> String {
        let urls: Vec<String> = self.nodes.iter().map(|n| format!("nats://127.0.0.1:{}", n.port)).collect();
        urls.join(",")
    }

    /// The monitoring pages, separated by commas.
    pub fn monitors(&self) -> String {
        let urls: Vec<String> =
            self.nodes.iter().map(|n| format!("http://127.0.0.1:{}", n.monitor)).collect();
        urls.join(",")
    }

    /// Kills a server without a word.
    ///
    /// # Panics
    /// Where it does not run.
    pub fn kill9(&mut self, node: usize) {
        let running = self.nodes[node].running.take();
        running.unwrap_or_else(|| panic!("NATS server {node} does not run")).kill9();
    }

    /// Starts one on the same port and store, and waits until its store can be used.
    ///
    /// # Panics
    /// Where it does not come up.
    pub async fn start_again(&mut self, node: usize) {
        let node = &mut self.nodes[node];
        node.running = Some(node.plan.start(&self.logs));
        node.ready().await;
    }
}

impl Node {
    fn new(program: &Path, folder: &Path, n: usize, routes: &[u16], shape: &Shape) -> Self {
        let (port, monitor) = (port::free(), port::free());
        let name = if routes.len() == 1 { "test".to_owned() } else { format!("test-{n}") };
        let text = config(&name, folder, (port, monitor), routes, n, shape);
        let file = folder.join(format!("{name}.conf"));
        std::fs::write(&file, text).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        let args = vec!["-c".to_owned(), file.display().to_string()];
        let name = format!("nats-{name}");
        let plan = Plan { name, program: program.to_path_buf(), args, env: BTreeMap::new() };
        Self { plan, port, monitor, running: None }
    }

    async fn ready(&mut self) {
        let (monitor, running) = (self.monitor, self.running.as_mut());
        let running = running.unwrap_or_else(|| panic!("it was not started"));
        wait::until("the NATS server is ready", async || {
            assert!(running.is_running(), "the NATS server ended: see its log");
            let page = http::get(monitor, "/healthz").await?;
            (page.status == 200).then_some(())
        })
        .await;
    }
}

/// As in the repository's own configuration: what is too large for a task still reaches the router, which says so.
fn config(
    name: &str,
    folder: &Path,
    (port, monitor): (u16, u16),
    routes: &[u16],
    n: usize,
    shape: &Shape,
) -> String {
    let store = folder.join(format!("store-{name}"));
    let mut text = format!(
        "server_name: {name}\nlisten: \"127.0.0.1:{port}\"\nhttp: \"127.0.0.1:{monitor}\"\nmax_payload: 8MB\n\
         jetstream {{\n  store_dir: \"{}\"\n  {}\n}}\n",
        store.display(),
        shape.jetstream
    );
    if routes.len() > 1 {
        let urls: Vec<String> = routes.iter().map(|port| format!("\"nats://127.0.0.1:{port}\"")).collect();
        // That a String takes what is written cannot fail.
        _ = writeln!(
            text,
            "cluster {{\n  name: test\n  listen: \"127.0.0.1:{}\"\n  routes: [{}]\n}}",
            routes[n],
            urls.join(", ")
        );
    }
    if let Some(keys) = &shape.keys {
        let inside = keys.strip_prefix(folder).unwrap_or(keys);
        _ = writeln!(
            text,
            "include \"{}/auth.conf\"\ntls {{\n  cert_file: \"{keys}/server.crt\"\n  key_file: \
             \"{keys}/server.key\"\n  timeout: 10\n}}",
            inside.display(),
            keys = keys.display()
        );
    }
    text
}
