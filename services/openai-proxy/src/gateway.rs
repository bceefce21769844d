//! The way of a call: who may make it, who could answer it, whether there is room, and what to do when one fails. Tasks
//! and HTTP clients come in here alike.

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderValue};
use reqwest::{Method, Response};
use tasklane_runtime::telemetry::{Metrics, TraceContext};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::answers::{Answered, Failed, Pieces, Whole, outcome, passed};
use crate::api_error::{ApiError, UpstreamError};
use crate::body::{Body, Endpoint};
use crate::books::{Books, Whose, now_ms};
use crate::breaker::Outcome;
use crate::breakers::{Breakers, Turn};
use crate::catalog::{Catalog, Model, Tenant, WhenSpent};
use crate::client::{self, Client, NoAnswer, Target};
use crate::ledger::{Amounts, BookError, What};
use crate::meters::{self, Ended, Meters};
use crate::order::candidates;
use crate::pass::{self, Passing};
use crate::retry::{self, Bounds, Hints, Next, Transport};
use crate::settle::{Held, Settling, Trying, charge, guessed};
use crate::source::Source;
use crate::sse::sniff;
use crate::stream::{self, Pump};
use crate::tokens::{self, Estimate};

/// How often one candidate is asked.
const ATTEMPTS: u32 = 3;
/// For how long an HTTP client waits for a provider to be asked again.
const LONGEST_WAIT: Duration = Duration::from_secs(20);
/// For how long a task does, which can wait in a schedule instead.
const SHORT_WAIT: Duration = Duration::from_secs(2);
/// An error's body is read up to this.
const MOST_OF_ERROR: usize = 256 * 1024;

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
}

/// Makes calls.
pub struct Gateway {
    source: Source,
    client: Client,
    books: Arc<Books>,
    breakers: Arc<Breakers>,
    meters: Meters,
    most: usize,
}

/// What one candidate came to.
enum Tried {
    Answered(Answered),
    /// Somebody else may do it; this is the answer where nobody does.
    Next(Result<Whole, ApiError>),
    Final(ApiError),
}

/// A call to one model.
struct Call<'a> {
    catalog: &'a Arc<Catalog>,
    ask: &'a Ask,
    tenant: &'a Tenant,
    model: &'a Model,
    estimate: Estimate,
    until: Instant,
}

impl Call<'_> {
    /// The time it has left.
    fn left(&self) -> Duration {
        self.until.saturating_duration_since(Instant::now())
    }
}

impl Gateway {
    /// A gateway.
    pub fn new(source: Source, client: Client, books: Arc<Books>, metrics: &Metrics, most: usize) -> Self {
        let meters = Meters::new(metrics);
        Self { source, client, books, breakers: Arc::default(), meters, most }
    }

    /// The counters.
    pub fn meters(&self) -> &Meters {
        &self.meters
    }

