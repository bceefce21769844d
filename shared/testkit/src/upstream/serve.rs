//! Takes connections and acts scripts out on them.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::api::{self, Content, Stream};
use super::log::{End, Recorded};
use super::script::{Ending, Reply, Script, Shape, Split};
use super::wire::{Connection, Request, find};
use super::{Shared, lock};

/// Serves until it is aborted, and with it all connections.
pub(super) async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(serve(stream, shared.clone()));
                }
                // Too many open files: others will be closed.
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve(stream: TcpStream, shared: Arc<Shared>) {
    // With Nagle's algorithm small chunks wait for delayed acknowledgements, 40 ms each.
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let mut connection = Connection::new(stream);
    while let Ok(Some(request)) = connection.request().await {
        let recorded = Recorded {
            number: 0,
            method: request.method.clone(),
            path: request.path.clone(),
            headers: request.headers.clone(),
            body: request.body.clone(),
            end: End::Pending,
        };
        let number = shared.log.add(recorded);
        let end = act(&mut connection, &shared, &request).await.err().unwrap_or(End::Answered);
        shared.log.end(number, end);
        if end != End::Answered
            || request.header("connection").is_some_and(|c| c.eq_ignore_ascii_case("close"))
        {
            return;
        }
    }
}

/// Answers one request. An error says why the connection is of no more use.
async fn act(connection: &mut Connection, shared: &Shared, request: &Request) -> Result<(), End> {
    let json: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    match shared.script(&request.method, json["model"].as_str()).resolved(&request.body) {
        // Resolved to what is played.
        Script::Cases(_) => Err(End::Broken),
        Script::HangBeforeHeaders => Err(connection.hang().await),
        Script::CloseBeforeHeaders => Err(End::Broken),
        Script::Raw(pieces) => {
            for (delay, bytes) in pieces {
                connection.pause(delay).await?;
                connection.write(&bytes).await?;
            }
            Err(End::Broken)
        }
        Script::Reply(reply) => whole(connection, "application/json", &reply, Ending::Done).await,
        Script::Ordinary(shape) => {
            connection.pause(shape.first_delay).await?;
            let content = api::answer(shared.id(), request, &json, &shape, &mut lock(&shared.shelf));
            match content {
                Content::Whole { status, kind, body } => {
                    let reply = Reply { status, headers: api::headers(), body };
                    whole(connection, kind, &reply, shape.ending).await
                }
                Content::Stream(events) => stream(connection, &events, &shape).await,
            }
        }
    }
}

async fn whole(connection: &mut Connection, kind: &str, reply: &Reply, ending: Ending) -> Result<(), End> {
    let length = format!("content-length: {}\r\n", reply.body.len());
    let mut bytes = head(reply.status, kind, &reply.headers, &length);
    let part = match ending {
        Ending::CloseAfter(_) | Ending::HangAfter(_) => reply.body.len() / 2,
        _ => reply.body.len(),
    };
    bytes.extend_from_slice(&reply.body[..part]);
    connection.write(&bytes).await?;
    match ending {
        Ending::CloseAfter(_) => Err(End::Broken),
        Ending::HangAfter(_) => Err(connection.hang().await),
        _ => Ok(()),
    }
}

async fn stream(connection: &mut Connection, stream: &Stream, shape: &Shape) -> Result<(), End> {
    let headers =
        head(200, "text/event-stream; charset=utf-8", &api::headers(), "transfer-encoding: chunked\r\n");
    connection.write(&headers).await?;
    let mut events: Vec<&Bytes> = stream.events.iter().collect();
    match shape.ending {
        Ending::Done => events.push(&stream.last),
        Ending::WithoutDone => {}
        Ending::ErrorAfter(count) => {
            events.truncate(count);
            events.push(&stream.error);
        }
        Ending::CloseAfter(count) | Ending::HangAfter(count) => events.truncate(count),
    }
    for (n, event) in events.into_iter().enumerate() {
        if n > 0 {
            connection.pause(shape.delay).await?;
        }
        if shape.comments {
            connection.write(&chunk(b": still there\n\n")).await?;
        }
        for piece in cut(event, shape.split) {
            connection.write(&chunk(piece)).await?;
        }
    }
    match shape.ending {
        Ending::CloseAfter(_) => Err(End::Broken),
        Ending::HangAfter(_) => Err(connection.hang().await),
        _ => connection.write(b"0\r\n\r\n").await,
    }
}

fn head(status: u16, kind: &str, headers: &[(&'static str, String)], framing: &str) -> Vec<u8> {
    let mut head = format!("HTTP/1.1 {status} Scripted\r\ncontent-type: {kind}\r\n{framing}");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    head.into_bytes()
}

fn chunk(bytes: &[u8]) -> Vec<u8> {
    let mut chunk = format!("{:x}\r\n", bytes.len()).into_bytes();
    chunk.extend_from_slice(bytes);
    chunk.extend_from_slice(b"\r\n");
    chunk
}

/// The pieces of an event, none of them empty: an empty chunk would end the answer.
fn cut(event: &[u8], split: Split) -> Vec<&[u8]> {
    let cuts: Vec<usize> = match split {
        Split::Events => Vec::new(),
        // After the first byte of a character that has more.
        Split::InsideUtf8 => (0..event.len()).filter(|&at| event[at] >= 0xc0).map(|at| at + 1).collect(),
        Split::InsideData => find(event, b"data:").map(|at| at + 2).into_iter().collect(),
        Split::Every(bytes) => (1..event.len()).filter(|at| at % bytes.max(1) == 0).collect(),
    };
    let (mut pieces, mut from) = (Vec::new(), 0);
    for to in cuts.into_iter().chain([event.len()]) {
        if from < to {
            pieces.push(&event[from..to]);
        }
        from = to;
    }
    pieces
}
