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

use crate::error::LoadError;

/// The configuration that users run with.
const NATS_CONFIG: &str = include_str!("../../config/nats-server.conf");
const START: Duration = Duration::from_secs(30);
/// The services' own drain takes no longer when nothing runs.
const STOP: Duration = Duration::from_secs(10);

/// Where the programs are.
#[derive(Debug, Clone)]
pub struct Programs {
    /// nats-server.
    pub nats: PathBuf,
    /// The folder of the services.
    pub services: PathBuf,
}

/// One process of the stack.
struct Member {
    name: &'static str,
    child: Child,
}

/// A stack.
pub struct Stack {
    url: String,
    members: Vec<Member>,
    /// Goes with the stack.
    _folder: Option<TempDir>,
}

impl Stack {
    /// A stack that somebody else runs: its processes are not known.
    pub fn running(url: &str) -> Self {
        Self { url: url.to_owned(), members: Vec::new(), _folder: None }
    }

    /// Starts one. `environment` goes to the services, for example where their traces go.
    ///
    /// # Errors
    /// Where a program is missing or does not become ready.
    pub async fn start(programs: &Programs, environment: &[(&str, String)]) -> Result<Self, LoadError> {
        let folder = tempfile::tempdir().map_err(LoadError::io("make a folder"))?;
        std::fs::create_dir_all(folder.path().join(".tasklane/logs"))
            .map_err(LoadError::io("make a folder"))?;
        std::fs::write(folder.path().join("nats.conf"), NATS_CONFIG)
            .map_err(LoadError::io("write nats.conf"))?;
        let (nats, monitor) = (free_port().await?, free_port().await?);
        let mut stack = Self { url: format!("nats://127.0.0.1:{nats}"), members: Vec::new(), _folder: None };
        let mut server = Command::new(&programs.nats);
        server.args(["-c", "nats.conf", "--port", &nats.to_string(), "--http_port", &monitor.to_string()]);
        stack.spawn("nats-server", server, folder.path())?;
        stack.await_ready(monitor, "/healthz?js-enabled-only=true").await?;
        let mut ports = Vec::new();
        for (name, listen) in [("router", "TASKLANE_HTTP_LISTEN"), ("generic", "TASKLANE_WORKER_HTTP_LISTEN")]
        {
            let port = free_port().await?;
            let mut service = Command::new(programs.services.join(format!("tasklane-{name}")));
            service.env("TASKLANE_NATS_URL", &stack.url).env(listen, format!("127.0.0.1:{port}"));
            service.env("TASKLANE_LOG_LEVEL", "warn").env_remove("OTEL_EXPORTER_OTLP_ENDPOINT");
            service.envs(environment.iter().map(|(key, value)| (key, value.as_str())));
            stack.spawn(if name == "router" { "router" } else { "worker" }, service, folder.path())?;
            ports.push(port);
        }
        for port in ports {
            stack.await_ready(port, "/readyz").await?;
        }
        stack._folder = Some(folder);
        Ok(stack)
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
        let begun = Instant::now();
        while !http_ok(port, path).await {
            for member in &mut self.members {
                if let Ok(Some(status)) = member.child.try_wait() {
                    return Err(LoadError::Stack(format!("{} ended at its start: {status}", member.name)));
                }
            }
            if begun.elapsed() > START {
                return Err(LoadError::Stack(format!("port {port} did not answer {path} within {START:?}")));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }

    /// Connects to its server.
    ///
    /// # Errors
    /// Where it does not answer.
    pub async fn connect(&self, name: &str) -> Result<Bus, LoadError> {
        let config = BusConfig { url: self.url.clone(), ..BusConfig::default() };
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

/// A port that was free a moment ago.
async fn free_port() -> Result<u16, LoadError> {
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
