//! The connection: how it is made, how it comes back, and who is told.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::context::traits::TimeoutProvider as _;
use async_nats::{Client, ConnectOptions, jetstream};
use bytes::Bytes;
use futures::StreamExt as _;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::batch::Batches;
use crate::line::Line;
use crate::{BusError, Headers};

/// The oldest server that has what we use and none of the holes that 2.14.3 closed.
const FLOOR: (i64, i64, i64) = (2, 14, 3);

/// How to reach NATS. Empty text means "not used".
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BusConfig {
    /// One or several URLs, separated by commas.
    pub url: String,
    /// A `.creds` file.
    pub credentials_file: String,
    /// A file with an nkey seed.
    pub nkey_file: String,
    /// A user's name.
    pub user: String,
    /// A file with the user's password.
    pub password_file: String,
    /// A CA certificate; given, TLS is required.
    pub tls_ca_file: String,
    /// A client certificate.
    pub tls_cert_file: String,
    /// The client certificate's key.
    pub tls_key_file: String,
    /// Prefix of inboxes, where the server's permissions ask for one.
    pub inbox_prefix: String,
    /// Publishes in atomic batches: for a server that writes to the disk before it acknowledges.
    pub batches: bool,
    /// How long an acknowledgement or an answer may take.
    pub timeout_ms: u64,
}

impl Default for BusConfig {
    fn default() -> Self {
        Self {
            url: "nats://127.0.0.1:4222".into(),
            credentials_file: String::new(),
            nkey_file: String::new(),
            user: String::new(),
            password_file: String::new(),
            tls_ca_file: String::new(),
            tls_cert_file: String::new(),
            tls_key_file: String::new(),
            inbox_prefix: String::new(),
            batches: false,
            timeout_ms: 5_000,
        }
    }
}

/// A connection to NATS. Clones share it.
#[derive(Clone)]
pub struct Bus {
    /// Shared: a copy of a client or of a context counts ten references, and every message in hand has one.
    pub(crate) client: Arc<Client>,
    pub(crate) js: Arc<jetstream::Context>,
    connected: watch::Receiver<u64>,
    url: Arc<str>,
    pub(crate) batches: Option<Arc<Batches>>,
}

impl Bus {
    /// Connects; tries again for `patience` where the server is not there yet.
    ///
    /// # Errors
    /// [`BusError::Connect`] after `patience`, [`BusError::Credentials`] and [`BusError::Server`] at once.
    pub async fn connect(config: &BusConfig, name: &str, patience: Duration) -> Result<Self, BusError> {
        let give_up = tokio::time::Instant::now() + patience;
        let timeout = Duration::from_millis(config.timeout_ms);
        let mut told = String::new();
        loop {
            let (generation, connected) = watch::channel(0u64);
            let attempt = options(config, name, generation)?.connect(servers(&config.url)).await;
            match attempt {
                Ok(client) => {
                    check_server(&client, &config.url)?;
                    let js = jetstream::context::ContextBuilder::new()
                        .timeout(timeout)
                        .ack_timeout(timeout)
                        .max_ack_inflight(20_000)
                        .build(client.clone());
                    return Ok(Self {
                        client: Arc::new(client),
                        js: Arc::new(js),
                        connected,
                        url: config.url.as_str().into(),
                        batches: config.batches.then(Arc::default),
                    });
                }
                Err(e) if tokio::time::Instant::now() >= give_up => {
                    return Err(BusError::Connect { url: config.url.clone(), reason: e.to_string() });
                }
                Err(e) => {
                    let reason = e.to_string();
                    if reason != told {
                        tracing::info!(url = %config.url, "NATS is not there yet: {reason}");
                        told = reason;
                    }
                    tokio::time::sleep(Duration::from_millis(250)).await;
                }
            }
        }
    }

    /// Counts connections: it changes when the client has connected again, and what was asked before is lost.
    pub fn reconnects(&self) -> watch::Receiver<u64> {
        self.connected.clone()
    }

    /// Whether the connection stands now.
    pub fn is_connected(&self) -> bool {
        self.client.connection_state() == async_nats::connection::State::Connected
    }

    /// Where it is connected to, as configured.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The largest message that the server takes, in bytes.
    pub fn max_payload(&self) -> usize {
        self.client.max_payload()
    }

    /// Publishes over core NATS: nobody stores it, nobody acknowledges it.
    ///
    /// # Errors
    /// Only where the client is closed or the message too large.
    pub async fn tell(&self, subject: String, headers: Headers, body: Bytes) -> Result<(), BusError> {
        self.client
            .publish_with_headers(subject.clone(), headers.0, body)
            .await
            .map_err(|e| BusError::NotStored { subject, reason: e.to_string() })
    }

