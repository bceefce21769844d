//! Model calls of tasks and HTTP clients, with keys, limits and budgets in one place.
//!
//! `api` (HTTP) and `tasks` (NATS) ask the `gateway`, which finds the candidates in the `catalog`, reserves what a call
//! may use in the `ledger` (`books`), asks one candidate after the other (`attempt`, `client`, `retry`, `breaker`), and settles what
//! was really used, for an answer in pieces (`stream`, `sse`) when it is over. What was used is also kept by tenant, model
//! and day (`sheets`); `inquiries` tells it to who asks over NATS.

pub mod answers;
pub mod api;
pub mod api_error;
pub mod assemble;
mod attempt;
pub mod body;
pub mod books;
pub mod breaker;
pub mod breakers;
pub mod cache;
pub mod catalog;
pub mod client;
pub mod config;
pub mod gateway;
pub mod inquiries;
pub mod jobs;
pub mod lanes;
pub mod ledger;
pub mod meters;
pub mod order;
pub mod pass;
pub mod recording;
pub mod retry;
pub mod settle;
pub mod sheets;
pub mod source;
pub mod sse;
pub mod stream;
pub mod tasks;
pub mod tokens;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use tasklane_runtime::bus::Bus;
use tasklane_runtime::telemetry::Metrics;
use tasklane_runtime::{Worker, process};

pub use config::ProxyConfig;

/// The service's name; also its pool where the operator names none.
const SERVICE: &str = "openai-proxy";
/// What it announces itself as.
const WORKER_TYPE: &str = "llm_proxy";
/// What it can do, and what its task types ask for.
const CAPABILITY: &str = "llm_remote";
/// A call waits for a provider and costs little here.
const SLOTS: u32 = 256;

/// Runs as a process until SIGTERM or SIGINT.
pub async fn main(config: ProxyConfig) -> ExitCode {
    let log = config.log.clone();
    process::main(SERVICE, &log, run(config)).await
}

async fn run(config: ProxyConfig) -> Result<(), String> {
    let prompts = jobs::prompts::Prompts::load(&config.prompts.folder)?;
    let source = source::Source::open(&config.providers.file)?;
    source.follow();
    let stop = process::stop_signal().map_err(|e| e.to_string())?;
    let connect = Bus::connect(&config.nats, "tasklane-openai-proxy", Duration::from_secs(60));
    let bus = tokio::select! {
        bus = connect => bus.map_err(|e| e.to_string())?,
        () = stop.cancelled() => return Ok(()),
    };
    let worker = Worker::new(SERVICE, WORKER_TYPE, &[CAPABILITY]).default_slots(SLOTS);
    let (gateway, books) = gateway(source, &bus, worker.metrics(), &config)?;
    let address = api::serve(Arc::clone(&gateway), config.api.clone()).await.map_err(|e| e.to_string())?;
    tracing::info!(api = %address, "serving /v1");
    let _inquiries = inquiries::serve(&bus, &gateway).await.map_err(|e| e.to_string())?;
    let (keeper, catalogs) = (Arc::clone(&books), Arc::clone(&gateway));
    let keeping = tokio::spawn(async move { keeper.keep(|| catalogs.catalog(), catalogs.meters()).await });
    let [chat, embed] = tasks::all(&gateway);
    let jobs = jobs::all(&gateway, prompts, &config.jobs);
    let worker = jobs.into_iter().fold(worker.task(chat).task(embed), Worker::task);
    let ended = worker.run(bus, config.worker, stop).await;
    keeping.abort();
    books.close().await;
    ended.map_err(|e| e.to_string())
}

fn gateway(
    source: source::Source,
    bus: &Bus,
    metrics: &Metrics,
    config: &ProxyConfig,
) -> Result<(Arc<gateway::Gateway>, Arc<books::Books>), String> {
    let replica = tasklane_runtime::contract::id::fresh();
    let books = Arc::new(books::Books::open(bus, &replica, config.usage.keep_days));
    let client = client::Client::new()?;
    let gateway = gateway::Gateway::new(source, client, Arc::clone(&books), bus, metrics, config);
    Ok((Arc::new(gateway), books))
}
