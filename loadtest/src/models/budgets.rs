//! Tenants spend their budgets on three replicas that are killed and started again. What the provider says that it served
//! is the truth; the books are held against it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rand::Rng as _;
use serde::Serialize;
use serde_json::json;

use super::books::{self, Balance};
use super::client::{Client, Request};
use super::crew::{Crew, Fleet, REPLICAS, pick};
use super::mock::{INPUT, Mock};
use super::proxy::{MODEL, NANO_USD_PER_TOKEN, Setting, Tenant};
use crate::error::LoadError;
use crate::report::{Bar, line};
use crate::stack::Stack;

/// Clients of a tenant, all at once.
const CLIENTS: usize = 4;
/// A tenant's budget; at a thousandth of a dollar a token this is some hundreds of calls.
const USD: u64 = 20;
/// The longest answer that is asked for.
const OUTPUT: u64 = 20;
/// No estimate is larger: the longest answer, and a request counted with its JSON.
const MOST_ESTIMATE: u64 = (OUTPUT + 60) * NANO_USD_PER_TOKEN;
/// Longer than a tenant's minute counts.
const MINUTE: Duration = Duration::from_secs(63);
/// No tenant is busy for longer.
const END: Duration = Duration::from_secs(600);

/// What was measured.
#[derive(Debug, Serialize)]
pub struct Budgets {
    /// Tenants.
    pub tenants: usize,
    /// Replicas that were killed.
    pub kills: usize,
    /// Calls that the provider served.
    pub calls: u64,
    /// Seconds until all budgets were spent.
    pub seconds: f64,
    /// What the provider served of a budget, the most of all tenants; 1 is all of it.
    pub most_served: f64,
    /// The least.
    pub least_served: f64,
    /// On average.
    pub mean_served: f64,
    /// What the books charged of a budget, on average.
    pub mean_charged: f64,
    /// Tenants who were served more than their budget and one estimate.
    pub exceeded: usize,
    /// Tenants whose books say less than they were served.
    pub undercharged: usize,
    /// Tenants whose closed rows do not fit what was served. A replica closes a row when all its calls are settled: with no
    /// row left open they say exactly what was served; else not more than that, and not less than the living served.
    pub inexact: usize,
    /// Rows that replicas left open; each killed one leaves one for each tenant at most.
    pub left_open: usize,
    /// Rows left open that hold more than they may.
    pub stuck: usize,
    /// Tenants with requests or tokens charged a minute after the last call.
    pub stuck_minute: usize,
}

/// Measures.
///
/// # Errors
/// Where something does not start, or tenants never come to an end.
pub async fn measure(
    stack: &Stack,
    mock: &Mock,
    setting: Setting<'_>,
    kills: usize,
    quick: bool,
) -> Result<Budgets, LoadError> {
    let begun = Instant::now();
    let fleet = Fleet::default();
    let mut crew = Crew::start(setting, Arc::clone(&fleet)).await?;
    let clients: Vec<_> = setting
        .tenants
        .iter()
        .flat_map(|tenant| std::iter::repeat_n(tenant, CLIENTS))
        .map(|tenant| tokio::spawn(spend(tenant.clone(), Arc::clone(&fleet))))
        .collect();
    let over = Arc::new(AtomicBool::new(false));
    let watcher = tokio::spawn({
        let over = Arc::clone(&over);
        async move {
            for client in clients {
                client.await.map_err(|e| LoadError::Stack(e.to_string()))??;
            }
            over.store(true, Ordering::Relaxed);
            Ok::<(), LoadError>(())
        }
    });
    let pause = if quick { 300..600 } else { 1_000..4_000 };
    for _ in 0..kills {
        tokio::time::sleep(Duration::from_millis(rand::rng().random_range(pause.clone()))).await;
        if over.load(Ordering::Relaxed) {
            break;
        }
        crew.kill().await?;
    }
    let ended = tokio::time::timeout(END, watcher).await;
    ended
        .map_err(|_| LoadError::Wrong(format!("some tenants still spend after {END:?}")))?
        .map_err(|e| LoadError::Stack(e.to_string()))??;
    let seconds = begun.elapsed().as_secs_f64();
    let killed = crew.end().await?;
    if !quick {
        tokio::time::sleep(MINUTE).await;
    }
    let bus = stack.connect("loadtest-books").await?;
    let names: Vec<&str> = setting.tenants.iter().map(|tenant| tenant.name.as_str()).collect();
    let balances = books::read(&bus, &names).await?;
    Ok(judge(&setting, mock, &balances, &killed, seconds, quick))
}

