//! The way of a call: who may make it, who could answer it, whether there is room, and what to do when one fails. Tasks
//! and HTTP clients come in here alike.

use std::sync::Arc;
use std::time::Duration;

use reqwest::Response;
use tasklane_runtime::bus::Bus;
use tasklane_runtime::telemetry::{Metrics, TraceContext};
use tokio::time::Instant;

use crate::answers::{Answered, Whole};
use crate::api_error::ApiError;
use crate::body::Body;
use crate::books::{Books, Whose, now_ms};
use crate::breaker::Outcome;
use crate::breakers::Breakers;
use crate::cache::{Cache, FromCache, Key, Wish};
use crate::catalog::{Catalog, Model, Tenant, WhenSpent};
use crate::client::Client;
use crate::config::{ProxyConfig, RecordingConfig};
use crate::ledger::{Amounts, BookError, What};
use crate::meters::{self, Meters};
use crate::order::{candidates, cheaper};
use crate::pass::{self, Passing};
use crate::retry::{self, Bounds, Next};
use crate::settle::Held;
use crate::source::Source;
use crate::stream;
use crate::tokens::{self, Estimate};

/// How often one candidate is asked.
const ATTEMPTS: u32 = 3;
/// For how long an HTTP client waits for a provider to be asked again.
const LONGEST_WAIT: Duration = Duration::from_secs(20);
/// For how long a task does, which can wait in a schedule instead.
const SHORT_WAIT: Duration = Duration::from_secs(2);

/// What somebody asks for.
pub struct Ask {
    /// The request.
    pub body: Body,
    /// Whose it is.
    pub tenant: String,
    /// The trace it belongs to.
    pub trace: Option<TraceContext>,
    /// How long it may take altogether.
    pub patience: Duration,
    /// Whether whoever asked waits here: for a limit, or for a provider to be back. Others come again.
    pub waits: bool,
    /// What it wishes of the cache.
    pub cache: Wish,
    /// What its answer is kept for alone, where it is not for everybody who asks the same.
    pub within: Option<String>,
}

/// Makes calls.
pub struct Gateway {
    source: Source,
    books: Arc<Books>,
    breakers: Arc<Breakers>,
    pub(crate) client: Client,
    pub(crate) meters: Meters,
    pub(crate) cache: Cache,
    pub(crate) recording: RecordingConfig,
    pub(crate) most: usize,
}

/// What one candidate came to.
enum Tried {
    Answered(Answered),
    /// Somebody else may do it; this is the answer where nobody does.
    Next(Result<Whole, ApiError>),
    /// The tenant has not the money for this one; a cheaper one may still fit.
    TooDear(ApiError),
    Final(ApiError),
}

/// A request with what was found for it.
struct Asking<'a> {
    catalog: &'a Arc<Catalog>,
    tenant: &'a Tenant,
    candidates: Vec<&'a Model>,
    ask: &'a Ask,
    until: Instant,
    /// What its answer is kept under; none where it is not.
    key: Option<Key>,
}

/// A call to one model.
pub(crate) struct Call<'a> {
    pub catalog: &'a Arc<Catalog>,
    pub ask: &'a Ask,
    pub tenant: &'a Tenant,
    pub model: &'a Model,
    pub estimate: Estimate,
    pub until: Instant,
    pub key: Option<Key>,
}

impl Call<'_> {
    /// The time it has left.
    pub fn left(&self) -> Duration {
        self.until.saturating_duration_since(Instant::now())
    }
}

impl Gateway {
    /// A gateway.
    pub fn new(
        source: Source,
        client: Client,
        books: Arc<Books>,
        bus: &Bus,
        metrics: &Metrics,
        config: &ProxyConfig,
    ) -> Self {
        let meters = Meters::new(metrics);
        let cache = Cache::new(&config.cache, bus, &meters);
        let (recording, most) = (config.recording, config.api.max_answer_bytes);
        Self { source, client, books, breakers: Arc::default(), meters, cache, recording, most }
    }

    /// The counters.
    pub fn meters(&self) -> &Meters {
        &self.meters
    }

    /// Bytes of an answer, at most.
    pub fn most(&self) -> usize {
        self.most
    }

