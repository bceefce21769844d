//! Calling a provider: one request, its answer or why there is none. What to do then is decided elsewhere.

use std::cell::OnceCell;
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Method, Response};

use crate::catalog::{Provider, Secret};

/// Where a request goes.
#[derive(Debug, Clone)]
pub struct Target<'a> {
    /// The whole URL.
    pub url: String,
    /// The provider's key; none for local servers.
    pub key: Option<&'a str>,
    /// How long the connection may take, and then the headers of the answer.
    pub first_byte: Duration,
}

impl<'a> Target<'a> {
    /// A path below a provider's base URL, with its key and time-outs.
    pub fn of(provider: &'a Provider, path: &str) -> Self {
        Self {
            url: format!("{}{path}", provider.base_url),
            key: provider.key.as_ref().map(Secret::expose),
            first_byte: provider.timeouts.connect + provider.timeouts.first_chunk,
        }
    }
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoAnswer {
    /// Nobody there, or the connection broke.
    #[error("the provider cannot be reached: {0}")]
    Unreachable(String),
    /// Nothing came in time.
    #[error("the provider sent nothing within {0:?}")]
    TimedOut(Duration),
    /// More than is taken.
    #[error("the provider's answer is larger than {0} bytes")]
    TooLarge(usize),
}

thread_local! {
    /// Connections belong to the thread that opened them: whoever asks on it is answered on it.
    static HTTP: OnceCell<reqwest::Client> = const { OnceCell::new() };
}

/// Calls providers.
#[derive(Clone)]
pub struct Client {
    /// Made first, to see that it can be made; for threads where it then cannot.
    first: reqwest::Client,
}

impl Client {
    /// A client that keeps connections open. `TCP_NODELAY` is on: without it a request in two packets waits 40 ms for the
    /// acknowledgement of the first.
    ///
    /// # Errors
    /// Where no TLS can be set up.
    pub fn new() -> Result<Self, String> {
        // Where another part of the process has chosen a provider already, that one serves.
        drop(rustls::crypto::ring::default_provider().install_default());
        Ok(Self { first: Self::make()? })
    }

    fn make() -> Result<reqwest::Client, String> {
        reqwest::Client::builder()
            .user_agent(concat!("tasklane-openai-proxy/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .tcp_nodelay(true)
            .connect_timeout(Duration::from_secs(10))
            .pool_max_idle_per_host(64)
            .build()
            .map_err(|e| format!("no web client: {e}"))
    }

    /// This thread's.
    fn http(&self) -> reqwest::Client {
        HTTP.with(|http| http.get_or_init(|| Self::make().unwrap_or_else(|_| self.first.clone())).clone())
    }

    /// Sends a request and waits for the head of the answer. `extra` are headers of the client that pass through.
    ///
    /// # Errors
    /// [`NoAnswer`].
    pub async fn send(
        &self,
        method: Method,
        target: &Target<'_>,
        extra: &HeaderMap,
        body: Option<(HeaderValue, Bytes)>,
    ) -> Result<Response, NoAnswer> {
        let mut request = self.http().request(method, &target.url).headers(extra.clone());
        request = request.header(ACCEPT, "application/json, text/event-stream");
        if let Some(key) = target.key {
            let mut value = HeaderValue::from_str(&format!("Bearer {key}"))
                .map_err(|_| NoAnswer::Unreachable("its key has signs that no header can hold".into()))?;
            value.set_sensitive(true);
            request = request.header(AUTHORIZATION, value);
        }
        if let Some((content_type, body)) = body {
            request = request.header(CONTENT_TYPE, content_type).body(body);
        }
        match tokio::time::timeout(target.first_byte, request.send()).await {
            Err(_) => Err(NoAnswer::TimedOut(target.first_byte)),
            Ok(Err(e)) if e.is_timeout() => Err(NoAnswer::TimedOut(target.first_byte)),
            Ok(Err(e)) => Err(NoAnswer::Unreachable(cause(&e))),
            Ok(Ok(answer)) => Ok(answer),
        }
    }
}

/// The next piece of an answer; none at its end.
///
/// # Errors
/// [`NoAnswer`].
pub async fn next(answer: &mut Response, patience: Duration) -> Result<Option<Bytes>, NoAnswer> {
    match tokio::time::timeout(patience, answer.chunk()).await {
        Err(_) => Err(NoAnswer::TimedOut(patience)),
        Ok(Err(e)) => Err(NoAnswer::Unreachable(cause(&e))),
        Ok(Ok(piece)) => Ok(piece),
    }
}

/// All of an answer, at most `most` bytes.
///
/// # Errors
/// [`NoAnswer`].
pub async fn whole(answer: &mut Response, patience: Duration, most: usize) -> Result<Bytes, NoAnswer> {
    let mut all = Vec::new();
    let reading = async {
        while let Some(piece) = answer.chunk().await.map_err(|e| NoAnswer::Unreachable(cause(&e)))? {
            if all.len() + piece.len() > most {
                return Err(NoAnswer::TooLarge(most));
            }
            all.extend_from_slice(&piece);
        }
        Ok(())
    };
    match tokio::time::timeout(patience, reading).await {
        Err(_) => Err(NoAnswer::TimedOut(patience)),
        Ok(ended) => ended.map(|()| all.into()),
    }
}

/// The innermost reason; the outer ones say "error sending request" and name the URL.
fn cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