/// Calls until its budget is spent, that is, until not even the smallest call is let through.
async fn spend(tenant: Tenant, fleet: Fleet) -> Result<(), LoadError> {
    let (mut client, mut most) = (None::<Client>, OUTPUT);
    loop {
        let (longest, output) = {
            let mut rng = rand::rng();
            let longest = rng.random_range(1..=most);
            (longest, rng.random_range(1..=longest))
        };
        let body = json!({"model": MODEL, "user": tenant.name, "max_completion_tokens": longest, "mock_output": output,
            "messages": [{"role": "user", "content": "Where is a Fresnel lens used?"}]});
        let Some(address) = pick(&fleet) else {
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        let caller = client.get_or_insert_with(|| Client::of(address));
        caller.aim(address);
        match caller.call(&Request::chat(&tenant.key(), &body)).await {
            // Killed under us, or before we called.
            Err(_) => client = None,
            Ok(answer) => match answer.status {
                200 => {}
                429 if answer.is_budget && longest == 1 => return Ok(()),
                429 if answer.is_budget => most = (longest - 1).max(1),
                429 => tokio::time::sleep(Duration::from_millis(200)).await,
                // The ledger's bucket is contended, or the replica is about to end.
                503 => tokio::time::sleep(Duration::from_millis(20)).await,
                status => {
                    return Err(LoadError::Wrong(format!("a call of {} got status {status}", tenant.name)));
                }
            },
        }
    }
}

fn judge(
    setting: &Setting<'_>,
    mock: &Mock,
    balances: &BTreeMap<String, Balance>,
    killed: &[String],
    seconds: f64,
    quick: bool,
) -> Budgets {
    let log = mock.log();
    let mut found = Budgets {
        tenants: setting.tenants.len(),
        kills: killed.len(),
        calls: log.calls,
        seconds,
        most_served: 0.0,
        least_served: f64::INFINITY,
        mean_served: 0.0,
        mean_charged: 0.0,
        exceeded: 0,
        undercharged: 0,
        inexact: 0,
        left_open: 0,
        stuck: 0,
        stuck_minute: 0,
    };
    for tenant in setting.tenants {
        let budget = tenant.usd * 1_000_000_000;
        let (mut served, mut by_living) = (0, 0);
        for ((way, _), s) in log.served.iter().filter(|((_, user), _)| *user == tenant.name) {
            let cost = (s.calls * INPUT + s.output) * NANO_USD_PER_TOKEN;
            served += cost;
            by_living += if killed.contains(way) { 0 } else { cost };
        }
        let balance = balances.get(&tenant.name).cloned().unwrap_or_default();
        let charged = balance.closed + balance.open.iter().sum::<u64>();
        let (part, share) = (served as f64 / budget as f64, charged as f64 / budget as f64);
        found.most_served = found.most_served.max(part);
        found.least_served = found.least_served.min(part);
        found.mean_served += part / setting.tenants.len() as f64;
        found.mean_charged += share / setting.tenants.len() as f64;
        found.exceeded += usize::from(served > budget + MOST_ESTIMATE);
        found.undercharged += usize::from(charged < served);
        let fits = if balance.open.is_empty() {
            balance.closed == served
        } else {
            (by_living..=served).contains(&balance.closed)
        };
        found.inexact += usize::from(!fits);
        found.left_open += balance.open.len();
        found.stuck += balance.open.len().saturating_sub(killed.len()) + usize::from(charged > budget);
        found.stuck_minute += usize::from(!quick && balance.in_minute > 0);
    }
    found
}

/// Tenants for this measurement: half of them limited by requests, half by tokens a minute, so that these run out too. In a
/// quick run they do not, for nobody waits for the next minute.
pub fn tenants(count: usize, quick: bool) -> Vec<Tenant> {
    let tenant = |n: usize| Tenant {
        name: format!("t{n}"),
        usd: USD,
        requests_per_minute: if n.is_multiple_of(2) && !quick { 600 } else { 1_000_000 },
        tokens_per_minute: if n.is_multiple_of(2) || quick { 1_000_000_000 } else { 20_000 },
    };
    (0..count).map(tenant).collect()
}

impl Budgets {
    /// The bars.
    pub fn bars(&self) -> Vec<Bar> {
        let over = (self.most_served - 1.0).max(0.0) * 100.0;
        vec![
            Bar {
                promise: "budgets on killed replicas: none exceeded by an estimate",
                measured: format!("{} of {}, at most {over:.2}% over", self.exceeded, self.tenants),
                met: self.exceeded == 0 && self.undercharged == 0,
            },
            Bar {
                promise: "budgets on killed replicas: no reservation stays stuck",
                measured: format!("{} inexact, {} stuck", self.inexact, self.stuck + self.stuck_minute),
                met: self.inexact == 0 && self.stuck == 0 && self.stuck_minute == 0,
            },
        ]
    }

    /// For people.
    pub fn table(&self) -> String {
        let mut out = String::new();
        let percent = |part: f64| format!("{:.2}%", part * 100.0);
        line(
            &mut out,
            &format!(
                "budgets: {} tenants of {USD} USD, {REPLICAS} replicas, {} killed; {} calls in {:.0} s",
                self.tenants, self.kills, self.calls, self.seconds
            ),
        );
        line(
            &mut out,
            &format!(
                "  of a budget: served {} on average, {} at least, {} at most; charged {}",
                percent(self.mean_served),
                percent(self.least_served),
                percent(self.most_served),
                percent(self.mean_charged)
            ),
        );
        line(
            &mut out,
            &format!(
                "  exceeded {}  undercharged {}  inexact {}  rows left open {}  stuck {}  stuck after a minute {}",
                self.exceeded, self.undercharged, self.inexact, self.left_open, self.stuck, self.stuck_minute
            ),
        );
        out
    }
}
