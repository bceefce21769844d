//! What is counted and traced of calls. Names follow OpenTelemetry's conventions for generative AI, which are still in
//! development: they stand here and nowhere else.

use std::time::Duration;

use tasklane_runtime::telemetry::metrics::{Amount, Counter, DURATION_BUCKETS, Family, Histogram, Level};
use tasklane_runtime::telemetry::{Metrics, Span, SpanKind, TraceContext};

use crate::body::Body;
use crate::catalog::Model;
use crate::sse::{Sniffed, Usage};

/// The counters of the service.
#[derive(Clone)]
pub struct Meters {
    requests: Family<Counter, 3>,
    tokens: Family<Counter, 3>,
    cost: Family<Amount, 2>,
    took: Family<Histogram, 2>,
    first_chunk: Family<Histogram, 2>,
    spent: Family<Level, 2>,
    cache: Family<Counter, 1>,
}

/// How a call to a provider ended, as it is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// With an answer.
    Ok,
    /// With an error, or none at all.
    Error,
    /// It had too many already.
    RateLimited,
    /// It took too long.
    Timeout,
}

impl Ended {
    fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Error => "error",
            Self::RateLimited => "rate_limited",
            Self::Timeout => "timeout",
        }
    }
}

impl Meters {
    /// Registers them.
    pub fn new(metrics: &Metrics) -> Self {
        Self {
            requests: metrics.counter("llm_requests", "Calls to providers", ["provider", "model", "outcome"]),
            tokens: metrics.counter("llm_tokens", "Tokens used", ["tenant", "model", "direction"]),
            cost: metrics.amount("llm_cost_usd", "Money spent, in US dollars", ["tenant", "model"]),
            took: metrics.histogram(
                "llm_call_seconds",
                "From sending a request to the end of its answer, or to its failure",
                ["provider", "model"],
                &DURATION_BUCKETS,
            ),
            first_chunk: metrics.histogram(
                "llm_time_to_first_chunk_seconds",
                "From sending a request to the first piece of its answer",
                ["provider", "model"],
                &DURATION_BUCKETS,
            ),
            spent: metrics.level(
                "llm_budget_spent_ratio",
                "Share of a tenant's budget that is spent or held",
                ["tenant", "window"],
            ),
            cache: metrics.counter(
                "llm_cache",
                "Requests that the cache was asked for: answered from memory, from the object store, by another's call \
                 that was under way, or not",
                ["outcome"],
            ),
        }
    }

    /// A call ended, so long after it began.
    pub fn called(&self, model: &Model, ended: Ended, took: Duration) {
        self.took.with([&model.provider.name, &model.id]).observe_duration(took);
        self.requests.with([&model.provider.name, &model.id, ended.word()]).inc();
    }

    /// The first piece of an answer came.
    pub fn first_chunk(&self, model: &Model, after: Duration) {
        self.first_chunk.with([&model.provider.name, &model.id]).observe_duration(after);
    }

    /// How much of a budget is spent, 1 being all of it.
    pub fn spent(&self, tenant: &str, window: &str, ratio: f64) {
        self.spent.with([tenant, window]).set(ratio);
    }

    /// The cache was asked: `memory`, `objects`, `shared` or `miss`.
    pub fn cached(&self, outcome: &str) {
        self.cache.with([outcome]).inc();
    }

    /// What a call used and cost.
    pub fn used(&self, tenant: &str, model: &Model, usage: Usage, nano_usd: u64) {
        self.tokens.with([tenant, &model.id, "input"]).inc_by(usage.input);
        self.tokens.with([tenant, &model.id, "output"]).inc_by(usage.output);
        self.cost.with([tenant, &model.id]).add(nano_usd as f64 / 1e9);
    }
}

/// The span of one call to a provider.
pub fn span(body: &Body, model: &Model, parent: Option<&TraceContext>) -> Span {
    let operation = body.endpoint().operation();
    let mut span = Span::start(format!("{operation} {}", body.model), SpanKind::Client, parent);
    if span.is_recording() {
        span.set("gen_ai.operation.name", operation);
        span.set("gen_ai.provider.name", model.provider.name.as_str());
        span.set("gen_ai.request.model", model.name.as_str());
        span.set("gen_ai.request.stream", body.stream);
        if let Some(tokens) = body.max_output.filter(|_| operation == "chat") {
            span.set("gen_ai.request.max_tokens", tokens);
        }
        for (field, name) in
            [("temperature", "gen_ai.request.temperature"), ("top_p", "gen_ai.request.top_p")]
        {
            if let Some(number) = body.fields().get(field).and_then(|raw| raw.get().parse::<f64>().ok()) {
                span.set(name, number);
            }
        }
    }
    span
}

/// Puts what an answer says of itself into its call's span.
pub fn answered(span: &mut Span, said: &Sniffed) {
    if !span.is_recording() {
        return;
    }
    if let Some(id) = &said.id {
        span.set("gen_ai.response.id", id.as_str());
    }
    if let Some(model) = &said.model {
        span.set("gen_ai.response.model", model.as_str());
    }
    if !said.finish.is_empty() {
        span.set("gen_ai.response.finish_reasons", said.finish.join(","));
    }
}

/// Puts what was used into a call's span.
pub fn note(span: &mut Span, usage: Usage, nano_usd: u64) {
    if span.is_recording() {
        span.set("gen_ai.usage.input_tokens", usage.input);
        span.set("gen_ai.usage.output_tokens", usage.output);
        span.set("gen_ai.usage.cache_read.input_tokens", usage.cached);
        span.set("gen_ai.usage.reasoning.output_tokens", usage.reasoning);
        span.set("tasklane.llm.cost_usd", nano_usd as f64 / 1e9);
    }
}
