//! What the proxy adds to a call. Calls of all ways take turns by the clock, so that what else the machine does falls on
//! all of them; a call is sent when it is due, whatever has become of those before.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;
use serde_json::json;
use tokio::time::Instant;

use super::client::{Client, Request};
use super::mock::PIECES;
use crate::error::LoadError;
use crate::report::{Bar, line};

/// Calls before those that count.
const WARM_UP: Duration = Duration::from_secs(1);
/// Between two pieces of a stream.
const PAUSE_MS: u64 = 2;
/// Streams a second, of each way.
const STREAMS: u32 = 25;
/// Bars.
const P50_US: f64 = 150.0;
const P99_US: f64 = 1_000.0;
/// A step of 40 ms would be the mark of packets that wait for an acknowledgement.
const STEP_MS: f64 = 40.0;

/// A way to the provider.
#[derive(Clone)]
pub struct Way {
    /// Its name.
    pub name: &'static str,
    /// Where clients call.
    pub address: SocketAddr,
    /// Their key.
    pub key: String,
}

/// Latencies in milliseconds.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Spread {
    /// Half are shorter.
    pub p50_ms: f64,
    /// Nine in ten are shorter.
    pub p90_ms: f64,
    /// Ninety-nine in a hundred are shorter.
    pub p99_ms: f64,
    /// The longest.
    pub max_ms: f64,
}

/// What one way came to.
#[derive(Debug, Serialize)]
pub struct Timed {
    /// The way.
    pub way: &'static str,
    /// Calls measured.
    pub calls: usize,
    /// Until the whole answer was there.
    pub whole: Spread,
    /// Streams until their first piece was there.
    pub first: Spread,
    /// Streams until all of it was there.
    pub stream: Spread,
    /// What it adds to a call, in microseconds: each call less the direct one after it; of these the median and the
    /// 99th percentile.
    pub added_us: [f64; 2],
    /// The difference of the two ways' percentiles, in microseconds: median and 99th.
    pub apart_us: [f64; 2],
}

/// What was measured.
#[derive(Debug, Serialize)]
pub struct Latency {
    /// Calls a second, of each way.
    pub rate: u32,
    /// By way; the first goes straight to the provider.
    pub ways: Vec<Timed>,
    /// The same with cores that are kept awake.
    pub awake: Option<Vec<Timed>>,
    /// Spans that were recorded meanwhile.
    pub spans: usize,
}

/// One call: how long until the first piece, and until the end.
type Took = (Duration, Duration);

/// Sends calls of all ways in turns for a while. The result is in the order of sending, by way.
async fn paced(ways: &[Way], stream: bool, rate: u32, length: Duration) -> Result<Vec<Vec<Took>>, LoadError> {
    let calls = (f64::from(rate) * length.as_secs_f64()).ceil() as usize;
    let more = json!({"stream": stream, "mock_pause_ms": PAUSE_MS});
    let mut requests: Vec<Request> =
        ways.iter().map(|way| Request::question(&way.key, more.clone())).collect();
    let idle: Vec<Arc<Mutex<Vec<Client>>>> = ways.iter().map(|_| Arc::default()).collect();
    let every = Duration::from_secs(1).div_f64(f64::from(rate) * ways.len() as f64);
    let begun = Instant::now();
    let mut running = Vec::with_capacity(calls * ways.len());
    for n in 0..calls * ways.len() {
        tokio::time::sleep_until(begun + every.mul_f64(n as f64)).await;
        let way = n % ways.len();
        requests[way].ask_anew(n as u64);
        let (idle, request, address) = (Arc::clone(&idle[way]), requests[way].clone(), ways[way].address);
        running.push(tokio::spawn(async move {
            let free = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let mut client = free.unwrap_or_else(|| Client::of(address));
            let answer = client.call(&request).await?;
            idle.lock().unwrap_or_else(PoisonError::into_inner).push(client);
            Ok::<_, std::io::Error>(answer)
        }));
    }
    let mut took: Vec<Vec<Took>> = ways.iter().map(|_| Vec::with_capacity(calls)).collect();
    for (n, call) in running.into_iter().enumerate() {
        let name = ways[n % ways.len()].name;
        let answer = call.await.map_err(|e| LoadError::Stack(e.to_string()))?;
        let answer = answer.map_err(LoadError::io(format!("a call by {name}")))?;
        if answer.status != 200 || !answer.clean {
            return Err(LoadError::Wrong(format!("{name}: a call ended with status {}", answer.status)));
        }
        took[n % ways.len()].push((answer.first, answer.whole));
    }
    Ok(took)
}

