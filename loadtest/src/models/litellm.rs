//! LiteLLM beside it, from PyPI, set as its own pages advise for production, with nothing on that it does not need: no
//! database, no tenants, no budgets, no limits, no logging. What it leaves out makes it faster. It does check a key, its
//! master key: without one it does not start.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command as Blocking, Stdio};

use rustix::process::{Pid, Signal, kill_process_group};
use tempfile::TempDir;
use tokio::process::{Child, Command};

use super::proxy::MODEL;
use crate::args::Args;
use crate::error::LoadError;
use crate::programs::setup_knows;
use crate::stack::{await_http, free_port};

/// The key of its clients.
pub const KEY: &str = "sk-4f1c09b7e5d24a63b8807d1e92c35fa6";

/// A LiteLLM that runs.
pub struct Litellm {
    child: Child,
    /// Where clients call.
    pub address: SocketAddr,
    /// Its version.
    pub version: String,
    /// Its processes that answer.
    pub workers: usize,
    _folder: TempDir,
}

impl Drop for Litellm {
    fn drop(&mut self) {
        // Its workers are processes of their own, and would go on.
        let group = self.child.id().and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?));
        if let Some(Err(e)) = group.map(|group| kill_process_group(group, Signal::KILL)) {
            eprintln!("litellm may still run: {e}");
        }
    }
}

impl Litellm {
    /// Starts it, where it is there.
    ///
    /// # Errors
    /// Where it is named and does not start.
    pub async fn start(args: &Args, upstream: SocketAddr) -> Result<Option<Self>, LoadError> {
        let found = match (&args.litellm, args.quick) {
            (Some(path), _) => Some(path.clone()),
            // It takes longer to start than all else of a quick run.
            (None, true) => None,
            (None, false) => setup_knows("litellm"),
        };
        let Some(program) = found else {
            eprintln!("  litellm is not there (`scripts/setup.sh litellm` gets it): only our own figures");
            return Ok(None);
        };
        let folder = tempfile::tempdir().map_err(LoadError::io("make a folder"))?;
        let file = folder.path().join("config.yaml");
        let config = format!(
            "model_list:\n  - model_name: {MODEL}\n    litellm_params:\n      model: openai/{MODEL}\n      \
             api_base: http://{upstream}/litellm/v1\n      api_key: sk-of-the-provider\n\
             litellm_settings:\n  set_verbose: false\n  json_logs: false\n  request_timeout: 600\n  telemetry: false\n"
        );
        std::fs::write(&file, config).map_err(LoadError::io("write litellm's configuration"))?;
        let workers = std::thread::available_parallelism().map_or(1, usize::from);
        let port = free_port().await?;
        let mut command = Command::new(&program);
        command.arg("--config").arg(&file).args(["--host", "127.0.0.1", "--port", &port.to_string()]);
        command.args(["--num_workers", &workers.to_string()]).args(&args.litellm_args);
        command.env("LITELLM_MODE", "PRODUCTION").env("LITELLM_LOG", "ERROR");
        command.env("LITELLM_MASTER_KEY", KEY);
        // It would ask the network for a list of prices that it has on board.
        command.env("LITELLM_LOCAL_MODEL_COST_MAP", "True");
        command.env_remove("OTEL_EXPORTER_OTLP_ENDPOINT").env_remove("DATABASE_URL");
        command.current_dir(folder.path()).stdin(Stdio::null()).stdout(Stdio::null());
        let log = folder.path().join("log");
        let out = std::fs::File::create(&log).map_err(LoadError::io("make litellm's log"))?;
        command.stderr(out).process_group(0);
        let mut child = command.spawn().map_err(LoadError::io(format!("start {}", program.display())))?;
        if let Err(e) = await_http(vec![("litellm", &mut child)], port, "/health/liveliness").await {
            let said = std::fs::read_to_string(&log).unwrap_or_default();
            let last: Vec<&str> = said.lines().filter(|line| !line.trim().is_empty()).collect();
            eprintln!("{}", last[last.len().saturating_sub(5)..].join("\n"));
            return Err(e);
        }
        let version = version(&program);
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        Ok(Some(Self { child, address, version, workers, _folder: folder }))
    }

    /// The process that the others descend from.
    pub fn pid(&self) -> u32 {
        self.child.id().unwrap_or_default()
    }
}

/// As the Python beside the program knows it; asking the program itself takes many seconds.
fn version(program: &std::path::Path) -> String {
    let python: PathBuf = program.with_file_name("python");
    let ask = "import importlib.metadata as m; print(m.version('litellm'))";
    let said = Blocking::new(python).args(["-c", ask]).output();
    said.map(|said| String::from_utf8_lossy(&said.stdout).trim().to_owned()).unwrap_or_default()
}
