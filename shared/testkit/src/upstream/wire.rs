//! HTTP/1.1 on a socket: requests are read whole, answers are written in whatever pieces.

use std::io;
use std::time::Duration;

use bytes::{Buf as _, Bytes, BytesMut};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

use super::log::End;

/// The largest head of a request, and the most that is read ahead while an answer is written.
const MAX_HEAD: usize = 64 * 1024;

/// The largest body: for tests, enough.
const MAX_BODY: usize = 256 * 1024 * 1024;

/// A request as it came.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) method: String,
    pub(super) path: String,
    /// Names in lower case.
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Bytes,
}

impl Request {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }
}

/// A connection. While an answer is written or delayed, the socket is read too, which is how a client that goes away is
/// noticed.
#[derive(Debug)]
pub(super) struct Connection {
    reader: OwnedReadHalf,
    writer: OwnedWriteHalf,
    buffer: BytesMut,
}

impl Connection {
    pub(super) fn new(stream: TcpStream) -> Self {
        let (reader, writer) = stream.into_split();
        Self { reader, writer, buffer: BytesMut::new() }
    }

    /// The next request; `None` when the client has no more.
    pub(super) async fn request(&mut self) -> io::Result<Option<Request>> {
        let Some(head) = self.head().await? else { return Ok(None) };
        let mut lines = head.split("\r\n");
        let mut first = lines.next().unwrap_or_default().split(' ');
        let (method, path) =
            (first.next().unwrap_or_default().to_owned(), first.next().unwrap_or_default().to_owned());
        let headers = lines.filter_map(|line| line.split_once(':'));
        let headers =
            headers.map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned())).collect();
        let mut request = Request { method, path, headers, body: Bytes::new() };
        if request.header("expect").is_some_and(|e| e.eq_ignore_ascii_case("100-continue")) {
            self.writer.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
        }
        if request.header("transfer-encoding").is_some_and(|t| t.eq_ignore_ascii_case("chunked")) {
            request.body = self.chunked().await?;
        } else if let Some(length) = request.header("content-length") {
            let length = length.parse().map_err(|_| bad("content-length"))?;
            request.body = self.take(length).await?;
        }
        Ok(Some(request))
    }

    /// Writes bytes of an answer.
    pub(super) async fn write(&mut self, bytes: &[u8]) -> Result<(), End> {
        tokio::select! {
            biased;
            written = self.writer.write_all(bytes) => written.map_err(|_| End::ClientGone),
            () = gone(&mut self.reader, &mut self.buffer) => Err(End::ClientGone),
        }
    }

    /// Waits, unless the client goes away.
    pub(super) async fn pause(&mut self, time: Duration) -> Result<(), End> {
        if time.is_zero() {
            return Ok(());
        }
        tokio::select! {
            () = tokio::time::sleep(time) => Ok(()),
            () = gone(&mut self.reader, &mut self.buffer) => Err(End::ClientGone),
        }
    }

    /// Says nothing until the client goes away.
    pub(super) async fn hang(&mut self) -> End {
        gone(&mut self.reader, &mut self.buffer).await;
        End::ClientGone
    }

    /// Reads some more.
    async fn more(&mut self) -> io::Result<()> {
        match self.reader.read_buf(&mut self.buffer).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }

    async fn head(&mut self) -> io::Result<Option<String>> {
        loop {
            if let Some(end) = find(&self.buffer, b"\r\n\r\n") {
                let head = self.buffer.split_to(end);
                self.buffer.advance(4);
                return Ok(Some(String::from_utf8_lossy(&head).into_owned()));
            }
            if self.buffer.len() > MAX_HEAD {
                return Err(bad("head"));
            }
            match self.more().await {
                Err(e) if e.kind() == io::ErrorKind::UnexpectedEof && self.buffer.is_empty() => {
                    return Ok(None);
                }
                other => other?,
            }
        }
    }

    async fn take(&mut self, length: usize) -> io::Result<Bytes> {
        if length > MAX_BODY {
            return Err(bad("length of the body"));
        }
        while self.buffer.len() < length {
            self.more().await?;
        }
        Ok(self.buffer.split_to(length).freeze())
    }

    async fn line(&mut self) -> io::Result<Bytes> {
        loop {
            if let Some(end) = find(&self.buffer, b"\r\n") {
                let line = self.buffer.split_to(end).freeze();
                self.buffer.advance(2);
                return Ok(line);
            }
            if self.buffer.len() > MAX_HEAD {
                return Err(bad("chunk"));
            }
            self.more().await?;
        }
    }

    async fn chunked(&mut self) -> io::Result<Bytes> {
        let mut body = BytesMut::new();
        loop {
            let line = self.line().await?;
            let digits = String::from_utf8_lossy(&line);
            let digits = digits.split(';').next().unwrap_or_default().trim();
            let length = usize::from_str_radix(digits, 16).map_err(|_| bad("length of a chunk"))?;
            if length == 0 {
                // Trailers, up to a blank line.
                while !self.line().await?.is_empty() {}
                return Ok(body.freeze());
            }
            if length > MAX_BODY - body.len() {
                return Err(bad("length of the body"));
            }
            body.extend_from_slice(&self.take(length).await?);
            self.line().await?;
        }
    }
}

/// Returns when the client has closed its side. What it sends meanwhile is its next request.
async fn gone(reader: &mut OwnedReadHalf, buffer: &mut BytesMut) {
    loop {
        if buffer.len() > MAX_HEAD {
            return std::future::pending().await;
        }
        match reader.read_buf(buffer).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
    }
}

/// Where `needle` begins.
pub(super) fn find(bytes: &[u8], needle: &[u8]) -> Option<usize> {
    bytes.windows(needle.len()).position(|window| window == needle)
}

fn bad(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the {what} of a request is wrong or too large"))
}
