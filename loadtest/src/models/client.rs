//! Who asks: a connection that is used again and again, as the official clients do.

use std::io::{ErrorKind, Result};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::net::TcpStream;

use super::wire::Wire;

/// No call of a measurement takes longer, or something is stuck.
const PATIENCE: Duration = Duration::from_secs(60);

/// A request, ready to be sent.
#[derive(Clone)]
pub struct Request {
    bytes: Vec<u8>,
}

impl Request {
    /// A chat call with this body.
    pub fn chat(key: &str, body: &serde_json::Value) -> Self {
        Self::to("/v1/chat/completions", key, body)
    }

    /// A call of this path.
    pub fn to(path: &str, key: &str, body: &serde_json::Value) -> Self {
        let body = body.to_string();
        let text = format!(
            "POST {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {key}\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n{body}",
            body.len()
        );
        Self { bytes: text.into_bytes() }
    }
}

/// What came back.
#[derive(Debug, Clone, Copy)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// Until the head and the first piece of the body were there.
    pub first: Duration,
    /// Until all of it was there.
    pub whole: Duration,
    /// Whether the body names no error: a stream that broke ends with one.
    pub clean: bool,
    /// Whether it says that a budget is spent.
    pub is_budget: bool,
}

/// A client with one connection.
pub struct Client {
    address: SocketAddr,
    wire: Option<Wire>,
}

impl Client {
    /// A client; it connects when it first calls.
    pub fn of(address: SocketAddr) -> Self {
        Self { address, wire: None }
    }

    /// Aims at another server.
    pub fn aim(&mut self, address: SocketAddr) {
        if self.address != address {
            *self = Self::of(address);
        }
    }

    async fn wire(&mut self) -> Result<Wire> {
        match self.wire.take() {
            Some(wire) => Ok(wire),
            None => Wire::new(TcpStream::connect(self.address).await?),
        }
    }

    /// Calls and reads the whole answer.
    ///
    /// # Errors
    /// Where there is none, or half of one.
    pub async fn call(&mut self, request: &Request) -> Result<Answer> {
        let call = async {
            let mut wire = self.wire().await?;
            let begun = Instant::now();
            wire.send(&request.bytes).await?;
            let head = wire.head().await?.ok_or(ErrorKind::ConnectionAborted)?;
            let (mut first, mut clean, mut is_budget) = (None, true, false);
            wire.body(&head, |piece| {
                first.get_or_insert_with(|| begun.elapsed());
                clean &= !contains(piece, b"\"error\":");
                is_budget |= head.status() == 429 && contains(piece, b"insufficient_quota");
            })
            .await?;
            let whole = begun.elapsed();
            self.wire = Some(wire);
            Ok(Answer { status: head.status(), first: first.unwrap_or(whole), whole, clean, is_budget })
        };
        tokio::time::timeout(PATIENCE, call).await.map_err(|_| ErrorKind::TimedOut)?
    }

    /// Calls, waits for so many pieces, and goes away.
    ///
    /// # Errors
    /// Where fewer come.
    pub async fn leave_after(&mut self, request: &Request, pieces: u32) -> Result<()> {
        let call = async {
            let mut wire = self.wire().await?;
            wire.send(&request.bytes).await?;
            let head = wire.head().await?.ok_or(ErrorKind::ConnectionAborted)?;
            if head.status() != 200 {
                return Err(std::io::Error::other(head.first));
            }
            for _ in 0..pieces {
                if !wire.skip_chunk().await? {
                    return Err(ErrorKind::UnexpectedEof.into());
                }
            }
            Ok(())
        };
        tokio::time::timeout(PATIENCE, call).await.map_err(|_| ErrorKind::TimedOut)?
    }
}

fn contains(bytes: &[u8], what: &[u8]) -> bool {
    bytes.windows(what.len()).any(|part| part == what)
}
