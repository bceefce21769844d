//! Fetches what a task names: objects, files under the configured roots, public web addresses.

use std::error::Error as _;
use std::fs::File;
use std::future::Future;
use std::io::Read;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Client, Response, StatusCode, Url};

use crate::config::SourcesConfig;
use crate::error::DocError;
use crate::plan::{Network, Source, literal_address, may_connect, shown, under_roots};

/// Why an object could not be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ObjectError {
    /// No such bucket or object.
    #[error("not found")]
    NotFound,
    /// The object is over the limit it was asked for with.
    #[error("too large")]
    TooLarge,
    /// The store does not answer.
    #[error("{0}")]
    Unreachable(String),
}

/// Reads objects; the worker runtime provides it.
pub trait ObjectFetch: Sync {
    /// The bytes of object `name` of `bucket`, at most `max_bytes` of them.
    fn fetch(
        &self,
        bucket: &str,
        name: &str,
        max_bytes: u64,
    ) -> impl Future<Output = Result<Vec<u8>, ObjectError>> + Send;
}

/// Fetches sources as the configuration allows.
pub struct Sources {
    roots: Vec<PathBuf>,
    allow_http: bool,
    allowed: Arc<[Network]>,
    max_redirects: u32,
    client: Client,
}

impl Sources {
    /// Prepares fetching; roots that do not exist are left out with a warning.
    ///
    /// # Errors
    /// `BadOption` for a network that cannot be read, `Sandbox` where no TLS can be set up.
    pub fn new(config: &SourcesConfig) -> Result<Self, DocError> {
        let allowed = config.allow_networks.iter().map(|text| text.parse());
        let allowed: Arc<[Network]> = allowed
            .collect::<Result<_, String>>()
            .map_err(|reason| DocError::BadOption { option: "sources.allow_networks".into(), reason })?;
        let roots = config.roots.iter().filter_map(|root| match std::fs::canonicalize(root) {
            Ok(path) => Some(path),
            Err(error) => {
                tracing::warn!(root = %root, %error, "a root of `sources.roots` is left out");
                None
            }
        });
        // Where another part of the process has chosen a provider already, that one serves.
        drop(rustls::crypto::ring::default_provider().install_default());
        let client = Client::builder()
            .user_agent(concat!("tasklane-document/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            // A proxy would resolve names itself, past the check.
            .no_proxy()
            .dns_resolver(Arc::new(PublicOnly { allowed: allowed.clone() }))
            .connect_timeout(Duration::from_millis(config.http_timeout_ms.min(10_000)))
            .timeout(Duration::from_millis(config.http_timeout_ms))
            .build()
            .map_err(|error| DocError::Sandbox { reason: format!("no web client: {error}") })?;
        let max_redirects = config.http_max_redirects;
        Ok(Self { roots: roots.collect(), allow_http: config.allow_http, allowed, max_redirects, client })
    }

    /// The bytes of `source`, at most `max_bytes`.
    ///
    /// # Errors
    /// The `TL212x` codes, `TooLarge`, `SourceUnreachable`.
    pub async fn read(
        &self,
        source: &Source,
        objects: &impl ObjectFetch,
        max_bytes: u64,
    ) -> Result<Vec<u8>, DocError> {
        match source {
            Source::Object { bucket, name } => {
                let source_name = shown(&format!("obj://{bucket}/{name}"));
                objects.fetch(bucket, name, max_bytes).await.map_err(|error| match error {
                    ObjectError::NotFound => DocError::SourceNotFound { source_name },
                    ObjectError::TooLarge => DocError::TooLarge { what: source_name, limit: max_bytes },
                    ObjectError::Unreachable(reason) => DocError::SourceUnreachable { source_name, reason },
                })
            }
            Source::File(path) => {
                let (path, roots) = (path.clone(), self.roots.clone());
                let read = tokio::task::spawn_blocking(move || read_file(&path, &roots, max_bytes)).await;
                read.unwrap_or_else(|error| Err(DocError::Sandbox { reason: error.to_string() }))
            }
            Source::Web(url) => self.read_web(url, max_bytes).await,
        }
    }

    async fn read_web(&self, start: &Url, max_bytes: u64) -> Result<Vec<u8>, DocError> {
        let source_name = shown(start.as_str());
        if !self.allow_http {
            let reason = "web addresses are switched off (`sources.allow_http`)".into();
            return Err(DocError::SourceInvalid { source_name, reason });
        }
        let mut url = start.clone();
        for _ in 0..=self.max_redirects {
            self.check_literal(&url, &source_name)?;
            let response = self.client.get(url.clone()).send().await;
            let response = response.map_err(|error| web_error(&error, &source_name))?;
            match redirect_target(&response, &url, &source_name)? {
                Some(next) => url = next,
                None => return body(response, &source_name, max_bytes).await,
            }
        }
        let reason = format!("more than {} redirects", self.max_redirects);
        Err(DocError::SourceInvalid { source_name, reason })
    }

    /// Hosts written as an address never pass the resolver: they are checked here.
    fn check_literal(&self, url: &Url, source_name: &str) -> Result<(), DocError> {
        match literal_address(url) {
            Some(address) if !may_connect(address, &self.allowed) => Err(DocError::AddressForbidden {
                source_name: source_name.into(),
                address: address.to_string(),
            }),
            _ => Ok(()),
        }
    }
}

/// Decodes inline content; white space in it is ignored.
///
/// # Errors
/// `BadBase64`, `TooLarge`.
pub fn decode_inline(text: &str, max_bytes: u64) -> Result<Vec<u8>, DocError> {
    if text.len() as u64 / 4 * 3 > max_bytes.saturating_add(max_bytes / 16) {
        return Err(DocError::TooLarge { what: "`content_base64`".into(), limit: max_bytes });
    }
    let compact: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let decoded = base64::engine::general_purpose::STANDARD.decode(compact);
    decoded.map_err(|error| DocError::BadBase64 { reason: error.to_string() })
}

/// Reads a file that really lies under a root. The file is opened first and asked for its real path then, so that
/// no link swapped in between leads elsewhere.
fn read_file(path: &Path, roots: &[PathBuf], max_bytes: u64) -> Result<Vec<u8>, DocError> {
    let source_name = shown(&format!("file://{}", path.display()));
    if !under_roots(path, roots) {
        return Err(DocError::PathForbidden { source_name });
    }
    let unreachable = |error: std::io::Error| DocError::SourceUnreachable {
        source_name: source_name.clone(),
        reason: error.to_string(),
    };
    // Without blocking: a pipe would wait for its writer.
    let nonblocking = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap_or(0);
    let mut file = match File::options().read(true).custom_flags(nonblocking).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(DocError::SourceNotFound { source_name });
        }
        Err(error) => return Err(unreachable(error)),
    };
    let real = std::fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd())).map_err(unreachable)?;
    let metadata = file.metadata().map_err(unreachable)?;
    if !under_roots(&real, roots) || !metadata.is_file() {
        return Err(DocError::PathForbidden { source_name });
    }
    if metadata.len() > max_bytes {
        return Err(DocError::TooLarge { what: source_name, limit: max_bytes });
    }
    let mut bytes = Vec::new();
    // It may have grown since.
    file.by_ref().take(max_bytes + 1).read_to_end(&mut bytes).map_err(unreachable)?;
    within(bytes, &source_name, max_bytes)
}

