//! What goes over the pipes between the service and a parsing child.
//!
//! A request is a header (JSON, its length before it) and the document's bytes (their length before them); an answer
//! is one JSON value. Lengths are 64-bit little-endian and bounded by the reader.

use std::io::{self, Read, Write};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::error::DocError;
use crate::job::Job;
use crate::limits::Limits;

/// Largest header a child reads, in bytes.
const MAX_HEADER: u64 = 64 << 10;

/// What comes before a document.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Header {
    /// What to do with the document.
    pub job: Job,
    /// The bounds to keep.
    pub limits: Limits,
    /// CPU time the child may spend on it, in seconds.
    pub cpu_seconds: u64,
}

/// What a child spent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// CPU time on this document, user and system, in microseconds.
    pub cpu_us: u64,
    /// Largest resident memory of the child so far, in KiB.
    pub peak_rss_kb: u64,
}

/// What a child answers.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Report {
    /// The job's answer as JSON, or why there is none.
    pub result: Result<Box<RawValue>, DocError>,
    /// What it cost.
    pub usage: Usage,
}

/// Reads one request; `None` at the end of input.
pub(super) fn read_request(input: &mut impl Read) -> io::Result<Option<(Header, Vec<u8>)>> {
    let mut length = [0; 8];
    match input.read_exact(&mut length) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    }
    let header = read_part(input, u64::from_le_bytes(length), MAX_HEADER)?;
    let header: Header = serde_json::from_slice(&header)?;
    input.read_exact(&mut length)?;
    let body = read_part(input, u64::from_le_bytes(length), header.limits.max_bytes)?;
    Ok(Some((header, body)))
}

fn read_part(input: &mut impl Read, length: u64, limit: u64) -> io::Result<Vec<u8>> {
    let mut part = vec![0; bounded(length, limit)?];
    input.read_exact(&mut part)?;
    Ok(part)
}

/// Writes one answer.
pub(super) fn write_report(output: &mut impl Write, report: &Report) -> io::Result<()> {
    let body = serde_json::to_vec(report)?;
    output.write_all(&(body.len() as u64).to_le_bytes())?;
    output.write_all(&body)?;
    output.flush()
}

/// Sends one request.
pub(super) async fn send_request(
    output: &mut (impl AsyncWriteExt + Unpin),
    header: &Header,
    body: &[u8],
) -> io::Result<()> {
    let header = serde_json::to_vec(header)?;
    output.write_all(&(header.len() as u64).to_le_bytes()).await?;
    output.write_all(&header).await?;
    output.write_all(&(body.len() as u64).to_le_bytes()).await?;
    output.write_all(body).await?;
    output.flush().await
}

/// Receives one answer of at most `limit` bytes.
pub(super) async fn receive_report(
    input: &mut (impl AsyncReadExt + Unpin),
    limit: u64,
) -> io::Result<Report> {
    let mut length = [0; 8];
    input.read_exact(&mut length).await?;
    let mut body = vec![0; bounded(u64::from_le_bytes(length), limit)?];
    input.read_exact(&mut body).await?;
    Ok(serde_json::from_slice(&body)?)
}

fn bounded(length: u64, limit: u64) -> io::Result<usize> {
    let fits = (length <= limit).then(|| usize::try_from(length).ok()).flatten();
    fits.ok_or_else(|| io::Error::other(format!("a frame of {length} bytes is over its limit of {limit}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_request_survives_the_pipe_and_an_oversized_one_is_refused() {
        let header = Header { job: Job::Read, limits: Limits::default(), cpu_seconds: 3 };
        let mut pipe = Vec::new();
        send_request(&mut pipe, &header, b"body").await.unwrap();
        let (_, body) = read_request(&mut pipe.as_slice()).unwrap().unwrap();
        assert_eq!(body, b"body");
        assert!(read_request(&mut [].as_slice()).unwrap().is_none());
        let mut small = header.clone();
        small.limits.max_bytes = 3;
        pipe.clear();
        send_request(&mut pipe, &small, b"body").await.unwrap();
        assert!(read_request(&mut pipe.as_slice()).unwrap_err().to_string().contains("limit of 3"));
    }
}
