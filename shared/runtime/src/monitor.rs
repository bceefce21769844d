//! NATS's monitoring page: how full the store of a server is, which no client can ask over NATS itself.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Long enough for a machine nearby.
const PATIENCE: Duration = Duration::from_secs(1);
/// A monitoring page has some KB.
const MOST: u64 = 4 << 20;

/// What a server stores, and may.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Storage {
    /// The server's name; empty where it does not say.
    pub server: String,
    /// Bytes in files.
    pub used: u64,
    /// Bytes there may be; none where the server sets no bound.
    pub limit: Option<u64>,
}

/// Asks the page at `base`, such as `http://127.0.0.1:8222`.
///
/// # Errors
/// Where nobody answers within a second, or what answers is no monitoring page.
pub async fn storage(base: &str) -> io::Result<Storage> {
    let said = async {
        let page = get(base, "/jsz").await?;
        let server = get(base, "/varz").await?;
        read(&page, &server)
    };
    tokio::time::timeout(PATIENCE, said).await.unwrap_or_else(|_| Err(io::Error::other("no answer")))
}

fn read(jsz: &str, varz: &str) -> io::Result<Storage> {
    let page = |text: &str| {
        serde_json::from_str::<serde_json::Value>(text).map_err(|_| io::Error::other("the answer is no JSON"))
    };
    let (store, server) = (page(jsz)?, page(varz)?);
    Ok(Storage {
        server: server["server_name"].as_str().unwrap_or_default().to_owned(),
        used: store["storage"].as_u64().unwrap_or(0),
        limit: store["config"]["max_storage"].as_u64().filter(|limit| *limit > 0),
    })
}

/// A page over plain HTTP/1.0: the server closes when it has said all.
async fn get(base: &str, path: &str) -> io::Result<String> {
    let wrong = || io::Error::other("not an http:// URL");
    let host = base.strip_prefix("http://").ok_or_else(wrong)?.trim_end_matches('/');
    let mut stream = TcpStream::connect(with_port(host, 80)).await?;
    stream.write_all(format!("GET {path} HTTP/1.0\r\nHost: {host}\r\n\r\n").as_bytes()).await?;
    let mut text = String::new();
    stream.take(MOST).read_to_string(&mut text).await?;
    let (head, body) = text.split_once("\r\n\r\n").ok_or_else(|| io::Error::other("not an HTTP answer"))?;
    match head.split(' ').nth(1) {
        Some("200") => Ok(body.to_owned()),
        other => Err(io::Error::other(format!("status {}", other.unwrap_or("unknown")))),
    }
}

/// A host and port: `port` where none is named.
#[must_use]
pub fn with_port(host: &str, port: u16) -> String {
    let has_port = host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    if has_port { host.to_owned() } else { format!("{host}:{port}") }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

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
            for page in [r#"{"storage":90,"config":{"max_storage":100}}"#, r#"{"server_name":"n1"}"#] {
                let (mut stream, _) = listener.accept().await.unwrap();
                // All of the request: a socket that is closed with something unread is reset, and the page with it.
                let mut asked = Vec::new();
                while !asked.ends_with(b"\r\n\r\n") {
                    assert_ne!(stream.read_buf(&mut asked).await.unwrap(), 0, "the request ended early");
                }
                stream.write_all(format!("HTTP/1.0 200 OK\r\n\r\n{page}").as_bytes()).await.unwrap();
            }
        };
        let (found, ()) = tokio::join!(storage(&base), server);
        assert_eq!(found.unwrap(), Storage { server: "n1".into(), used: 90, limit: Some(100) });
        assert!(storage("ftp://x").await.is_err());
    }
}
