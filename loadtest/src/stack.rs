//! The stack under load: nats-server, router and generic worker as processes, with a store and ports of their own; or
//! one that runs already.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tasklane_runtime::bus::{Bus, BusConfig};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};

use crate::args::Durability;
use crate::error::LoadError;

/// The configuration that users run with, by the names under which the files include each other.
const NATS_CONFIG: [(&str, &str); 3] = [
    ("nats-server.conf", include_str!("../../config/nats-server.conf")),
    ("nats-server-fsync.conf", include_str!("../../config/nats-server-fsync.conf")),
    ("nats/common.conf", include_str!("../../config/nats/common.conf")),
];
/// Programs in Python on a busy machine take long to start.
const START: Duration = Duration::from_secs(120);
/// The services' own drain takes no longer when nothing runs.
const STOP: Duration = Duration::from_secs(10);

/// A service, how it is told where its pages are, and settings of its own.
type Service<'a> = (&'static str, &'static str, &'a [(&'a str, String)]);
/// How every worker is told.
const PAGES: &str = "TASKLANE_WORKER_HTTP_LISTEN";
const ROUTER: Service<'static> = ("router", "TASKLANE_HTTP_LISTEN", &[]);
const GENERIC: Service<'static> = ("generic", PAGES, &[]);

/// Where the programs are.
#[derive(Debug, Clone)]
pub struct Programs {
    /// nats-server.
    pub nats: PathBuf,
    /// The folder of the services.
    pub services: PathBuf,
    /// How the server and the services are set.
    pub durability: Durability,
}

/// The ml service's settings, for one model of a store that is loaded when it is ready.
pub fn of_model(store: &Path, cache: &Path, model: &str) -> [(&'static str, String); 3] {
    [
        ("TASKLANE_MODELS_FOLDER", store.display().to_string()),
        ("TASKLANE_MODELS_CACHE", cache.display().to_string()),
        ("TASKLANE_MODELS_PRELOAD", model.to_owned()),
    ]
}

/// One process of the stack.
struct Member {
    name: &'static str,
    child: Child,
}

/// A stack.
pub struct Stack {
    url: String,
    durability: Durability,
    members: Vec<Member>,
    /// Goes with the stack.
    _folder: Option<TempDir>,
}

impl Stack {
    /// A stack that somebody else runs: its processes are not known.
    pub fn running(url: &str) -> Self {
        Self { url: url.to_owned(), durability: Durability::Default, members: Vec::new(), _folder: None }
    }

    /// Starts one. `environment` goes to the services, for example where their traces go.
    ///
    /// # Errors
    /// Where a program is missing or does not become ready.
    pub async fn start(programs: &Programs, environment: &[(&str, String)]) -> Result<Self, LoadError> {
        Self::with(programs, environment, &[ROUTER, GENERIC]).await
    }

    /// Starts the servers and the router alone.
    ///
    /// # Errors
    /// Where a program is missing or does not become ready.
    pub async fn without_workers(programs: &Programs) -> Result<Self, LoadError> {
        Self::with(programs, &[], &[ROUTER]).await
    }

    /// Starts the servers, the router, and the ml service with these settings.
    ///
    /// # Errors
    /// Where a program is missing or does not become ready.
    pub async fn with_models(programs: &Programs, settings: &[(&str, String)]) -> Result<Self, LoadError> {
        Self::with(programs, &[], &[ROUTER, ("ml", PAGES, settings)]).await
    }

    /// Starts the servers, the router, and a vector indexer with these settings.
    ///
    /// # Errors
    /// Where a program is missing or does not become ready.
    pub async fn with_vectors(programs: &Programs, settings: &[(&str, String)]) -> Result<Self, LoadError> {
        Self::with(programs, &[], &[ROUTER, ("vector-indexer", PAGES, settings)]).await
    }

    /// Starts the servers, the router, and what documents go through: the document service, the ml service and a vector
    /// indexer with these settings.
    ///
    /// # Errors
    /// Where a program is missing or does not become ready.
    pub async fn with_pipeline(
        programs: &Programs,
        of_models: &[(&str, String)],
        of_vectors: &[(&str, String)],
    ) -> Result<Self, LoadError> {
        let services = [
            ROUTER,
            ("document", PAGES, &[]),
            ("ml", PAGES, of_models),
            ("vector-indexer", PAGES, of_vectors),
        ];
        Self::with(programs, &[], &services).await
    }

    async fn with(
        programs: &Programs,
        environment: &[(&str, String)],
        services: &[Service<'_>],
    ) -> Result<Self, LoadError> {
        let folder = tempfile::tempdir().map_err(LoadError::io("make a folder"))?;
        let mut stack =
            Self { url: String::new(), durability: programs.durability, members: Vec::new(), _folder: None };
        stack.start_servers(programs, folder.path()).await?;
        let mut ports = Vec::new();
        for &(name, listen, own) in services {
            let port = free_port().await?;
            let mut service = Command::new(programs.services.join(format!("tasklane-{name}")));
            service.env("TASKLANE_NATS_URL", &stack.url).env(listen, format!("127.0.0.1:{port}"));
            service.env("TASKLANE_LOG_LEVEL", "warn").env_remove("OTEL_EXPORTER_OTLP_ENDPOINT");
            service.envs(settings(name, programs.durability));
            service.envs(environment.iter().chain(own).map(|(key, value)| (key, value.as_str())));
            let called = if name == "generic" { "worker" } else { name };
            stack.spawn(called, service, folder.path())?;
            ports.push(port);
        }
        for port in ports {
            stack.await_ready(port, "/readyz").await?;
        }
        stack._folder = Some(folder);
        Ok(stack)
    }

    /// One server, or a cluster of three.
    async fn start_servers(&mut self, programs: &Programs, folder: &Path) -> Result<(), LoadError> {
        let count = if programs.durability == Durability::Replicated { 3 } else { 1 };
        let mut routes = Vec::new();
        for _ in 0..count {
            routes.push(free_port().await?);
        }
        let (mut urls, mut monitors) = (Vec::new(), Vec::new());
        for n in 0..count {
            let home = folder.join(format!("nats-{n}"));
            write_config(&home).map_err(LoadError::io("write the server's configuration"))?;
            let (port, monitor) = (free_port().await?, free_port().await?);
            let config = match programs.durability {
                Durability::Fsync => "nats-server-fsync.conf",
                Durability::Default | Durability::Replicated => "nats-server.conf",
            };
            let mut server = Command::new(&programs.nats);
            server.args(["-c", config, "--port", &port.to_string(), "--http_port", &monitor.to_string()]);
            if count > 1 {
                let all: Vec<String> = routes.iter().map(|port| format!("nats://127.0.0.1:{port}")).collect();
                let own = all[n].clone();
                let name = format!("load-{n}");
                server.args(["--cluster_name", "load", "--cluster", &own, "--routes", &all.join(",")]);
                server.args(["--name", &name]);
            }
            self.spawn("nats-server", server, &home)?;
            urls.push(format!("nats://127.0.0.1:{port}"));
            monitors.push(monitor);
        }
        self.url = urls.join(",");
        for monitor in monitors {
            self.await_ready(monitor, "/healthz?js-enabled-only=true").await?;
        }
        Ok(())
    }

    fn spawn(&mut self, name: &'static str, mut command: Command, folder: &Path) -> Result<(), LoadError> {
        let program = command.as_std().get_program().to_string_lossy().into_owned();
        command.current_dir(folder).stdin(Stdio::null()).stdout(Stdio::null()).kill_on_drop(true);
        let child = command
            .spawn()
            .map_err(LoadError::io(format!("start {program} (`make setup build` makes the programs)")))?;
        self.members.push(Member { name, child });
        Ok(())
    }

    async fn await_ready(&mut self, port: u16, path: &str) -> Result<(), LoadError> {
        await_http(self.members.iter_mut().map(|m| (m.name, &mut m.child)).collect(), port, path).await
    }

    /// Where its servers are.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Connects to its server.
    ///
    /// # Errors
    /// Where it does not answer.
    pub async fn connect(&self, name: &str) -> Result<Bus, LoadError> {
        let batches = self.durability == Durability::Fsync;
        let config = BusConfig { url: self.url.clone(), batches, ..BusConfig::default() };
        Ok(Bus::connect(&config, name, Duration::from_secs(5)).await?)
    }

    /// Name and process id of every member that is known.
    pub fn processes(&self) -> Vec<(&'static str, u32)> {
        self.members.iter().filter_map(|m| Some((m.name, m.child.id()?))).collect()
    }

    /// Stops what it started, the server last.
    ///
    /// # Errors
    /// Where a member does not stop when it is told to.
    pub async fn stop(mut self) -> Result<(), LoadError> {
        while let Some(mut member) = self.members.pop() {
            let pid = member.child.id().and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?));
            let Some(pid) = pid else { continue };
            kill_process(pid, Signal::TERM)
                .map_err(|e| LoadError::io(format!("stop {}", member.name))(e.into()))?;
            if tokio::time::timeout(STOP, member.child.wait()).await.is_err() {
                return Err(LoadError::Stack(format!("{} did not stop within {STOP:?}", member.name)));
            }
        }
        Ok(())
    }
}

fn write_config(home: &Path) -> std::io::Result<()> {
    for folder in [".tasklane/logs", "nats"] {
        std::fs::create_dir_all(home.join(folder))?;
    }
    NATS_CONFIG.iter().try_for_each(|(name, text)| std::fs::write(home.join(name), text))
}

/// What a service is told.
fn settings(service: &str, durability: Durability) -> Option<(&'static str, &'static str)> {
    match durability {
        Durability::Fsync => Some(("TASKLANE_NATS_BATCHES", "true")),
        Durability::Replicated if service == "router" => Some(("TASKLANE_STREAMS_REPLICAS", "3")),
        Durability::Default | Durability::Replicated => None,
    }
}

/// Waits until a port answers a path well, or one of the processes that it takes has ended.
///
/// # Errors
/// Where it does not within two minutes.
pub async fn await_http(
    mut processes: Vec<(&str, &mut Child)>,
    port: u16,
    path: &str,
) -> Result<(), LoadError> {
    let begun = Instant::now();
    while !http_ok(port, path).await {
        for (name, child) in &mut processes {
            if let Ok(Some(status)) = child.try_wait() {
                return Err(LoadError::Stack(format!("{name} ended at its start: {status}")));
            }
        }
        if begun.elapsed() > START {
            return Err(LoadError::Stack(format!("port {port} did not answer {path} within {START:?}")));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

/// A port that was free a moment ago.
///
/// # Errors
/// Where the system has none.
pub async fn free_port() -> Result<u16, LoadError> {
    let listener = TcpListener::bind("127.0.0.1:0").await.map_err(LoadError::io("find a free port"))?;
    Ok(listener.local_addr().map_err(LoadError::io("find a free port"))?.port())
}

async fn http_ok(port: u16, path: &str) -> bool {
    let ask = async {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream
            .write_all(
                format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").as_bytes(),
            )
            .await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        Ok::<_, std::io::Error>(answer)
    };
    let answer = tokio::time::timeout(Duration::from_secs(2), ask).await;
    matches!(answer, Ok(Ok(answer)) if answer.starts_with(b"HTTP/1.1 200"))
}
