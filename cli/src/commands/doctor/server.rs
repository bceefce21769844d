//! Looking at the NATS server by JetStream's own requests, which answer with more than a service ever needs to know.
//! Names: <https://docs.nats.io/reference/reference-protocols/nats_api_reference>.

use std::time::{Duration, Instant};

use bytes::Bytes;
use serde_json::Value;
use tasklane_runtime::bus::{Bus, BusError, Headers};
use tasklane_runtime::contract::streams::{self, ConsumerDef, Policy};
use tasklane_runtime::contract::time;
use tasklane_runtime::domain::priority;

use super::judge::{self, Finding};
use crate::api::Lanes;
use crate::format::{ms, without_secrets};

/// What makes streams, consumers and buckets.
const MADE_BY: &str = "the router makes them when it starts: start it, or start it again";

/// What stops it half-way.
const BEGUN: &str = "the router began to make them and could not go on: its log says why. Often the store is too small for \
                     the results that are kept (`streams.results_mb`, 4096 as it comes): raise jetstream.max_file_store";

async fn ask(bus: &Bus, request: &str, timeout: Duration) -> Result<Value, BusError> {
    let subject = format!("$JS.API.{request}");
    let (_, answer) = bus.ask(&subject, Headers::new(), Bytes::new(), timeout).await?;
    let answer: Value = serde_json::from_slice(&answer)
        .map_err(|e| BusError::NoAnswer { subject: subject.clone(), reason: e.to_string() })?;
    match answer["error"]["description"].as_str() {
        Some(text) => Err(BusError::JetStream { what: subject, reason: text.to_owned() }),
        None => Ok(answer),
    }
}

/// The server, JetStream, streams, buckets, the router's consumer and the clock.
pub async fn look(bus: &Bus, timeout: Duration) -> Vec<Finding> {
    let asked = Instant::now();
    let account = ask(bus, "INFO", timeout).await;
    let rtt_ms = asked.elapsed().as_secs_f64() * 1000.0;
    if let Err(e) = account {
        let remedy =
            "start the server with JetStream: `nats-server -c config/nats-server.conf`, or `nats-server -js`";
        return vec![
            Finding::ok("nats", format!("{} is connected", without_secrets(bus.url()))),
            Finding::fail("jetstream", e.to_string(), remedy),
        ];
    }
    let mut findings = Vec::new();
    let (mut drift, mut missing, mut version) = (Vec::new(), Vec::new(), None);
    for def in streams::streams(&Policy::default()) {
        let (sent_at, sent_us) = (Instant::now(), time::now_us());
        match ask(bus, &format!("STREAM.INFO.{}", def.name), timeout).await {
            Ok(info) => {
                drift.extend(judge::stream_drift(&def, &info["config"]));
                version =
                    version.or_else(|| info["config"]["metadata"]["_nats.ver"].as_str().map(str::to_owned));
                if findings.is_empty() {
                    findings.extend(clock(&info, sent_us, sent_at.elapsed()));
                }
            }
            Err(_) => missing.push(def.name.to_owned()),
        }
    }
    missing.extend(missing_buckets(bus, timeout).await);
    match router_consumer(bus, timeout).await {
        Ok(found) => drift.extend(found),
        Err(_) => missing.push(format!("consumer {}", streams::ROUTER_CONSUMER)),
    }
    findings.insert(0, Finding::ok("nats", connected(bus, version.as_deref(), rtt_ms)));
    findings.insert(1, Finding::ok("jetstream", "on"));
    findings.push(provisioned(&missing, &drift));
    findings
}

fn connected(bus: &Bus, version: Option<&str>, rtt_ms: f64) -> String {
    // The connection itself refuses a server that is too old.
    let version = version.map_or("new enough".to_owned(), |v| format!("version {v}"));
    format!("{} answers in {}, {version}", without_secrets(bus.url()), ms(rtt_ms))
}

fn provisioned(missing: &[String], drift: &[String]) -> Finding {
    if !missing.is_empty() {
        // The first stream is there and the rest is not: somebody began and was stopped.
        let begun = !missing.iter().any(|name| name == streams::TASKS);
        let remedy = if begun { BEGUN } else { MADE_BY };
        return Finding::fail("streams", format!("missing: {}", missing.join(", ")), remedy);
    }
    if !drift.is_empty() {
        let remedy = "the router of this version sets them right when it starts; what cannot be changed (retention) must be removed first";
        return Finding::fail("streams", drift.join("; "), remedy);
    }
    Finding::ok("streams", "streams, buckets and the router's consumer are as defined")
}

async fn missing_buckets(bus: &Bus, timeout: Duration) -> Vec<String> {
    let policy = Policy::default();
    let keys = streams::buckets(&policy).into_iter().map(|def| format!("KV_{}", def.name));
    let objects = streams::object_stores(&policy).into_iter().map(|def| format!("OBJ_{}", def.name));
    let mut missing = Vec::new();
    for name in keys.chain(objects) {
        if ask(bus, &format!("STREAM.INFO.{name}"), timeout).await.is_err() {
            missing.push(format!("bucket {}", &name[name.find('_').map_or(0, |at| at + 1)..]));
        }
    }
    missing
}

async fn router_consumer(bus: &Bus, timeout: Duration) -> Result<Vec<String>, BusError> {
    consumer(bus, &streams::router_consumer(&Policy::default()), timeout).await
}

async fn consumer(bus: &Bus, def: &ConsumerDef, timeout: Duration) -> Result<Vec<String>, BusError> {
    let info = ask(bus, &format!("CONSUMER.INFO.{}.{}", def.stream, def.name), timeout).await?;
    Ok(judge::consumer_drift(def, &info["config"]))
}

/// The consumers of every pool's lanes.
pub async fn lane_consumers(bus: &Bus, timeout: Duration, lanes: &Lanes) -> Option<Finding> {
    let (mut wrong, mut right) = (Vec::new(), 0);
    for lane in &lanes.lanes {
        for level in priority::ALL {
            let def = streams::lane_consumer(&lane.pool, level, &Policy::default());
            match consumer(bus, &def, timeout).await {
                Ok(drift) if drift.is_empty() => right += 1,
                Ok(drift) => wrong.extend(drift),
                Err(_) => wrong.push(format!("{} is missing", def.name)),
            }
        }
    }
    match (wrong.is_empty(), right) {
        (true, 0) => None,
        (true, n) => Some(Finding::ok("lanes", format!("{n} consumers are as defined"))),
        (false, _) => Some(Finding::fail("lanes", wrong.join("; "), MADE_BY)),
    }
}

/// Compares the server's time in an answer with the middle of the question's way.
fn clock(info: &Value, sent_us: i64, way: Duration) -> Option<Finding> {
    let server_us = time::parse_rfc3339(info["ts"].as_str()?).ok()?;
    let rtt_ms = way.as_secs_f64() * 1000.0;
    let skew_ms = (server_us - sent_us) as f64 / 1000.0 - rtt_ms / 2.0;
    Some(judge::clock(skew_ms, rtt_ms))
}