    /// Bytes of an answer, at most.
    pub fn most(&self) -> usize {
        self.most
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

    /// Makes a call. Where the last provider answered with an error, that error is the answer.
    ///
    /// # Errors
    /// What kept everybody from answering.
    pub async fn call(&self, ask: Ask) -> Result<Answered, ApiError> {
        let catalog = self.catalog();
        let tenant = catalog.tenant(&ask.tenant);
        let candidates = candidates(&catalog, tenant, &ask.body)?;
        let until = Instant::now() + ask.patience;
        let mut last = None;
        for model in candidates {
            let estimate = tokens::estimate(&ask.body, Some(model.max_output_tokens).filter(|n| *n > 0));
            let call = Call { catalog: &catalog, ask: &ask, tenant, model, estimate, until };
            match self.one(&call).await {
                Tried::Answered(answered) => return Ok(answered),
                Tried::Final(e) => return Err(e),
                Tried::Next(said) => last = Some(said),
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
                Ok((tenant, candidate)) => return Ok(Held { tenant, candidate }),
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
                // A cheaper model of the route may still fit.
                (WhenSpent::Cheaper, _) if is_money(&error) => return Err(Tried::Next(Err(refusal))),
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

    /// One request to a provider.
    async fn attempt(&self, call: &Call<'_>, permit: Turn, held: Held) -> Result<Answered, Box<Failed>> {
        let (body, model) = (&call.ask.body, call.model);
        let operation = body.endpoint().operation();
        let span = meters::span(operation, &body.model, model, body.stream, call.ask.trace.as_ref());
        let mut target = Target::of(&model.provider, body.endpoint().path());
        target.first_byte = target.first_byte.min(call.left());
        let mut extra = HeaderMap::new();
        if let Some(Ok(value)) = span.context().map(|c| HeaderValue::from_str(&c.traceparent())) {
            extra.insert("traceparent", value);
        }
        let json = HeaderValue::from_static("application/json");
        let trying = Trying { permit, held, span };
        let begun = Instant::now();
        let sent =
            self.client.send(Method::POST, &target, &extra, Some((json, body.for_upstream(&model.name))));
        let answer = match sent.await {
            Ok(answer) if answer.status().is_success() => answer,
            Ok(answer) => return Err(self.refused(call, answer, trying).await),
            Err(e) => return Err(self.silent(call, &e, trying)),
        };
        self.meters.first_chunk(model, begun.elapsed());
        if body.stream {
            self.in_pieces(call, answer, trying).await
        } else {
            self.at_once(call, answer, trying).await
        }
    }

    async fn at_once(
        &self,
        call: &Call<'_>,
        mut answer: Response,
        trying: Trying,
    ) -> Result<Answered, Box<Failed>> {
        let (status, headers) = (answer.status().as_u16(), passed(answer.headers()));
        let patience = call.model.provider.timeouts.whole.min(call.left());
        let body = match client::whole(&mut answer, patience, self.most).await {
            Ok(body) => body,
            Err(e) => return Err(self.silent(call, &e, trying)),
        };
        let embeds = call.ask.body.endpoint() == Endpoint::Embeddings;
        if serde_json::from_slice::<serde::de::IgnoredAny>(&body).is_err() {
            return Err(self.unreadable(call, trying));
        }
        let usage = sniff(&body)
            .usage
            .unwrap_or_else(|| guessed(call.estimate, if embeds { 0 } else { body.len() as u64 }));
        let Trying { permit, held, mut span } = trying;
        charge(held, call.model, &call.tenant.name, usage, &self.meters, &mut span);
        self.meters.called(call.model, Ended::Ok);
        permit.record(Outcome::Good);
        Ok(Answered::Whole(Whole { status, headers, body, model: call.model.id.clone() }))
    }

    async fn in_pieces(
        &self,
        call: &Call<'_>,
        mut answer: Response,
        trying: Trying,
    ) -> Result<Answered, Box<Failed>> {
        let headers = passed(answer.headers());
        let timeouts = call.model.provider.timeouts;
        // Until the first piece has come, somebody else can still answer.
        let first = match client::next(&mut answer, timeouts.first_chunk).await {
            Ok(Some(first)) => first,
            Ok(None) => return Err(self.unreadable(call, trying)),
            Err(e) => return Err(self.silent(call, &e, trying)),
        };
        let (out, pieces) = mpsc::channel(16);
        let id = call.model.id.clone();
        let pump = Pump {
            out,
            hides_usage: call.ask.body.endpoint() == Endpoint::Chat && !call.ask.body.wants_usage,
            asked: call.ask.body.model.clone(),
            between: timeouts.between_chunks,
            until: call.until.min(Instant::now() + timeouts.whole),
        };
        let settling = Settling {
            catalog: Arc::clone(call.catalog),
            model: id.clone(),
            tenant: call.tenant.name.clone(),
            estimate: call.estimate,
            trying,
            meters: self.meters.clone(),
        };
        tokio::spawn(async move {
            let ended = stream::pump(answer, first, pump).await;
            settling.settle(ended);
        });
        Ok(Answered::Pieces(Pieces { headers, pieces, model: id }))
    }

    /// A provider answered with an error.
    async fn refused(&self, call: &Call<'_>, mut answer: Response, trying: Trying) -> Box<Failed> {
        let (status, headers) = (answer.status().as_u16(), passed(answer.headers()));
        let header = |name: &str| answer.headers().get(name).and_then(|value| value.to_str().ok());
        let hints = Hints::read(header, now_ms());
        let body =
            client::whole(&mut answer, Duration::from_secs(10), MOST_OF_ERROR).await.unwrap_or_default();
        let body = match &call.model.provider.key {
            Some(key) => key.redact(body),
            None => body,
        };
        let said = UpstreamError::read(&body);
        let Trying { permit, held, mut span } = trying;
        held.release();
        let code = said.code.or(said.kind);
        span.error(
            code.clone().unwrap_or_else(|| status.to_string()),
            format!("the provider answered with status {status}"),
        );
        self.meters.called(call.model, if status == 429 { Ended::RateLimited } else { Ended::Error });
        let whole = Whole { status, headers, body, model: call.model.id.clone() };
        let failed =
            Failed { status: Some(status), code, transport: Transport::BadAnswer, hints, said: Ok(whole) };
        permit.record(outcome(&failed));
        Box::new(failed)
    }

    /// A provider gave no answer, or half of one.
    fn silent(&self, call: &Call<'_>, error: &NoAnswer, trying: Trying) -> Box<Failed> {
        let model = call.ask.body.model.clone();
        let (transport, said) = match error {
            NoAnswer::TimedOut(limit) => {
                (Transport::FirstChunkTimeout, ApiError::Timeout { model, what: "the answer", limit: *limit })
            }
            NoAnswer::TooLarge(_) => {
                (Transport::BadAnswer, ApiError::BadUpstream { model, reason: error.to_string() })
            }
            NoAnswer::Unreachable(_) => (Transport::Broken, ApiError::UpstreamDown { model, retry_in: None }),
        };
        tracing::warn!(model = call.model.id, provider = call.model.provider.name, "a call failed: {error}");
        self.failed(call, transport, said, trying)
    }

    fn unreadable(&self, call: &Call<'_>, trying: Trying) -> Box<Failed> {
        let model = call.ask.body.model.clone();
        let said = ApiError::BadUpstream { model, reason: "it is empty, or no JSON".to_owned() };
        self.failed(call, Transport::BadAnswer, said, trying)
    }

    fn failed(&self, call: &Call<'_>, transport: Transport, said: ApiError, trying: Trying) -> Box<Failed> {
        let Trying { permit, held, mut span } = trying;
        // Whether the provider worked on it, nobody knows; what it may have cost stays charged where it was reached.
        if transport == Transport::Broken {
            held.release()
        } else {
            drop(held)
        }
        span.error(said.code(), said.to_string());
        let ended = if transport == Transport::FirstChunkTimeout { Ended::Timeout } else { Ended::Error };
        self.meters.called(call.model, ended);
        let failed = Failed { status: None, code: None, transport, hints: Hints::default(), said: Err(said) };
        permit.record(outcome(&failed));
        Box::new(failed)
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
