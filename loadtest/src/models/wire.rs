//! As much of HTTP/1.1 as a measurement needs, for both ends: what it does not do costs nothing, so that what is measured
//! is the proxy and not the load test.

use std::io::{Error, ErrorKind, Result};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// What one read may bring.
const READ: usize = 16 * 1024;
/// No head and no body of ours is longer.
const MOST: usize = 1 << 20;

/// A connection.
pub struct Wire {
    stream: TcpStream,
    buffer: Vec<u8>,
    /// What lies before it has been used.
    at: usize,
}

/// The head of a request or an answer.
pub struct Head {
    /// Its first line.
    pub first: String,
    /// How long the body is; none where it comes in chunks.
    length: Option<usize>,
}

impl Head {
    /// The status of an answer; 0 where there is none.
    pub fn status(&self) -> u16 {
        self.word(1).parse().unwrap_or(0)
    }

    /// The path of a request.
    pub fn path(&self) -> &str {
        self.word(1)
    }

    fn word(&self, n: usize) -> &str {
        self.first.split(' ').nth(n).unwrap_or_default()
    }
}

impl Wire {
    /// A connection that sends at once what it is given.
    ///
    /// # Errors
    /// Where the system refuses.
    pub fn new(stream: TcpStream) -> Result<Self> {
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::with_capacity(READ), at: 0 })
    }

    /// Sends.
    ///
    /// # Errors
    /// Where the other end has gone.
    pub async fn send(&mut self, bytes: &[u8]) -> Result<()> {
        self.stream.write_all(bytes).await
    }

    /// The next head; none where the other end has closed before it.
    ///
    /// # Errors
    /// Where the connection breaks, or it is no HTTP.
    pub async fn head(&mut self) -> Result<Option<Head>> {
        loop {
            if let Some(length) = find(self.rest(), b"\r\n\r\n") {
                let head = parse(&self.rest()[..length]);
                self.used(length + 4);
                return head.map(Some);
            }
            if !self.more().await? {
                return if self.rest().is_empty() { Ok(None) } else { Err(ErrorKind::UnexpectedEof.into()) };
            }
        }
    }

    /// The whole body that follows a head; `each` sees it piece by piece as it comes.
    ///
    /// # Errors
    /// Where it breaks off.
    pub async fn body(&mut self, head: &Head, mut each: impl FnMut(&[u8])) -> Result<()> {
        if let Some(length) = head.length {
            while self.rest().len() < length {
                self.must().await?;
            }
            each(&self.rest()[..length]);
            self.used(length);
            return Ok(());
        }
        loop {
            let piece = self.chunk().await?;
            if piece == 0 {
                return Ok(());
            }
            each(&self.rest()[..piece]);
            self.used(piece + 2);
        }
    }

    /// The length of the next chunk, which then lies whole at the front of the rest; 0 at the end.
    async fn chunk(&mut self) -> Result<usize> {
        loop {
            if let Some(line) = find(self.rest(), b"\r\n") {
                let digits = String::from_utf8_lossy(&self.rest()[..line]).into_owned();
                let length = usize::from_str_radix(digits.trim(), 16).ok().filter(|n| *n < MOST);
                let length = length.ok_or_else(|| wrong("the length of a chunk"))?;
                if self.rest().len() >= line + 2 + length + 2 {
                    self.used(line + 2 + if length == 0 { 2 } else { 0 });
                    return Ok(length);
                }
            }
            self.must().await?;
        }
    }

    /// Reads one chunk of a body in chunks and drops it; false at the end.
    ///
    /// # Errors
    /// Where it breaks off.
    pub async fn skip_chunk(&mut self) -> Result<bool> {
        let length = self.chunk().await?;
        if length > 0 {
            self.used(length + 2);
        }
        Ok(length > 0)
    }

    fn rest(&self) -> &[u8] {
        &self.buffer[self.at..]
    }

    fn used(&mut self, bytes: usize) {
        self.at += bytes;
        if self.at == self.buffer.len() {
            self.buffer.clear();
            self.at = 0;
        }
    }

    async fn must(&mut self) -> Result<()> {
        if self.more().await? { Ok(()) } else { Err(ErrorKind::UnexpectedEof.into()) }
    }

    async fn more(&mut self) -> Result<bool> {
        if self.rest().len() > MOST {
            return Err(wrong("more than a measurement sends"));
        }
        self.buffer.reserve(READ);
        Ok(self.stream.read_buf(&mut self.buffer).await? > 0)
    }
}

fn parse(head: &[u8]) -> Result<Head> {
    let text = std::str::from_utf8(head).map_err(|_| wrong("a head that is no text"))?;
    let mut lines = text.split("\r\n");
    let first = lines.next().unwrap_or_default().to_owned();
    let mut length = Some(0);
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        if name.eq_ignore_ascii_case("content-length") {
            length = Some(value.trim().parse().map_err(|_| wrong("a content-length"))?);
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            length = None;
        }
    }
    Ok(Head { first, length })
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

fn wrong(what: &str) -> Error {
    Error::new(ErrorKind::InvalidData, format!("not understood: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn said(parts: &'static [&'static [u8]]) -> Wire {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let speaker = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            for part in parts {
                stream.write_all(part).await.unwrap();
                tokio::task::yield_now().await;
            }
        });
        let wire = Wire::new(TcpStream::connect(address).await.unwrap()).unwrap();
        speaker.await.unwrap();
        wire
    }

    async fn body(wire: &mut Wire, head: &Head) -> Vec<u8> {
        let mut all = Vec::new();
        wire.body(head, |piece| all.extend_from_slice(piece)).await.unwrap();
        all
    }

    #[tokio::test]
    async fn bodies_of_both_kinds_are_read_across_packets() {
        let mut wire = said(&[
            b"HTTP/1.1 200 OK\r\nContent-Le",
            b"ngth: 5\r\n\r\nhel",
            b"loHTTP/1.1 429 No\r\ntransfer-encoding: chunked\r\n\r\n3\r\nab",
            b"c\r\nA\r\n0123456789\r\n0\r\n\r\n",
        ])
        .await;
        let head = wire.head().await.unwrap().unwrap();
        assert_eq!((head.status(), body(&mut wire, &head).await.as_slice()), (200, b"hello".as_slice()));
        let head = wire.head().await.unwrap().unwrap();
        assert_eq!((head.status(), body(&mut wire, &head).await.len()), (429, 13));
        assert!(wire.head().await.unwrap().is_none());
    }

    #[tokio::test]
    async fn a_body_that_breaks_off_is_an_error() {
        let mut wire =
            said(&[b"POST /v1/x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n5\r\nhe"]).await;
        let head = wire.head().await.unwrap().unwrap();
        assert_eq!(head.path(), "/v1/x");
        assert!(wire.skip_chunk().await.unwrap());
        assert!(wire.skip_chunk().await.is_err());
    }
}
