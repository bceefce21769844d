//! Sources against real files, links and servers: what is forbidden stays forbidden, however it is spelled.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::os::unix::fs::symlink;
use std::path::Path;

use tasklane_document::config::SourcesConfig;
use tasklane_document::error::DocError;
use tasklane_document::plan;
use tasklane_document::sources::{ObjectError, ObjectFetch, Sources, decode_inline};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// A store with one object, `documents/report.txt`.
struct Store;

impl ObjectFetch for Store {
    async fn fetch(&self, bucket: &str, name: &str, max_bytes: u64) -> Result<Vec<u8>, ObjectError> {
        match (bucket, name) {
            ("documents", "report.txt") if max_bytes < 6 => Err(ObjectError::TooLarge),
            ("documents", "report.txt") => Ok(b"report".to_vec()),
            ("down", _) => Err(ObjectError::Unreachable("no servers".into())),
            _ => Err(ObjectError::NotFound),
        }
    }
}

async fn read(config: &SourcesConfig, source: &str) -> Result<Vec<u8>, DocError> {
    Sources::new(config)?.read(&plan::parse(source)?, &Store, 1000).await
}

async fn code(config: &SourcesConfig, source: &str) -> &'static str {
    read(config, source).await.map_or_else(|error| error.code(), |_| "read")
}

fn rooted(root: &Path) -> SourcesConfig {
    SourcesConfig { roots: vec![root.display().to_string()], ..SourcesConfig::default() }
}

#[tokio::test]
async fn objects_come_from_the_store() {
    let config = SourcesConfig::default();
    assert_eq!(read(&config, "obj://documents/report.txt").await.unwrap(), b"report");
    assert_eq!(code(&config, "obj://documents/other").await, "TL2123");
    assert_eq!(code(&config, "obj://down/x").await, "TL3100");
    let source = plan::parse("obj://documents/report.txt").unwrap();
    let small = Sources::new(&config).unwrap().read(&source, &Store, 5).await;
    assert_eq!(small.unwrap_err().code(), "TL2104");
}

#[tokio::test]
async fn files_are_read_under_roots_alone() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root");
    std::fs::create_dir_all(root.join("inner")).unwrap();
    std::fs::write(root.join("inner/a b.txt"), "inside").unwrap();
    std::fs::write(root.join("big.txt"), vec![b'x'; 1001]).unwrap();
    std::fs::write(folder.path().join("secret.txt"), "outside").unwrap();
    symlink(folder.path().join("secret.txt"), root.join("link.txt")).unwrap();
    symlink(folder.path(), root.join("up")).unwrap();
    symlink(root.join("inner"), root.join("fine")).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, root.join("pipe"), rustix::fs::Mode::RUSR).unwrap();
    let config = rooted(&root);
    let at = |path: &str| format!("file://{}/{path}", root.display());
    assert_eq!(read(&config, &at("inner/a%20b.txt")).await.unwrap(), b"inside");
    assert_eq!(read(&config, &at("fine/a%20b.txt")).await.unwrap(), b"inside");
    for (path, expected) in [
        ("missing.txt", "TL2123"),
        ("big.txt", "TL2104"),
        ("link.txt", "TL2121"),
        ("up/secret.txt", "TL2121"),
        ("../secret.txt", "TL2121"),
        ("inner/..%2f..%2fsecret.txt", "TL2121"),
        ("inner", "TL2121"),
        ("pipe", "TL2121"),
    ] {
        assert_eq!(code(&config, &at(path)).await, expected, "{path}");
    }
    assert_eq!(code(&config, "file:///etc/passwd").await, "TL2121");
    assert_eq!(code(&SourcesConfig::default(), &at("inner/a%20b.txt")).await, "TL2121");
}

#[tokio::test]
async fn private_addresses_are_never_connected_to() {
    let config = SourcesConfig::default();
    for source in [
        "http://127.0.0.1:1/",
        "http://127.1/",
        "http://2130706433/",
        "http://[::1]/",
        "http://[::ffff:10.0.0.1]/",
        "http://169.254.169.254/latest/meta-data/",
        "http://localhost:1/",
    ] {
        assert_eq!(code(&config, source).await, "TL2122", "{source}");
    }
    let off = SourcesConfig { allow_http: false, ..SourcesConfig::default() };
    assert_eq!(code(&off, "https://example.com/").await, "TL2124");
}

/// Serves canned answers by path on an address of this machine; returns `host:port`.
async fn server() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = listener.local_addr().unwrap().to_string();
    let own = host.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 4096];
            let count = stream.read(&mut request).await.unwrap_or(0);
            let request = String::from_utf8_lossy(&request[..count]).into_owned();
            let path = request.split_whitespace().nth(1).unwrap_or("/").to_owned();
            let to = |location: &str| {
                format!("HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n")
            };
            let answer = match path.as_str() {
                "/ok" => "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello".to_owned(),
                "/endless" => format!("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{}", "x".repeat(5000)),
                "/metadata" => to("http://169.254.169.254/latest"),
                "/name" => to("http://localhost.localdomain.invalid/"),
                "/loop" => to(&format!("http://{own}/loop")),
                "/file" => to("file:///etc/passwd"),
                "/relative" => to("/ok"),
                "/busy" => "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n".to_owned(),
                "/forbidden" => "HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n".to_owned(),
                _ => "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_owned(),
            };
            // The client may hang up early; that is its right.
            drop(stream.write_all(answer.as_bytes()).await);
        }
    });
    host
}

#[tokio::test]
async fn redirects_are_checked_like_first_addresses() {
    let host = server().await;
    let config = SourcesConfig { allow_networks: vec!["127.0.0.1/32".into()], ..SourcesConfig::default() };
    let at = |path: &str| format!("http://{host}/{path}");
    assert_eq!(read(&config, &at("ok")).await.unwrap(), b"hello");
    assert_eq!(read(&config, &at("relative")).await.unwrap(), b"hello");
    for (path, expected) in [
        ("metadata", "TL2122"),
        ("file", "TL2124"),
        ("loop", "TL2124"),
        ("name", "TL3100"),
        ("endless", "TL2104"),
        ("busy", "TL3100"),
        ("forbidden", "TL2125"),
        ("nothing", "TL2123"),
    ] {
        assert_eq!(code(&config, &at(path)).await, expected, "{path}");
    }
}

#[test]
fn inline_content_is_decoded_within_bounds() {
    assert_eq!(decode_inline("aGVs\nbG8=", 100).unwrap(), b"hello");
    assert_eq!(decode_inline("aGVsbG8", 100).unwrap_err().code(), "TL2111");
    assert_eq!(decode_inline(&"A".repeat(400), 100).unwrap_err().code(), "TL2104");
}
