//! What surrounds the services: storage, ports, programs, the collector of traces.

use std::path::PathBuf;
use std::time::Duration;

use tasklane_runtime::telemetry::TraceSettings;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::judge::{self, Finding};

/// Long enough for a machine nearby.
const PATIENCE: Duration = Duration::from_secs(1);
/// A monitoring page has some KB.
const MOST: u64 = 4 << 20;
/// Where the stack's members listen as it comes.
const PORTS: [(u16, &str); 5] =
    [(4222, "NATS"), (8222, "NATS monitoring"), (9470, "the router"), (9471, "generic"), (9472, "document")];

/// How full JetStream's store is, by the server's monitoring page.
pub async fn storage(monitor: &str) -> Finding {
    let page = match tokio::time::timeout(PATIENCE, get(monitor, "/jsz")).await {
        Ok(Ok(page)) => page,
        Ok(Err(e)) => return unseen(monitor, &e.to_string()),
        Err(_) => return unseen(monitor, "no answer"),
    };
    let Ok(page) = serde_json::from_str::<serde_json::Value>(&page) else {
        return unseen(monitor, "the answer is no JSON");
    };
    judge::storage(page["storage"].as_u64().unwrap_or(0), page["config"]["max_storage"].as_u64())
}

fn unseen(monitor: &str, why: &str) -> Finding {
    Finding::skip(
        "storage",
        format!("not looked at: {monitor} ({why}); --monitor URL names the monitoring page"),
    )
}

/// A page over plain HTTP/1.0: the server closes when it has said all.
async fn get(base: &str, path: &str) -> std::io::Result<String> {
    let wrong = || std::io::Error::other("not an http:// URL");
    let host = base.strip_prefix("http://").ok_or_else(wrong)?.trim_end_matches('/');
    let mut stream = TcpStream::connect(with_port(host, 80)).await?;
    stream.write_all(format!("GET {path} HTTP/1.0\r\nHost: {host}\r\n\r\n").as_bytes()).await?;
    let mut text = String::new();
    stream.take(MOST).read_to_string(&mut text).await?;
    let (head, body) =
        text.split_once("\r\n\r\n").ok_or_else(|| std::io::Error::other("not an HTTP answer"))?;
    match head.split(' ').nth(1) {
        Some("200") => Ok(body.to_owned()),
        other => Err(std::io::Error::other(format!("status {}", other.unwrap_or("unknown")))),
    }
}

fn with_port(host: &str, port: u16) -> String {
    let has_port = host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    if has_port { host.to_owned() } else { format!("{host}:{port}") }
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
        true => Finding::ok("ports", "free for `tasklane up`: 4222, 8222, 9470 to 9472"),
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

/// Where the document service would find PDFium on this machine.
pub fn pdfium() -> Finding {
    let file = if cfg!(target_os = "macos") { "libpdfium.dylib" } else { "libpdfium.so" };
    let named = std::env::var_os("PDFIUM_LIBRARY").filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(path) = named.filter(|path| !path.is_file()) {
        let detail = format!("PDFIUM_LIBRARY names {}, which is no file", path.display());
        return Finding::fail(
            "pdfium",
            detail,
            "`scripts/setup.sh pdfium` fetches one; unset the variable then",
        );
    }
    let arch = std::env::consts::ARCH;
    let system = [
        "/usr/local/lib",
        "/usr/lib",
        "/usr/lib64",
        "/opt/homebrew/lib",
        &format!("/usr/lib/{arch}-linux-gnu"),
    ]
    .map(|dir| PathBuf::from(dir).join(file));
    let mut places: Vec<PathBuf> =
        std::env::var_os("PDFIUM_LIBRARY").map(PathBuf::from).into_iter().collect();
    places.extend(cached(file));
    places.extend(system);
    match places.into_iter().find(|place| place.is_file()) {
        Some(place) => Finding::ok("pdfium", place.display().to_string()),
        None => Finding::warn(
            "pdfium",
            "not found here: where the document service runs like this, PDF files alone are refused",
            "`scripts/setup.sh pdfium` fetches it, or PDFIUM_LIBRARY=<path> names it",
        ),
    }
}

/// The versions that `scripts/setup.sh` keeps in its cache.
fn cached(file: &str) -> Vec<PathBuf> {
    let own = std::env::var_os("TASKLANE_CACHE").map(PathBuf::from);
    let shared = std::env::var_os("XDG_CACHE_HOME").map(|dir| PathBuf::from(dir).join("tasklane"));
    let home = std::env::var_os("HOME").map(|dir| PathBuf::from(dir).join(".cache/tasklane"));
    let Some(cache) = own.or(shared).or(home) else { return Vec::new() };
    let Ok(versions) = std::fs::read_dir(cache.join("pdfium")) else { return Vec::new() };
    versions.flatten().map(|version| version.path().join(file)).collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_added_where_there_is_none() {
        assert_eq!(with_port("there", 80), "there:80");
        assert_eq!(with_port("there:4317", 80), "there:4317");
        assert_eq!(with_port("[::1]:9", 80), "[::1]:9");
    }

    #[tokio::test]
    async fn a_page_is_read_from_a_server() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let server = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            // All of the request: a socket that is closed with something unread is reset, and the page with it.
            let mut asked = Vec::new();
            while !asked.ends_with(b"\r\n\r\n") {
                assert_ne!(stream.read_buf(&mut asked).await.unwrap(), 0, "the request ended early");
            }
            let page = "HTTP/1.0 200 OK\r\n\r\n{\"storage\":90,\"config\":{\"max_storage\":100}}";
            stream.write_all(page.as_bytes()).await.unwrap();
        };
        let (found, ()) = tokio::join!(storage(&base), server);
        assert_eq!(found.level, judge::Level::Warn, "{}", found.detail);
        assert_eq!(storage("ftp://x").await.level, judge::Level::Skip);
    }
}
