//! The openai-proxy under test, with everything on: limits of provider, model and tenant, budgets, usage, spans.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::error::LoadError;
use crate::stack::{Programs, await_http, free_port};

/// The model's name, for clients and for the provider.
pub const MODEL: &str = "bench";
/// What a token costs, in USD per million: input and output.
pub const PRICE: u64 = 1_000;
/// The same in the books' unit.
pub const NANO_USD_PER_TOKEN: u64 = PRICE * 1_000;
/// A limit that is looked at and never reached.
const PLENTY: u64 = 1_000_000_000;
const STOP: Duration = Duration::from_secs(20);

/// A tenant and what it may use.
#[derive(Debug, Clone)]
pub struct Tenant {
    /// Its name, and the key of its clients.
    pub name: String,
    /// USD a day.
    pub usd: u64,
    /// Requests a minute.
    pub requests_per_minute: u64,
    /// Tokens a minute.
    pub tokens_per_minute: u64,
}

impl Tenant {
    /// One that has all limits and reaches none.
    pub fn rich() -> Self {
        Self {
            name: "rich".to_owned(),
            usd: PLENTY,
            requests_per_minute: PLENTY,
            tokens_per_minute: PLENTY * 1_000,
        }
    }

    /// What its clients send.
    pub fn key(&self) -> String {
        format!("key-of-{}", self.name)
    }
}

/// How a proxy is to be started.
#[derive(Clone, Copy)]
pub struct Setting<'a> {
    /// Where the programs are.
    pub programs: &'a Programs,
    /// Where NATS is.
    pub nats: &'a str,
    /// Where the provider is.
    pub upstream: SocketAddr,
    /// Where spans go, and the share of traces that is recorded.
    pub spans: Option<(&'a str, f64)>,
    /// Who may call.
    pub tenants: &'a [Tenant],
}

/// A proxy that runs.
pub struct Proxy {
    child: Child,
    /// Where clients call.
    pub address: SocketAddr,
    /// The first part of the path by which it calls the provider.
    pub way: String,
    _folder: TempDir,
}

impl Proxy {
    /// Starts one and waits until it is ready. `way` is the first part of the path by which the provider is called.
    ///
    /// # Errors
    /// Where it does not start.
    pub async fn start(setting: Setting<'_>, way: &str) -> Result<Self, LoadError> {
        let folder = tempfile::tempdir().map_err(LoadError::io("make a folder"))?;
        let text = catalog(folder.path(), setting, way).map_err(LoadError::io("write the tenants' keys"))?;
        let file = folder.path().join("providers.toml");
        std::fs::write(&file, text).map_err(LoadError::io("write the providers' file"))?;
        let (api, pages) = (free_port().await?, free_port().await?);
        let mut command = Command::new(setting.programs.services.join("tasklane-openai-proxy"));
        command.env("TASKLANE_NATS_URL", setting.nats).env("TASKLANE_PROVIDERS_FILE", &file);
        command.env("TASKLANE_API_LISTEN", format!("127.0.0.1:{api}"));
        command.env("TASKLANE_WORKER_HTTP_LISTEN", format!("127.0.0.1:{pages}"));
        command.env("TASKLANE_API_ANONYMOUS", "false").env("PROVIDER_KEY", "sk-of-the-provider");
        // Streams that break off are told in the log, and here thousands of them do so.
        command.env("TASKLANE_LOG_LEVEL", "error").env_remove("OTEL_EXPORTER_OTLP_ENDPOINT");
        if let Some((endpoint, share)) = setting.spans {
            command.env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint);
            command.env("OTEL_TRACES_SAMPLER", "parentbased_traceidratio");
            command.env("OTEL_TRACES_SAMPLER_ARG", share.to_string());
        }
        command.current_dir(folder.path()).stdin(Stdio::null()).stdout(Stdio::null()).kill_on_drop(true);
        let mut child = command.spawn().map_err(LoadError::io("start tasklane-openai-proxy"))?;
        await_http(vec![("openai-proxy", &mut child)], pages, "/readyz").await?;
        Ok(Self {
            child,
            address: SocketAddr::from(([127, 0, 0, 1], api)),
            way: way.to_owned(),
            _folder: folder,
        })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id().unwrap_or_default()
    }

    /// Ends it as a power cut would.
    ///
    /// # Errors
    /// Where it cannot be killed.
    pub async fn kill(mut self) -> Result<(), LoadError> {
        self.child.kill().await.map_err(LoadError::io("kill a proxy"))
    }

    /// Ends it as an operator would.
    ///
    /// # Errors
    /// Where it does not end.
    pub async fn stop(mut self) -> Result<(), LoadError> {
        let pid = self.child.id().and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?));
        let pid = pid.ok_or_else(|| LoadError::Stack("a proxy ended by itself".into()))?;
        kill_process(pid, Signal::TERM).map_err(|e| LoadError::io("stop a proxy")(e.into()))?;
        match tokio::time::timeout(STOP, self.child.wait()).await {
            Ok(_) => Ok(()),
            Err(_) => Err(LoadError::Stack(format!("a proxy did not stop within {STOP:?}"))),
        }
    }
}

/// The providers' file. Keys of tenants lie in files beside it.
fn catalog(folder: &Path, setting: Setting<'_>, way: &str) -> std::io::Result<String> {
    let mut out = format!(
        "[providers.mock]\nbase_url = \"http://{}/{way}/v1\"\nkey = {{ env = \"PROVIDER_KEY\" }}\n\
         requests_per_minute = {PLENTY}\ntokens_per_minute = {PLENTY}000\n\
         [models.{MODEL}]\nprovider = \"mock\"\ncontext_tokens = 8000\nmax_output_tokens = 1000\n\
         requests_per_minute = {PLENTY}\nprice = {{ input = {PRICE}, output = {PRICE} }}\n",
        setting.upstream
    );
    for tenant in setting.tenants {
        let file = folder.join(format!("{}.key", tenant.name));
        std::fs::write(&file, tenant.key())?;
        // Writing into a String cannot fail.
        let _infallible = write!(
            out,
            "[tenants.{}]\nkeys = [{{ file = \"{}\" }}]\nrequests_per_minute = {}\ntokens_per_minute = {}\n\
             budgets = [{{ usd = {}.0, per = \"day\" }}, {{ usd = {}.0, per = \"month\" }}]\n",
            tenant.name,
            file.display(),
            tenant.requests_per_minute,
            tenant.tokens_per_minute,
            tenant.usd,
            tenant.usd
        );
    }
    Ok(out)
}