    /// The ledger.
    pub fn books(&self) -> &Books {
        &self.books
    }

    /// The circuit breakers.
    pub fn breakers(&self) -> &Breakers {
        &self.breakers
    }

    /// The catalog in use.
    pub fn catalog(&self) -> Arc<Catalog> {
        self.source.current()
    }

    /// Hands a request to one provider as it is: one call of the tenant's and of the provider's limits.
    ///
    /// # Errors
    /// Where no provider is meant, there is no room, or nobody answers.
    pub async fn pass(
        &self,
        tenant: &str,
        named: Option<&str>,
        passing: Passing<'_>,
    ) -> Result<Response, ApiError> {
        let catalog = self.catalog();
        let tenant = catalog.tenant(tenant);
        let provider = pass::provider(&catalog, tenant, named)?;
        let held = self.books.one(tenant, provider).await;
        let held = held.map_err(|e| refusal(&provider.name, &tenant.name, &e))?;
        // It costs no tokens that we could count; the request stays charged.
        drop(held);
        pass::send(&self.client, provider, passing).await
    }

    /// Answers a request: from the cache, or with a call. Where the last provider answered with an error, that error is
    /// the answer.
    ///
    /// # Errors
    /// What kept everybody from answering.
    pub async fn call(&self, ask: Ask) -> Result<Answered, ApiError> {
        let catalog = self.catalog();
        let tenant = catalog.tenant(&ask.tenant);
        let candidates = candidates(&catalog, tenant, &ask.body)?;
        let until = Instant::now() + ask.patience;
        let key = catalog.route(&ask.body.model).and_then(|route| self.cache.key(&ask, route));
        let asking = Asking { catalog: &catalog, tenant, candidates, ask: &ask, until, key };
        match key {
            None => self.ask(&asking).await,
            Some(key) if ask.body.stream => match self.cache.find(&key).await {
                Some(entry) => {
                    self.given_before(&asking, &entry.model);
                    Ok(Answered::Pieces(stream::replay(&entry)))
                }
                None => self.ask(&asking).await,
            },
            Some(key) => {
                let (whole, cache) = self.cache.or_ask(key, || self.whole(&asking)).await?;
                if cache == FromCache::Hit {
                    self.given_before(&asking, &whole.model);
                }
                Ok(Answered::Whole(Whole { cache, ..whole }))
            }
        }
    }

    async fn whole(&self, asking: &Asking<'_>) -> Result<Whole, ApiError> {
        match self.ask(asking).await? {
            Answered::Whole(whole) => Ok(whole),
            Answered::Pieces(_) => {
                let model = asking.ask.body.model.clone();
                Err(ApiError::BadUpstream {
                    model,
                    reason: "it comes in pieces, and was to be whole".to_owned(),
                })
            }
        }
    }

    /// An answer from the cache is a span too; it used nothing.
    fn given_before(&self, asking: &Asking<'_>, model: &str) {
        let Some(model) = asking.catalog.model(model) else { return };
        let body = &asking.ask.body;
        let mut span = meters::span(body, model, asking.ask.trace.as_ref());
        span.set("tasklane.llm.cache", "hit");
    }

    /// Asks one candidate after the other.
    async fn ask(&self, asking: &Asking<'_>) -> Result<Answered, ApiError> {
        let ask = asking.ask;
        tokens::prepare(&ask.body).await;
        let mut last = None;
        let mut left = asking.candidates.clone();
        while !left.is_empty() {
            let model = left.remove(0);
            let estimate = tokens::of_model(&ask.body, model);
            let call = Call {
                catalog: asking.catalog,
                ask,
                tenant: asking.tenant,
                model,
                estimate,
                until: asking.until,
                key: asking.key,
            };
            match self.one(&call).await {
                Tried::Answered(answered) => return Ok(answered),
                Tried::Final(e) => return Err(e),
                Tried::Next(said) => last = Some(said),
                Tried::TooDear(e) => {
                    left = cheaper(left, model, &ask.body);
                    last = Some(Err(e));
                }
            }
        }
        let nobody = || Err(ApiError::UpstreamDown { model: ask.body.model.clone(), retry_in: None });
        last.unwrap_or_else(nobody).map(Answered::Whole)
    }

