//! Model calls through the openai-proxy: what it adds to one, how many it can do beside LiteLLM, what it holds in memory,
//! and whether its budgets hold when replicas die. Client and provider are ours, small, and on a thread each.

mod books;
mod budgets;
pub mod client;
mod crew;
mod latency;
mod litellm;
mod memory;
mod mock;
mod proxy;
mod throughput;
mod wire;

use serde::Serialize;
use tasklane_testkit::otlp::OtlpReceiver;

use self::budgets::Budgets;
use self::latency::{Latency, Way};
use self::litellm::Litellm;
use self::memory::Memory;
use self::mock::Mock;
use self::proxy::{Proxy, Setting, Tenant};
use self::throughput::{DIRECT, LITELLM, PROXY, Throughput};
use crate::args::{Args, What};
use crate::awake::Awake;
use crate::error::LoadError;
use crate::report::Bar;
use crate::stack::{Programs, Stack};

/// The share of traces that is recorded where the rate is measured, as with tasks.
const SAMPLED: f64 = 0.01;

/// Everything that was measured of model calls.
#[derive(Debug, Default, Serialize)]
pub struct Models {
    /// What is added to a call.
    pub latency: Option<Latency>,
    /// Calls a second.
    pub throughput: Option<Throughput>,
    /// Memory over many calls.
    pub memory: Option<Memory>,
    /// Budgets on replicas that die.
    pub budgets: Option<Budgets>,
}

impl Models {
    /// The promises.
    pub fn bars(&self) -> Vec<Bar> {
        let latency = self.latency.iter().flat_map(Latency::bars);
        let throughput = self.throughput.iter().filter_map(Throughput::bar);
        let budgets = self.budgets.iter().flat_map(Budgets::bars);
        latency.chain(throughput).chain(self.memory.iter().map(Memory::bar)).chain(budgets).collect()
    }
}

/// Measures, on a thread of its own: a client that moves between threads would be measured too.
///
/// # Errors
/// Where a call fails that must not.
pub async fn measure(programs: &Programs, args: &Args) -> Result<Models, LoadError> {
    let (programs, args) = (programs.clone(), args.clone());
    let work = tokio::task::spawn_blocking(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.map_err(LoadError::io("start the client"))?.block_on(all(&programs, &args))
    });
    work.await.map_err(|e| LoadError::Stack(e.to_string()))?
}

async fn all(programs: &Programs, args: &Args) -> Result<Models, LoadError> {
    let stack = Stack::without_workers(programs).await?;
    let mut models = Models::default();
    let litellm = if args.wants(What::ModelLatency) || args.wants(What::ModelThroughput) {
        let mock = Mock::start()?;
        let litellm = Litellm::start(args, mock.address()).await?;
        models = beside_litellm(&stack, programs, args, &mock, litellm.as_ref()).await?;
        litellm
    } else {
        None
    };
    drop(litellm);
    if args.wants(What::ModelMemory) {
        let mock = Mock::start()?;
        let spans = receiver().await?;
        let tenants = [Tenant::rich()];
        let endpoint = spans.endpoint();
        let setting = Setting {
            programs,
            nats: stack.url(),
            upstream: mock.address(),
            spans: Some((&endpoint, SAMPLED)),
            tenants: &tenants,
        };
        let proxy = Proxy::start(setting, "memory").await?;
        let way = Way { name: PROXY, address: proxy.address, key: tenants[0].key() };
        let much = (args.model_calls, args.broken_streams, args.connections);
        let memory = memory::measure(&way, proxy.pid(), &mock, much).await?;
        println!("{}", memory.table());
        models.memory = Some(memory);
        proxy.stop().await?;
    }
    if args.wants(What::ModelBudgets) {
        let mock = Mock::start()?;
        let tenants = budgets::tenants(args.tenants, args.quick);
        let setting =
            Setting { programs, nats: stack.url(), upstream: mock.address(), spans: None, tenants: &tenants };
        let budgets = budgets::measure(&stack, &mock, setting, args.kills, args.quick).await?;
        println!("{}", budgets.table());
        models.budgets = Some(budgets);
    }
    stack.stop().await?;
    Ok(models)
}

async fn receiver() -> Result<OtlpReceiver, LoadError> {
    OtlpReceiver::start().await.map_err(LoadError::io("start the collector"))
}

async fn beside_litellm(
    stack: &Stack,
    programs: &Programs,
    args: &Args,
    mock: &Mock,
    litellm: Option<&Litellm>,
) -> Result<Models, LoadError> {
    let mut models = Models::default();
    let spans = receiver().await?;
    let endpoint = spans.endpoint();
    let tenants = [Tenant::rich()];
    let ways = |proxy: &Proxy| {
        let direct = Way { name: DIRECT, address: mock.address(), key: tenants[0].key() };
        let ours = Way { name: PROXY, address: proxy.address, key: tenants[0].key() };
        let theirs = litellm.map(|l| Way { name: LITELLM, address: l.address, key: litellm::KEY.to_owned() });
        [direct, ours].into_iter().chain(theirs).collect::<Vec<_>>()
    };
    let setting = |share| Setting {
        programs,
        nats: stack.url(),
        upstream: mock.address(),
        spans: Some((&endpoint, share)),
        tenants: &tenants,
    };
    let length = std::time::Duration::from_secs(args.seconds.max(1));
    if args.wants(What::ModelLatency) {
        let proxy = Proxy::start(setting(1.0), "latency").await?;
        let ways = ways(&proxy);
        let asleep = in_pairs(&ways, args.model_rate, length).await?;
        let awake = match Awake::keep()? {
            Some(_kept) => Some(in_pairs(&ways, args.model_rate, length).await?),
            None => None,
        };
        // Stopping sends what is left.
        proxy.stop().await?;
        let latency = Latency { rate: args.model_rate, ways: asleep, awake, spans: spans.spans().len() };
        println!("{}", latency.table());
        models.latency = Some(latency);
    }
    if args.wants(What::ModelThroughput) {
        let proxy = Proxy::start(setting(SAMPLED), "throughput").await?;
        let mut watched = vec![("proxy", proxy.pid()), ("loadtest", std::process::id())];
        watched.extend(litellm.map(|l| (LITELLM, l.pid())));
        watched.extend(stack.processes().into_iter().filter(|(name, _)| *name == "nats-server"));
        let each = args.latency_round();
        let mut rates =
            throughput::measure(&ways(&proxy), &watched, args.connections, args.rounds, each).await?;
        rates.litellm = litellm.map(|l| format!("{} ({} workers)", l.version, l.workers));
        println!("{}", rates.table());
        models.throughput = Some(rates);
        proxy.stop().await?;
    }
    Ok(models)
}

/// Each way beside the direct one alone: LiteLLM uses most of a core at a hundred calls a second, and what is measured
/// beside it would be measured on a busy machine.
async fn in_pairs(
    ways: &[Way],
    rate: u32,
    length: std::time::Duration,
) -> Result<Vec<latency::Timed>, LoadError> {
    let [direct, others @ ..] = ways else { return Ok(Vec::new()) };
    let mut timed = Vec::new();
    for other in others {
        let mut pair = latency::measure(&[direct.clone(), other.clone()], rate, length).await?;
        timed.extend(if timed.is_empty() { pair } else { pair.split_off(1) });
    }
    Ok(timed)
}
