//! Who asks: a connection that is used again and again, as the official clients do.

use std::io::{ErrorKind, Result};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::net::TcpStream;

use super::proxy::MODEL;
use super::wire::{Head, Wire};

/// No call of a measurement takes longer, or something is stuck.
const PATIENCE: Duration = Duration::from_secs(60);

/// A request, ready to be sent.
#[derive(Clone)]
pub struct Request {
    bytes: Vec<u8>,
    /// Where the question's number stands.
    number: Option<usize>,
}

/// A number's place, as long as the longest one.
const NUMBER: &str = "00000000000000000000";

impl Request {
    /// A chat call with this body.
    pub fn chat(key: &str, body: &serde_json::Value) -> Self {
        Self::to("/v1/chat/completions", key, body)
    }

    /// A question with a system's message before it; `more` are further fields. [`Request::ask_anew`] makes it another one,
    /// so that nobody answers, or counts, by what was asked before.
    pub fn question(key: &str, more: serde_json::Value) -> Self {
        let mut body = json!({"model": MODEL, "max_completion_tokens": 100,
            "messages": [{"role": "system", "content": "You answer in one sentence."},
                         {"role": "user", "content": format!("{NUMBER} What is a Fresnel lens, and where is it used?")}]});
        if let (Some(body), serde_json::Value::Object(more)) = (body.as_object_mut(), more) {
            body.extend(more);
        }
        Self::chat(key, &body)
    }

    /// Puts another number before the question.
    pub fn ask_anew(&mut self, number: u64) {
        if let Some(at) = self.number {
            let digits = format!("{number:020}");
            self.bytes[at..at + digits.len()].copy_from_slice(digits.as_bytes());
        }
    }

    /// A call without a key.
    pub fn post(path: &str, body: &serde_json::Value) -> Self {
        Self::to(path, "none", body)
    }

    /// A call of this path.
    fn to(path: &str, key: &str, body: &serde_json::Value) -> Self {
        let body = body.to_string();
        let text = format!(
            "POST {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {key}\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n{body}",
            body.len()
        );
        Self { number: text.find(NUMBER), bytes: text.into_bytes() }
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

    /// Sends and waits for the head of the answer. A connection that was closed while it lay idle is replaced, as every
    /// client does: servers close what nobody uses.
    async fn ask(&mut self, request: &Request) -> Result<(Wire, Head, Instant)> {
        if let Some(mut wire) = self.wire.take() {
            let begun = Instant::now();
            if wire.send(&request.bytes).await.is_ok()
                && let Ok(Some(head)) = wire.head().await
            {
                return Ok((wire, head, begun));
            }
        }
        let mut wire = Wire::new(TcpStream::connect(self.address).await?)?;
        let begun = Instant::now();
        wire.send(&request.bytes).await?;
        let head = wire.head().await?.ok_or(ErrorKind::ConnectionAborted)?;
        Ok((wire, head, begun))
    }

    /// Calls and reads the whole answer.
    ///
    /// # Errors
    /// Where there is none, or half of one.
    pub async fn call(&mut self, request: &Request) -> Result<Answer> {
        let call = async {
            let (mut wire, head, begun) = self.ask(request).await?;
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
            let (mut wire, head, _) = self.ask(request).await?;
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