    /// One candidate, as often as makes sense.
    async fn one(&self, call: &Call<'_>) -> Tried {
        let mut attempt = 1;
        loop {
            let permit = match self.breakers.admit(call.model) {
                Ok(permit) => permit,
                Err(refused) => {
                    let retry_in = Duration::from_millis(refused.until_ms.saturating_sub(now_ms()));
                    let model = call.ask.body.model.clone();
                    return Tried::Next(Err(ApiError::UpstreamDown { model, retry_in: Some(retry_in) }));
                }
            };
            let held = match self.reserve(call).await {
                Ok(held) => held,
                Err(tried) => {
                    permit.record(Outcome::Unknown);
                    return tried;
                }
            };
            let failed = match self.attempt(call, permit, held).await {
                Ok(answered) => return Tried::Answered(answered),
                Err(failed) => failed,
            };
            let longest = if call.ask.waits { LONGEST_WAIT } else { SHORT_WAIT };
            let max_wait = call.left().min(longest);
            let bounds = Bounds { max_attempts: ATTEMPTS, max_wait };
            match retry::next(&failed.failure(), &failed.hints, attempt, &bounds, rand::random()) {
                Next::Wait(wait) => tokio::time::sleep(wait).await,
                Next::NextCandidate => return Tried::Next(failed.said),
                Next::GiveUp => {
                    return match failed.said {
                        Ok(whole) => Tried::Answered(Answered::Whole(whole)),
                        Err(e) => Tried::Final(e),
                    };
                }
            }
            attempt += 1;
        }
    }

    /// Room for the estimate in all accounts. Where the tenant's own is used up, its policy says what follows.
    async fn reserve(&self, call: &Call<'_>) -> Result<Held, Tried> {
        let price = call.model.price.cost(call.estimate.input, 0, call.estimate.output);
        let tokens = call.estimate.input + call.estimate.output;
        let need = Amounts { requests: 1, tokens, nano_usd: price };
        loop {
            let (whose, error) = match self.books.reserve(call.tenant, call.model, need).await {
                Ok((tenant, candidate)) => {
                    return Ok(Held { tenant, candidate, books: Arc::clone(&self.books) });
                }
                Err(refused) => refused,
            };
            let refusal = refusal(&call.ask.body.model, &call.tenant.name, &error);
            let opens = match &error {
                BookError::Refused(_, refused) => Some(refused.available_at_ms),
                _ => None,
            };
            if whose == Whose::Candidate {
                return Err(Tried::Next(Err(refusal)));
            }
            match (call.tenant.when_spent, opens) {
                (WhenSpent::Cheaper, _) if is_money(&error) => return Err(Tried::TooDear(refusal)),
                (WhenSpent::Queue, Some(at)) if call.ask.waits => {
                    let wait = Duration::from_millis(at.saturating_sub(now_ms()).max(10));
                    if Instant::now() + wait >= call.until {
                        return Err(Tried::Final(refusal));
                    }
                    tokio::time::sleep(wait).await;
                }
                _ => return Err(Tried::Final(refusal)),
            }
        }
    }
}

fn is_money(error: &BookError) -> bool {
    matches!(error, BookError::Refused(_, refusal) if matches!(refusal.what, What::Money(_)))
        || matches!(error, BookError::Never { what: What::Money(_), .. })
}

/// What the ledger's refusal is answered with. `asked` is the model or provider that was asked for.
fn refusal(asked: &str, tenant: &str, error: &BookError) -> ApiError {
    match error {
        BookError::Refused(key, refused) => {
            let opens_in = Duration::from_millis(refused.available_at_ms.saturating_sub(now_ms()));
            match refused.what {
                What::Money(_) => ApiError::OutOfBudget { what: format!("tenant `{tenant}`"), opens_in },
                what => ApiError::RateLimited { what: format!("{key}: {}", what.unit()), retry_in: opens_in },
            }
        }
        BookError::Never { .. } => {
            ApiError::BadRequest { param: "max_tokens".into(), reason: error.to_string() }
        }
        BookError::Crowded(_) | BookError::Slow(_) | BookError::Store(_) => {
            tracing::error!(asked, "the ledger does not answer, and nothing is spent without it: {error}");
            ApiError::Busy
        }
    }
}
