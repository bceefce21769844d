//! One request to one model: what is sent, what comes of its answer, and what is settled in either case.

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderValue};
use reqwest::{Method, Response};
use tasklane_runtime::telemetry::Span;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::answers::{Answered, Failed, Pieces, Whole, outcome, passed};
use crate::api_error::{ApiError, UpstreamError};
use crate::body::Endpoint;
use crate::books::now_ms;
use crate::breaker::Outcome;
use crate::breakers::Turn;
use crate::cache::{Entry, FromCache};
use crate::client::{self, NoAnswer, Target};
use crate::gateway::{Call, Gateway};
use crate::meters::{self, Ended};
use crate::recording::{self, Heard};
use crate::retry::{Hints, Transport};
use crate::settle::{Held, Settling, Trying, charge, guessed};
use crate::sse::sniff;
use crate::stream::{self, Pump};

/// An error's body is read up to this.
const MOST_OF_ERROR: usize = 256 * 1024;

impl Gateway {
    /// One request to a provider.
    pub(crate) async fn attempt(
        &self,
        call: &Call<'_>,
        permit: Turn,
        held: Held,
    ) -> Result<Answered, Box<Failed>> {
        let (body, model) = (&call.ask.body, call.model);
        let mut span = meters::span(body, model, call.ask.trace.as_ref());
        if self.records(&span)
            && let Some(asked) = recording::asked(body, self.recording.max_bytes)
        {
            span.set(recording::INPUT, asked);
        }
        let mut target = Target::of(&model.provider, body.endpoint().path());
        target.first_byte = target.first_byte.min(call.left());
        let mut extra = HeaderMap::new();
        if let Some(Ok(value)) = span.context().map(|c| HeaderValue::from_str(&c.traceparent())) {
            extra.insert("traceparent", value);
        }
        let json = HeaderValue::from_static("application/json");
        let trying = Trying { permit, held, span, begun: Instant::now() };
        let sent =
            self.client.send(Method::POST, &target, &extra, Some((json, body.for_upstream(&model.name))));
        let answer = match sent.await {
            Ok(answer) if answer.status().is_success() => answer,
            Ok(answer) => return Err(self.refused(call, answer, trying).await),
            Err(e) => return Err(self.silent(call, &e, trying)),
        };
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
        mut trying: Trying,
    ) -> Result<Answered, Box<Failed>> {
        let (status, headers) = (answer.status().as_u16(), passed(answer.headers()));
        let patience = call.model.provider.timeouts.whole.min(call.left());
        let body = match client::whole(&mut answer, patience, self.most).await {
            Ok(body) => body,
            Err(e) => return Err(self.silent(call, &e, trying)),
        };
        self.first_chunk(call, &mut trying);
        let embeds = call.ask.body.endpoint() == Endpoint::Embeddings;
        if serde_json::from_slice::<serde::de::IgnoredAny>(&body).is_err() {
            return Err(self.unreadable(call, trying));
        }
        let recorded = self.records(&trying.span).then(|| serde_json::from_slice(&body).unwrap_or_default());
        let said = sniff(&body);
        let usage =
            said.usage.unwrap_or_else(|| guessed(call.estimate, if embeds { 0 } else { body.len() as u64 }));
        let Trying { permit, held, mut span, begun } = trying;
        let used = Some(charge(held, call.model, &call.tenant.name, usage, &self.meters, &mut span));
        meters::answered(&mut span, &said);
        if let Some(answer) = recorded {
            span.set(recording::OUTPUT, recording::answered(&answer, self.recording.max_bytes));
        }
        self.meters.called(call.model, Ended::Ok, begun.elapsed());
        permit.record(Outcome::Good);
        let model = call.model.id.clone();
        Ok(Answered::Whole(Whole { status, headers, body, model, used, cache: FromCache::NotAsked }))
    }

    async fn in_pieces(
        &self,
        call: &Call<'_>,
        mut answer: Response,
        mut trying: Trying,
    ) -> Result<Answered, Box<Failed>> {
        let headers = passed(answer.headers());
        let timeouts = call.model.provider.timeouts;
        // Until the first piece has come, somebody else can still answer.
        let first = match client::next(&mut answer, timeouts.first_chunk).await {
            Ok(Some(first)) => first,
            Ok(None) => return Err(self.unreadable(call, trying)),
            Err(e) => return Err(self.silent(call, &e, trying)),
        };
        self.first_chunk(call, &mut trying);
        let (out, pieces) = mpsc::channel(16);
        let id = call.model.id.clone();
        let pump = Pump {
            out,
            hides_usage: call.ask.body.endpoint() == Endpoint::Chat && !call.ask.body.wants_usage,
            is_typed: call.ask.body.endpoint() == Endpoint::Responses,
            asked: call.ask.body.model.clone(),
            between: timeouts.between_chunks,
            until: call.until.min(Instant::now() + timeouts.whole),
            keeps: call.key.map(|_| self.cache.most()),
            heard: self
                .records(&trying.span)
                .then(|| Heard::of(call.ask.body.endpoint(), self.recording.max_bytes)),
        };
        let settling = Settling {
            catalog: Arc::clone(call.catalog),
            model: id.clone(),
            tenant: call.tenant.name.clone(),
            estimate: call.estimate,
            trying,
            meters: self.meters.clone(),
            recorded: self.recording.max_bytes,
        };
        let (key, kept_in, model) = (call.key, self.cache.clone(), id.clone());
        tokio::spawn(async move {
            let mut ended = stream::pump(answer, first, pump).await;
            let kept = key.zip(ended.kept.take());
            settling.settle(ended);
            if let Some((key, body)) = kept {
                kept_in
                    .put(
                        key,
                        Entry {
                            at_ms: now_ms(),
                            model,
                            content_type: stream::EVENTS.to_owned(),
                            used: None,
                            body,
                        },
                    )
                    .await;
            }
        });
        let cache = if call.key.is_some() { FromCache::Missed } else { FromCache::NotAsked };
        Ok(Answered::Pieces(Pieces { headers, pieces, model: id, cache }))
    }

    /// The first of the answer is there: all of it where it comes whole.
    fn first_chunk(&self, call: &Call<'_>, trying: &mut Trying) {
        let after = trying.begun.elapsed();
        self.meters.first_chunk(call.model, after);
        trying.span.set("gen_ai.response.time_to_first_chunk", after.as_secs_f64());
    }

    fn records(&self, span: &Span) -> bool {
        self.recording.content && span.is_recording()
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
        let Trying { permit, held, mut span, begun } = trying;
        held.release();
        let code = said.code.or(said.kind);
        span.error(
            code.clone().unwrap_or_else(|| status.to_string()),
            format!("the provider answered with status {status}"),
        );
        let ended = if status == 429 { Ended::RateLimited } else { Ended::Error };
        self.meters.called(call.model, ended, begun.elapsed());
        let model = call.model.id.clone();
        let whole = Whole { status, headers, body, model, used: None, cache: FromCache::NotAsked };
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
        let Trying { permit, held, mut span, begun } = trying;
        // Whether the provider worked on it, nobody knows; what it may have cost stays charged where it was reached.
        if transport == Transport::Broken {
            held.release()
        } else {
            drop(held)
        }
        span.error(said.code(), said.to_string());
        let ended = if transport == Transport::FirstChunkTimeout { Ended::Timeout } else { Ended::Error };
        self.meters.called(call.model, ended, begun.elapsed());
        let failed = Failed { status: None, code: None, transport, hints: Hints::default(), said: Err(said) };
        permit.record(outcome(&failed));
        Box::new(failed)
    }
}