/// Measures; the first way must be the direct one.
///
/// # Errors
/// Where a call fails.
pub async fn measure(ways: &[Way], rate: u32, length: Duration) -> Result<Vec<Timed>, LoadError> {
    let streams = STREAMS.min(rate);
    for (stream, rate) in [(false, rate), (true, streams)] {
        paced(ways, stream, rate, WARM_UP.min(length)).await?;
    }
    let whole = paced(ways, false, rate, length).await?;
    let pieces = paced(ways, true, streams, length).await?;
    let direct = &whole[0];
    let timed = ways.iter().zip(&whole).zip(&pieces).map(|((way, calls), streams)| {
        let all = spread(calls.iter().map(|call| call.1));
        let straight = spread(direct.iter().map(|call| call.1));
        let mut added: Vec<f64> =
            calls.iter().zip(direct).map(|(call, direct)| us(call.1) - us(direct.1)).collect();
        added.sort_by(f64::total_cmp);
        Timed {
            way: way.name,
            calls: calls.len(),
            whole: all,
            first: spread(streams.iter().map(|call| call.0)),
            stream: spread(streams.iter().map(|call| call.1)),
            added_us: [at(&added, 0.5), at(&added, 0.99)],
            apart_us: [(all.p50_ms - straight.p50_ms) * 1e3, (all.p99_ms - straight.p99_ms) * 1e3],
        }
    });
    Ok(timed.collect())
}

fn us(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

fn spread(durations: impl Iterator<Item = Duration>) -> Spread {
    let mut ms: Vec<f64> = durations.map(|duration| us(duration) / 1e3).collect();
    ms.sort_by(f64::total_cmp);
    Spread { p50_ms: at(&ms, 0.5), p90_ms: at(&ms, 0.9), p99_ms: at(&ms, 0.99), max_ms: at(&ms, 1.0) }
}

/// The value below which this part of the sorted values lies; 0 of nothing.
fn at(sorted: &[f64], part: f64) -> f64 {
    let n = (part * sorted.len() as f64).ceil() as usize;
    sorted.get(n.saturating_sub(1)).copied().unwrap_or(0.0)
}

impl Latency {
    /// The bars; other rates than 100/s are not promised.
    pub fn bars(&self) -> Vec<Bar> {
        let asleep = bars(
            &self.ways,
            [
                "model calls at 100/s: p50 of what is added below 150 us",
                "model calls at 100/s: p99 of what is added below 1 ms",
                "streams: no step of 40 ms, to the first piece or later",
            ],
        );
        let awake = self.awake.iter().flat_map(|ways| {
            bars(
                ways,
                [
                    "the same, cores kept awake: p50 below 150 us",
                    "the same, cores kept awake: p99 below 1 ms",
                    "streams, cores kept awake: no step of 40 ms",
                ],
            )
        });
        asleep.into_iter().chain(awake).filter(|_| self.rate == 100).collect()
    }

    /// For people.
    pub fn table(&self) -> String {
        let mut out = String::new();
        let (rate, spans) = (self.rate, self.spans);
        line(&mut out, &format!("model calls: {rate}/s of each way in turns, ms; {spans} spans recorded"));
        table(&mut out, &self.ways);
        if let Some(ways) = &self.awake {
            line(&mut out, "the same with cores that are kept awake");
            table(&mut out, ways);
        }
        out
    }
}

fn bars(ways: &[Timed], [half, most, steps]: [&'static str; 3]) -> Vec<Bar> {
    let (Some(direct), Some(ours)) = (ways.first(), ways.get(1)) else { return Vec::new() };
    let [p50, p99] = ours.added_us;
    let later = ours.first.max_ms - direct.first.max_ms;
    let longer = ours.stream.p99_ms - direct.stream.p99_ms;
    vec![
        Bar { promise: half, measured: format!("{p50:.0} us"), met: p50 < P50_US },
        Bar {
            promise: most,
            measured: format!("{p99:.0} us ({:.0} us between the two p99)", ours.apart_us[1]),
            met: p99 < P99_US,
        },
        Bar {
            promise: steps,
            measured: format!("first piece p99 {:.1} ms, max {later:+.1} ms", ours.first.p99_ms),
            met: later < STEP_MS && longer < STEP_MS,
        },
    ]
}

fn table(out: &mut String, ways: &[Timed]) {
    line(out, "  way                 p50      p90      p99      max   added us: p50      p99");
    for way in ways {
        let Spread { p50_ms, p90_ms, p99_ms, max_ms } = way.whole;
        let row = [p50_ms, p90_ms, p99_ms, max_ms].map(|ms| format!("{ms:>9.3}")).concat();
        line(out, &format!("  {:<14}{row}{:>16.0}{:>9.0}", way.way, way.added_us[0], way.added_us[1]));
    }
    line(
        out,
        &format!(
            "  streams of {PIECES} pieces, {PAUSE_MS} ms between two: first piece p50, p99, max; whole p50, p99"
        ),
    );
    for way in ways {
        let values =
            [way.first.p50_ms, way.first.p99_ms, way.first.max_ms, way.stream.p50_ms, way.stream.p99_ms];
        line(out, &format!("  {:<14}{}", way.way, values.map(|ms| format!("{ms:>9.3}")).concat()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_sorted_values() {
        let values: Vec<f64> = (1..=100).map(f64::from).collect();
        assert_eq!((at(&values, 0.5), at(&values, 0.99), at(&values, 1.0)), (50.0, 99.0, 100.0));
        assert_eq!((at(&[], 0.5), at(&[7.0], 0.01)), (0.0, 7.0));
    }
}