fn within(bytes: Vec<u8>, source_name: &str, max_bytes: u64) -> Result<Vec<u8>, DocError> {
    if bytes.len() as u64 > max_bytes {
        return Err(DocError::TooLarge { what: source_name.to_owned(), limit: max_bytes });
    }
    Ok(bytes)
}

fn redirect_target(response: &Response, url: &Url, source_name: &str) -> Result<Option<Url>, DocError> {
    if !response.status().is_redirection() || response.status() == StatusCode::NOT_MODIFIED {
        return Ok(None);
    }
    let invalid =
        |reason: &str| DocError::SourceInvalid { source_name: source_name.into(), reason: reason.into() };
    let location = response.headers().get("location").and_then(|value| value.to_str().ok());
    let next = location.and_then(|location| url.join(location).ok());
    let next = next.ok_or_else(|| invalid("the server redirects to nowhere"))?;
    if !matches!(next.scheme(), "http" | "https") || (url.scheme() == "https" && next.scheme() == "http") {
        return Err(invalid("the server redirects to a scheme that is not allowed"));
    }
    Ok(Some(next))
}

async fn body(mut response: Response, source_name: &str, max_bytes: u64) -> Result<Vec<u8>, DocError> {
    let status = response.status();
    let name = || source_name.to_owned();
    match status {
        _ if status.is_success() => {}
        StatusCode::NOT_FOUND | StatusCode::GONE => {
            return Err(DocError::SourceNotFound { source_name: name() });
        }
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => {
            return Err(DocError::SourceUnreachable {
                source_name: name(),
                reason: format!("status {status}"),
            });
        }
        _ if status.is_server_error() => {
            return Err(DocError::SourceUnreachable {
                source_name: name(),
                reason: format!("status {status}"),
            });
        }
        _ => return Err(DocError::SourceRefused { source_name: name(), status: status.as_u16() }),
    }
    if response.content_length().is_some_and(|length| length > max_bytes) {
        return Err(DocError::TooLarge { what: name(), limit: max_bytes });
    }
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| web_error(&error, source_name))? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() as u64 > max_bytes {
            return Err(DocError::TooLarge { what: name(), limit: max_bytes });
        }
    }
    Ok(bytes)
}

fn web_error(error: &reqwest::Error, source_name: &str) -> DocError {
    let source_name = source_name.to_owned();
    let mut cause = error.source();
    let mut reason = error.to_string();
    while let Some(inner) = cause {
        if let Some(NotPublic(address)) = inner.downcast_ref() {
            return DocError::AddressForbidden { source_name, address: address.to_string() };
        }
        reason = inner.to_string();
        cause = inner.source();
    }
    DocError::SourceUnreachable { source_name, reason }
}

/// A name resolves to an address that is not public.
#[derive(Debug, thiserror::Error)]
#[error("{0} is not a public address")]
struct NotPublic(std::net::IpAddr);

/// Resolves names to public addresses alone. What it returns is what is connected to, so that a name which resolves
/// differently the second time (DNS rebinding) gains nothing.
struct PublicOnly {
    allowed: Arc<[Network]>,
}

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        let allowed = self.allowed.clone();
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            // One private address among public ones is no accident.
            if let Some(bad) = found.iter().find(|found| !may_connect(found.ip(), &allowed)) {
                return Err(NotPublic(bad.ip()).into());
            }
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}
