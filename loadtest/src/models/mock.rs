//! The provider of the measurements: a small fast one on a thread of its own. What it says that it served is what the
//! proxy's books are held against.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Deserialize;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use super::wire::Wire;
use crate::error::LoadError;

/// Tokens that every call reads, by its account.
pub const INPUT: u64 = 12;
/// Pieces of a stream.
pub const PIECES: u32 = 20;
/// The answer's text.
const TEXT: &str = "A Fresnel lens is a thin lens made of concentric rings, each of which bends light as the same part of a thick \
                    lens would; lighthouses use it to throw a strong beam with little glass.";

/// What a request says that matters here. What begins with `mock_` is between the load test and this provider, and passes
/// through the proxies like any field that they do not know.
#[derive(Deserialize)]
struct Asked {
    #[serde(default)]
    stream: bool,
    user: Option<String>,
    #[serde(default)]
    max_completion_tokens: u64,
    /// Between two pieces.
    #[serde(default)]
    mock_pause_ms: u64,
    /// Break off after so many pieces.
    mock_break_after: Option<u32>,
    /// How many tokens the answer has, of those it may have.
    mock_output: Option<u64>,
}

/// What was served to one asker by one way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Served {
    /// Calls.
    pub calls: u64,
    /// Tokens of output; input is [`INPUT`] each.
    pub output: u64,
}

/// What the provider has done.
#[derive(Debug, Clone, Default)]
pub struct Log {
    /// Calls that came.
    pub calls: u64,
    /// By the path's first part, and the asker (the request's `user`).
    pub served: BTreeMap<(String, String), Served>,
    /// Streams that are being sent.
    pub open: u64,
    /// Streams that were broken off, as they were asked to be.
    pub broken: u64,
    /// Streams whose other end went away.
    pub left: u64,
}

/// A provider that runs until it is dropped.
pub struct Mock {
    address: SocketAddr,
    log: Arc<Mutex<Log>>,
    _stop: oneshot::Sender<()>,
}

impl Mock {
    /// Starts one.
    ///
    /// # Errors
    /// Where no port or thread can be had.
    pub fn start() -> Result<Self, LoadError> {
        let io = || LoadError::io("start the provider");
        let listener = std::net::TcpListener::bind("127.0.0.1:0").map_err(io())?;
        listener.set_nonblocking(true).map_err(io())?;
        let address = listener.local_addr().map_err(io())?;
        let log = Arc::<Mutex<Log>>::default();
        let (stop, stopped) = oneshot::channel();
        let shared = Arc::clone(&log);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(io())?;
        let serve = move || {
            runtime.block_on(async move {
                tokio::select! {
                    ended = listen(listener, shared) => if let Err(e) = ended { eprintln!("the provider ended: {e}") },
                    // The sender is dropped, never used.
                    _ = stopped => {}
                }
            });
        };
        std::thread::Builder::new().name("provider".to_owned()).spawn(serve).map_err(io())?;
        Ok(Self { address, log, _stop: stop })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it has done so far.
    pub fn log(&self) -> Log {
        lock(&self.log).clone()
    }
}

fn lock(log: &Mutex<Log>) -> MutexGuard<'_, Log> {
    log.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn listen(listener: std::net::TcpListener, log: Arc<Mutex<Log>>) -> std::io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    loop {
        let (stream, _) = listener.accept().await?;
        let log = Arc::clone(&log);
        // A connection that breaks is the other end's affair: what was served is noted before it is sent.
        tokio::spawn(async move { drop(serve(stream, &log).await) });
    }
}

async fn serve(stream: TcpStream, log: &Mutex<Log>) -> std::io::Result<()> {
    let mut wire = Wire::new(stream)?;
    let mut body = Vec::new();
    while let Some(head) = wire.head().await? {
        body.clear();
        wire.body(&head, |piece| body.extend_from_slice(piece)).await?;
        let Ok(asked) = serde_json::from_slice::<Asked>(&body) else {
            wire.send(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n").await?;
            continue;
        };
        let output = asked.mock_output.unwrap_or(40).min(asked.max_completion_tokens.max(1));
        {
            let mut log = lock(log);
            log.calls += 1;
            if let Some(user) = &asked.user {
                let way = head.path().split('/').nth(1).unwrap_or_default().to_owned();
                let served = log.served.entry((way, user.clone())).or_default();
                served.calls += 1;
                served.output += output;
            }
        }
        if !asked.stream {
            wire.send(&whole(output)).await?;
        } else if !stream_out(&mut wire, &asked, output, log).await? {
            return Ok(());
        }
    }
    Ok(())
}

/// False where it broke off, as it was asked to.
async fn stream_out(wire: &mut Wire, asked: &Asked, output: u64, log: &Mutex<Log>) -> std::io::Result<bool> {
    lock(log).open += 1;
    let sent = pieces(wire, asked, output).await;
    let mut log = lock(log);
    log.open -= 1;
    match &sent {
        Ok(true) => {}
        Ok(false) => log.broken += 1,
        Err(_) => log.left += 1,
    }
    sent
}

async fn pieces(wire: &mut Wire, asked: &Asked, output: u64) -> std::io::Result<bool> {
    let mut packet =
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
    for n in 0..PIECES {
        if asked.mock_break_after == Some(n) {
            return Ok(false);
        }
        let piece = format!(
            "data: {{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"bench\",\"choices\":[{{\
             \"index\":0,\"delta\":{{\"content\":\"word {n} \"}},\"finish_reason\":null}}],\"usage\":null}}\n\n"
        );
        chunk(&mut packet, &piece);
        wire.send(&packet).await?;
        packet.clear();
        if asked.mock_pause_ms > 0 {
            tokio::time::sleep(Duration::from_millis(asked.mock_pause_ms)).await;
        }
    }
    let finish = "data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"bench\",\"choices\":[{\
                  \"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}],\"usage\":null}\n\n";
    chunk(&mut packet, finish);
    let usage = format!(
        "data: {{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"bench\",\"choices\":[],\
         \"usage\":{}}}\n\n",
        usage(output)
    );
    chunk(&mut packet, &usage);
    chunk(&mut packet, "data: [DONE]\n\n");
    packet.extend_from_slice(b"0\r\n\r\n");
    wire.send(&packet).await?;
    Ok(true)
}

fn chunk(packet: &mut Vec<u8>, text: &str) {
    packet.extend_from_slice(format!("{:x}\r\n{text}\r\n", text.len()).as_bytes());
}

fn usage(output: u64) -> String {
    format!(
        "{{\"prompt_tokens\":{INPUT},\"completion_tokens\":{output},\"total_tokens\":{}}}",
        INPUT + output
    )
}

fn whole(output: u64) -> Vec<u8> {
    let body = format!(
        "{{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion\",\"created\":1,\"model\":\"bench\",\"choices\":[{{\"index\":0,\
         \"message\":{{\"role\":\"assistant\",\"content\":\"{TEXT}\",\"refusal\":null}},\"logprobs\":null,\"finish_reason\":\"stop\"}}],\
         \"usage\":{}}}",
        usage(output)
    );
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}
