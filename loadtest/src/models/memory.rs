//! Resident memory of the proxy over many calls and streams that break off, half of them at the provider's end and half
//! at the client's. And nothing of a broken stream is left behind: the provider is told when its client has gone.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::json;

use super::client::{Client, Request};
use super::latency::Way;
use super::mock::{Log, Mock};
use crate::error::LoadError;
use crate::memory::{FLAT_KIB, SAMPLES, WARM, slope};
use crate::process;
use crate::report::{Bar, line};

/// Streams at once.
const STREAMS: usize = 32;
/// How long the provider may go on with a stream that nobody reads.
const SETTLED: Duration = Duration::from_secs(20);

/// What was measured.
#[derive(Debug, Serialize)]
pub struct Memory {
    /// Calls answered whole.
    pub calls: usize,
    /// Streams that the provider broke off.
    pub broken: u64,
    /// Streams whose client went away, and which the provider was not left to finish.
    pub left: u64,
    /// Resident KiB of the proxy, sample by sample.
    pub resident_kib: Vec<u64>,
    /// Growth in KiB over the whole measurement, by a line through the samples after warming up.
    pub growth_kib: f64,
}

/// Measures.
///
/// # Errors
/// Where a call fails, or a stream ends as it must not.
pub async fn measure(
    way: &Way,
    pid: u32,
    mock: &Mock,
    (calls, streams, connections): (usize, usize, usize),
) -> Result<Memory, LoadError> {
    let (calls_each, streams_each) = (calls.div_ceil(SAMPLES), streams.div_ceil(2 * SAMPLES));
    let mut resident = Vec::with_capacity(SAMPLES);
    for n in 0..SAMPLES {
        whole(way, calls_each, connections).await?;
        broken(way, streams_each).await?;
        let kib = process::resident_kib(pid).ok_or_else(|| LoadError::Stack("the proxy ended".into()))?;
        eprintln!(
            "  {:>9} calls {:>7} broken streams   {kib} KiB",
            (n + 1) * calls_each,
            (n + 1) * 2 * streams_each
        );
        resident.push(kib);
    }
    let log = settled(mock).await?;
    let expected = (streams_each * SAMPLES) as u64;
    if log.broken != expected || log.left != expected {
        return Err(LoadError::Wrong(format!(
            "of {expected} streams each, the provider broke off {} and {} were stopped when their client left",
            log.broken, log.left
        )));
    }
    let growth_kib = slope(&resident) * SAMPLES as f64;
    Ok(Memory {
        calls: calls_each * SAMPLES,
        broken: log.broken,
        left: log.left,
        resident_kib: resident,
        growth_kib,
    })
}

async fn settled(mock: &Mock) -> Result<Log, LoadError> {
    let begun = Instant::now();
    loop {
        let log = mock.log();
        if log.open == 0 {
            return Ok(log);
        }
        if begun.elapsed() > SETTLED {
            return Err(LoadError::Wrong(format!("{} streams go on though nobody reads them", log.open)));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn whole(way: &Way, calls: usize, connections: usize) -> Result<(), LoadError> {
    let request = Request::question(&way.key, json!({}));
    let asked = AtomicU64::new(rand::random());
    each(
        calls,
        connections,
        move |client| {
            let mut request = request.clone();
            request.ask_anew(asked.fetch_add(1, Ordering::Relaxed));
            Box::pin(async move {
                let answer = client.call(&request).await?;
                if answer.status == 200 {
                    Ok(())
                } else {
                    Err(std::io::Error::other(answer.status.to_string()))
                }
            })
        },
        way,
    )
    .await
}

/// So many streams that the provider breaks off, and as many whose client goes away.
async fn broken(way: &Way, streams: usize) -> Result<(), LoadError> {
    let cut = Request::question(&way.key, json!({"stream": true, "mock_break_after": 3}));
    let endless = Request::question(&way.key, json!({"stream": true, "mock_pause_ms": 50}));
    let turn = Arc::new(AtomicUsize::new(0));
    each(
        2 * streams,
        STREAMS,
        move |client| {
            let breaks = turn.fetch_add(1, Ordering::Relaxed).is_multiple_of(2);
            let (cut, endless) = (cut.clone(), endless.clone());
            Box::pin(async move {
                if !breaks {
                    return client.leave_after(&endless, 2).await;
                }
                // It says so in an event of its own, or breaks off like the provider.
                match client.call(&cut).await {
                    Ok(answer) if answer.clean => {
                        Err(std::io::Error::other("a cut stream ended as if it were whole"))
                    }
                    _ => Ok(()),
                }
            })
        },
        way,
    )
    .await
}

type Called<'a> = futures::future::BoxFuture<'a, std::io::Result<()>>;

/// Does something so many times on so many connections.
async fn each<F>(times: usize, connections: usize, act: F, way: &Way) -> Result<(), LoadError>
where
    F: for<'a> Fn(&'a mut Client) -> Called<'a> + Send + Sync + 'static,
{
    let (act, left, address) = (Arc::new(act), Arc::new(AtomicUsize::new(times)), way.address);
    let callers: Vec<_> = (0..connections)
        .map(|_| {
            let (act, left) = (Arc::clone(&act), Arc::clone(&left));
            tokio::spawn(async move {
                let mut client = Client::of(address);
                let next =
                    || left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1)).is_ok();
                while next() {
                    act(&mut client).await?;
                }
                Ok::<(), std::io::Error>(())
            })
        })
        .collect();
    for caller in callers {
        let ended = caller.await.map_err(|e| LoadError::Stack(e.to_string()))?;
        ended.map_err(LoadError::io("a call of the memory measurement"))?;
    }
    Ok(())
}

impl Memory {
    /// The bar.
    pub fn bar(&self) -> Bar {
        Bar {
            promise: "memory of the openai-proxy: flat",
            measured: format!("{:+.0} KiB over the measurement", self.growth_kib),
            met: self.growth_kib < FLAT_KIB,
        }
    }

    /// For people.
    pub fn table(&self) -> String {
        let at = |n: usize| self.resident_kib.get(n).copied().unwrap_or_default();
        let mut out = String::new();
        line(
            &mut out,
            &format!(
                "memory of the openai-proxy: {} calls, {} streams broken off by the provider, {} by the client",
                self.calls, self.broken, self.left
            ),
        );
        let (last, growth) = (at(self.resident_kib.len().saturating_sub(1)), self.growth_kib);
        line(
            &mut out,
            &format!("  KiB: first {}  warm {}  last {last}  growth {growth:+.0}", at(0), at(WARM)),
        );
        out
    }
}
