//! Model calls a second on all cores of the machine: client, provider, NATS and proxy share them. Rounds alternate: straight
//! to the provider (what client and provider can do at most), through the proxy, through LiteLLM.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::json;

use super::client::{Client, Request};
use super::latency::Way;
use crate::error::LoadError;
use crate::process;
use crate::report::{Bar, cpu_text, line, median};

/// How many times LiteLLM's rate is promised.
const TIMES: f64 = 10.0;

/// What CPU time is asked of.
pub type Watched = (&'static str, u32);

/// One round.
#[derive(Debug, Clone, Serialize)]
pub struct Round {
    /// The way.
    pub way: &'static str,
    /// Calls answered a second.
    pub calls_per_s: f64,
    /// CPU time per call in microseconds, by process.
    pub cpu_us: BTreeMap<&'static str, f64>,
}

/// What was measured.
#[derive(Debug, Serialize)]
pub struct Throughput {
    /// Connections at once.
    pub connections: usize,
    /// Every round in its order.
    pub rounds: Vec<Round>,
    /// The median of each way.
    pub medians: Vec<Round>,
    /// The proxy's rate divided by LiteLLM's, the median of pairs of rounds.
    pub times_litellm: Option<f64>,
    /// What LiteLLM it was.
    pub litellm: Option<String>,
}

/// Calls for a while on so many connections. Returns the calls that were answered well.
///
/// # Errors
/// Where one was not.
pub async fn hammer(way: &Way, connections: usize, length: Duration) -> Result<u64, LoadError> {
    let until = Instant::now() + length;
    let callers = (0..connections).map(|n| {
        let (mut request, address) = (Request::question(&way.key, json!({})), way.address);
        tokio::spawn(async move {
            let (mut client, mut calls) = (Client::of(address), 0);
            while Instant::now() < until {
                request.ask_anew(n as u64 * 1_000_000_000 + calls);
                let answer = client.call(&request).await?;
                if answer.status != 200 {
                    return Err(std::io::Error::other(format!("status {}", answer.status)));
                }
                calls += 1;
            }
            Ok::<u64, std::io::Error>(calls)
        })
    });
    let callers: Vec<_> = callers.collect();
    let mut calls = 0;
    for caller in callers {
        let ended = caller.await.map_err(|e| LoadError::Stack(e.to_string()))?;
        calls += ended.map_err(LoadError::io(format!("a call by {}", way.name)))?;
    }
    Ok(calls)
}

/// Measures.
///
/// # Errors
/// Where a call fails.
pub async fn measure(
    ways: &[Way],
    watched: &[Watched],
    connections: usize,
    rounds: u32,
    length: Duration,
) -> Result<Throughput, LoadError> {
    for way in ways {
        hammer(way, connections, length / 5).await?;
    }
    let mut done = Vec::new();
    for n in 0..rounds as usize {
        for i in 0..ways.len() {
            let way = &ways[(n + i) % ways.len()];
            let (before, begun) = (cpu(watched), Instant::now());
            let calls = hammer(way, connections, length).await?;
            let (took, after) = (begun.elapsed(), cpu(watched));
            let per_call = |(name, after): (&&'static str, &Duration)| {
                let spent = after.saturating_sub(*before.get(name)?).as_secs_f64();
                (spent > 0.0).then(|| (*name, spent * 1e6 / calls.max(1) as f64))
            };
            let round = Round {
                way: way.name,
                calls_per_s: calls as f64 / took.as_secs_f64(),
                cpu_us: after.iter().filter_map(per_call).collect(),
            };
            eprintln!(
                "  {:<14} {:>7.0} calls/s   CPU us/call: {}",
                round.way,
                round.calls_per_s,
                cpu_text(&round.cpu_us)
            );
            done.push(round);
        }
    }
    let medians = ways.iter().map(|way| summarise(&done, way.name)).collect();
    let times_litellm = ways.iter().any(|way| way.name == LITELLM).then(|| {
        let of = |name| done.iter().filter(move |round| round.way == name);
        median(of(PROXY).zip(of(LITELLM)).map(|(ours, theirs)| ours.calls_per_s / theirs.calls_per_s))
    });
    Ok(Throughput { connections, rounds: done, medians, times_litellm, litellm: None })
}

/// The ways' names.
pub const DIRECT: &str = "direct";
/// Through the proxy.
pub const PROXY: &str = "proxy";
/// Through LiteLLM.
pub const LITELLM: &str = "litellm";

fn cpu(watched: &[Watched]) -> BTreeMap<&'static str, Duration> {
    // All others descend from this one.
    let of = |pid| if pid == std::process::id() { process::cpu(pid) } else { process::tree_cpu(pid) };
    watched.iter().filter_map(|(name, pid)| Some((*name, of(*pid)?))).collect()
}

fn summarise(rounds: &[Round], way: &'static str) -> Round {
    let of = || rounds.iter().filter(|round| round.way == way);
    let names = of().flat_map(|round| round.cpu_us.keys().copied());
    let cpu = |name| (name, median(of().map(|round| round.cpu_us.get(name).copied().unwrap_or(0.0))));
    Round { way, calls_per_s: median(of().map(|round| round.calls_per_s)), cpu_us: names.map(cpu).collect() }
}

impl Throughput {
    /// The bar; none without LiteLLM.
    pub fn bar(&self) -> Option<Bar> {
        let times = self.times_litellm?;
        Some(Bar {
            promise: "model calls: at least 10 times LiteLLM's rate",
            measured: format!("{times:.1} times"),
            met: times >= TIMES,
        })
    }

    /// For people.
    pub fn table(&self) -> String {
        let mut out = String::new();
        line(&mut out, &format!("model calls: {} connections", self.connections));
        line(&mut out, "  way              calls/s   CPU us/call");
        for way in &self.medians {
            line(
                &mut out,
                &format!("  {:<14} {:>9.0}   {}", way.way, way.calls_per_s, cpu_text(&way.cpu_us)),
            );
        }
        if let (Some(version), Some(times)) = (&self.litellm, self.times_litellm) {
            line(&mut out, &format!("  {times:.1} times LiteLLM {version}"));
        }
        out
    }
}
