//! What surrounds the services: storage, ports, programs, the collector of traces.

use std::path::PathBuf;
use std::time::Duration;

use tasklane_runtime::monitor::{self, with_port};
use tasklane_runtime::telemetry::TraceSettings;
use tokio::net::{TcpListener, TcpStream};

use super::judge::{self, Finding};

/// Long enough for a machine nearby.
const PATIENCE: Duration = Duration::from_secs(1);
/// Where the stack's members listen as it comes.
const PORTS: [(u16, &str); 9] = [
    (4222, "NATS"),
    (8222, "NATS monitoring"),
    (9470, "the router"),
    (9471, "generic"),
    (9472, "document"),
    (9473, "openai-proxy"),
    (9474, "ml"),
    (9475, "vector-indexer"),
    (9480, "openai-proxy's API"),
];

/// How full JetStream's store is, by the server's monitoring page.
pub async fn storage(url: &str) -> Finding {
    match monitor::storage(url).await {
        Ok(found) => judge::storage(found.used, found.limit),
        Err(e) => unseen(url, &e.to_string()),
    }
}

fn unseen(monitor: &str, why: &str) -> Finding {
    Finding::skip(
        "storage",
        format!("not looked at: {monitor} ({why}); --monitor URL names the monitoring page"),
    )
}

/// Ports that `tasklane up` would need. Where a router runs, they are taken rightly.
pub async fn ports(router_runs: bool) -> Option<Finding> {
    if router_runs {
        return None;
    }
    let mut taken = Vec::new();
    for (port, name) in PORTS {
        if TcpListener::bind(("127.0.0.1", port))
            .await
            .is_err_and(|e| e.kind() == std::io::ErrorKind::AddrInUse)
        {
            taken.push(format!("{port} ({name})"));
        }
    }
    Some(match taken.is_empty() {
        true => Finding::ok("ports", "free for `tasklane up`: 4222, 8222, 9470 to 9475, 9480"),
        false => Finding::warn(
            "ports",
            format!("in use: {}", taken.join(", ")),
            "`tasklane status` shows a stack of ours; what else holds them can be stopped, or ours moved: STACK_NATS_PORT, STACK_ROUTER_PORT, ...",
        ),
    })
}

/// Whether there is a program of this name on the PATH.
fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join(program)).find(|file| file.is_file())
}

/// The nats command: handy, never needed.
pub fn nats_command() -> Finding {
    match on_path("nats") {
        Some(path) => Finding::ok("nats CLI", path.display().to_string()),
        None => Finding::skip(
            "nats CLI",
            "not on the PATH and not needed; `scripts/setup.sh nats-cli` fetches it, to publish and look by hand",
        ),
    }
}

/// Whether somebody listens where traces would go.
pub async fn collector() -> Finding {
    let endpoint = TraceSettings::from_env().endpoint;
    if endpoint.is_empty() {
        return Finding::skip(
            "traces",
            "OTEL_EXPORTER_OTLP_ENDPOINT is not set here: this command sends none",
        );
    }
    let host = endpoint.split_once("://").map_or(endpoint.as_str(), |(_, rest)| rest);
    let host = with_port(host.split('/').next().unwrap_or_default(), 4317);
    match tokio::time::timeout(PATIENCE, TcpStream::connect(&host)).await {
        Ok(Ok(_)) => Finding::ok("traces", format!("{endpoint} can be reached")),
        Ok(Err(e)) => silent(&endpoint, &e.to_string()),
        Err(_) => silent(&endpoint, "no answer"),
    }
}

fn silent(endpoint: &str, why: &str) -> Finding {
    Finding::warn(
        "traces",
        format!("{endpoint} cannot be reached ({why}): traces are lost, tasks are not"),
        "start the collector (`scripts/setup.sh jaeger`, then `tasklane up`), or unset OTEL_EXPORTER_OTLP_ENDPOINT",
    )
}