    /// Listens on core NATS until the stream is dropped: subject, headers and body of each message.
    ///
    /// # Errors
    /// Where the client is closed or the subject is malformed.
    pub async fn listen(
        &self,
        subject: String,
    ) -> Result<impl futures::Stream<Item = (String, Headers, Bytes)> + Send + use<>, BusError> {
        let subscriber =
            self.client.subscribe(subject.clone()).await.map_err(|e| BusError::js(subject, e))?;
        Ok(subscriber.map(|m| (m.subject.to_string(), Headers(m.headers.unwrap_or_default()), m.payload)))
    }

    /// Waits until all that was handed to the client is on the wire.
    ///
    /// # Errors
    /// Where the connection is gone, or does not take it in time. The client itself would wait until it is back.
    pub async fn flush(&self) -> Result<(), BusError> {
        if !self.is_connected() {
            return Err(BusError::js("flush", "there is no connection"));
        }
        let flushed = tokio::time::timeout(self.js.timeout(), self.client.flush()).await;
        let flushed = flushed.map_err(|_| BusError::js("flush", "the server does not answer"))?;
        flushed.map_err(|e| BusError::js("flush", e))
    }
}

fn servers(urls: &str) -> Vec<String> {
    urls.split(',').map(|url| url.trim().to_owned()).collect()
}

fn read(path: &str) -> Result<String, BusError> {
    std::fs::read_to_string(path)
        .map(|text| text.trim().to_owned())
        .map_err(|e| BusError::Credentials(format!("{path} cannot be read: {e}")))
}

fn options(
    config: &BusConfig,
    name: &str,
    generation: watch::Sender<u64>,
) -> Result<ConnectOptions, BusError> {
    let line = Arc::new(Line::new(generation));
    let mut options = ConnectOptions::new()
        .name(name)
        .connection_timeout(Duration::from_secs(2))
        .request_timeout(Some(Duration::from_millis(config.timeout_ms)))
        .client_capacity(8192)
        .subscription_capacity(65_536)
        .reconnect_delay_callback(reconnect_delay)
        .event_callback(move |event| {
            let line = Arc::clone(&line);
            async move { line.hear(&event) }
        });
    if !config.inbox_prefix.is_empty() {
        options = options.custom_inbox_prefix(&config.inbox_prefix);
    }
    if !config.credentials_file.is_empty() {
        options = options
            .credentials(&read(&config.credentials_file)?)
            .map_err(|e| BusError::Credentials(format!("{}: {e}", config.credentials_file)))?;
    }
    if !config.nkey_file.is_empty() {
        options = options.nkey(read(&config.nkey_file)?);
    }
    if !config.user.is_empty() {
        options = options.user_and_password(config.user.clone(), read(&config.password_file)?);
    }
    if !config.tls_ca_file.is_empty() {
        // The client reads these files itself, but does not say which one it could not read.
        read(&config.tls_ca_file)?;
        options = options.require_tls(true).add_root_certificates(PathBuf::from(&config.tls_ca_file));
    }
    if !config.tls_cert_file.is_empty() {
        read(&config.tls_cert_file)?;
        read(&config.tls_key_file)?;
        options =
            options.add_client_certificate((&config.tls_cert_file).into(), (&config.tls_key_file).into());
    }
    Ok(options)
}

/// The client's own delay grows to 4 s; a worker that waits that long after a restart of the server is late.
fn reconnect_delay(attempts: usize) -> Duration {
    Duration::from_millis(u64::try_from(attempts).unwrap_or(10).min(10) * 50)
}

fn check_server(client: &Client, url: &str) -> Result<(), BusError> {
    let info = client.server_info();
    if !client.is_server_compatible(FLOOR.0, FLOOR.1, FLOOR.2) {
        return Err(BusError::Server(format!(
            "the NATS server at {url} is {}; at least {}.{}.{} is needed",
            info.version, FLOOR.0, FLOOR.1, FLOOR.2
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let missing = "/nowhere/at/all.pem".to_owned();
        let with = |set: fn(&mut BusConfig, String)| {
            let mut config = BusConfig::default();
            set(&mut config, missing.clone());
            options(&config, "test", watch::channel(0).0)
        };
        for refused in [
            with(|config, path| config.tls_ca_file = path),
            with(|config, path| config.tls_cert_file = path),
            with(|config, path| config.nkey_file = path),
            with(|config, path| config.credentials_file = path),
        ] {
            let Err(BusError::Credentials(text)) = refused else { panic!("{refused:?}") };
            assert!(text.starts_with(&missing), "{text}");
        }
        assert!(options(&BusConfig::default(), "test", watch::channel(0).0).is_ok());
    }
}
