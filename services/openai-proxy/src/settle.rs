//! What a call used: in place of what was reserved for it, in books, counters and its span.

use std::sync::Arc;

use tasklane_runtime::telemetry::Span;
use tokio::time::Instant;

use crate::answers::Used;
use crate::books::Books;
use crate::breaker::Outcome;
use crate::breakers::Turn;
use crate::catalog::{Catalog, Model};
use crate::ledger::{Amounts, Reservation};
use crate::meters::{self, Ended, Meters};
use crate::sse::Usage;
use crate::tokens::Estimate;
use crate::{recording, stream};

/// What is held of all accounts for one call.
pub struct Held {
    /// Of the tenant's account.
    pub tenant: Reservation,
    /// Of the model's and the provider's.
    pub candidate: Reservation,
    /// Where it is written down what was used.
    pub books: Arc<Books>,
}

impl Held {
    /// Replaces the estimate by what was used. Returns what it cost.
    fn settle(self, model: &Model, tenant: &str, usage: Usage) -> u64 {
        let nano_usd = model.price.cost(usage.input, usage.cached, usage.output);
        let actual = Amounts { requests: 1, tokens: usage.input + usage.output, nano_usd };
        self.tenant.settle(actual);
        self.candidate.settle(actual);
        self.books.sheets().record(tenant, &model.id, usage, nano_usd);
        nano_usd
    }

    /// Gives everything back: the call was never made, or cost nothing.
    pub fn release(self) {
        self.tenant.release();
        self.candidate.release();
    }
}

/// What one attempt holds until it is over.
pub struct Trying {
    /// The breaker's turn.
    pub permit: Turn,
    /// What is reserved.
    pub held: Held,
    /// Its span.
    pub span: Span,
    /// When the request was sent.
    pub begun: Instant,
}

/// Settles what a call used: in the books, in the counters, in its span. Returns it with what it cost.
pub fn charge(
    held: Held,
    model: &Model,
    tenant: &str,
    usage: Usage,
    meters: &Meters,
    span: &mut Span,
) -> Used {
    let nano_usd = held.settle(model, tenant, usage);
    meters.used(tenant, model, usage, nano_usd);
    meters::note(span, usage, nano_usd);
    Used { input: usage.input, output: usage.output, nano_usd }
}

/// What is left to do when a stream is over.
pub struct Settling {
    /// The catalog that the call was made with.
    pub catalog: Arc<Catalog>,
    /// The model that answers.
    pub model: String,
    /// Whose call it is.
    pub tenant: String,
    /// What was estimated.
    pub estimate: Estimate,
    /// The attempt that answers.
    pub trying: Trying,
    /// Where it is counted.
    pub meters: Meters,
    /// Bytes of what was said that are recorded.
    pub recorded: usize,
}

impl Settling {
    /// Settles what was used.
    pub fn settle(self, ended: stream::Ended) {
        let Trying { permit, held, mut span, begun } = self.trying;
        let Some(model) = self.catalog.model(&self.model) else { return };
        // A stream that was cut short does not say what it used; what came through is counted instead.
        let usage = ended.tally.usage.unwrap_or_else(|| guessed(self.estimate, ended.tally.chars));
        charge(held, model, &self.tenant, usage, &self.meters, &mut span);
        meters::answered(&mut span, &ended.tally);
        if let Some(heard) = ended.heard {
            span.set(recording::OUTPUT, heard.told(self.recorded));
        }
        let (outcome, counted) = match ended.how {
            stream::How::Whole => (Outcome::Good, Ended::Ok),
            stream::How::ClientGone => (Outcome::Unknown, Ended::Ok),
            stream::How::Broken => (Outcome::Failed, Ended::Error),
        };
        if counted == Ended::Error {
            span.error("stream", "the stream broke off");
        }
        self.meters.called(model, counted, begun.elapsed());
        permit.record(outcome);
    }
}

/// What was used where nobody says: the input as estimated, the output by the length of its text, at four characters a
/// token.
pub fn guessed(estimate: Estimate, chars: u64) -> Usage {
    Usage { input: estimate.input, output: chars.div_ceil(4), ..Usage::default() }
}
