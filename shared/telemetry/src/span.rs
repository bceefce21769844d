//! One step of a task: what happened, when, and under which parent.

use std::borrow::Cow;
use std::fmt;
use std::time::SystemTime;

use opentelemetry::trace::{
    Span as _, SpanBuilder, SpanContext, SpanId, Status, TraceContextExt as _, TraceFlags, TraceId,
    TraceState, Tracer as _,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::Span as SdkSpan;

use crate::trace::with_tracer;
use crate::{Attribute, TraceContext, names};

pub use opentelemetry::trace::SpanKind;

/// A span. It ends when it is dropped, if it was not ended before.
///
/// When this process does not export, or the trace is not sampled, a span only carries the context to pass on:
/// it neither allocates nor reads the clock (a `tracestate`, where the parent has one, is copied).
pub struct Span(Inner);

enum Inner {
    /// Nothing is recorded; what is passed on to children, if anything.
    Passing(Option<TraceContext>),
    /// Boxed: the common, unrecorded span stays a few words.
    Recording(Box<SdkSpan>),
}

impl Span {
    /// Starts a span now, under `parent` or as the root of a new trace.
    pub fn start(name: impl Into<Cow<'static, str>>, kind: SpanKind, parent: Option<&TraceContext>) -> Self {
        Self::begin(name, kind, parent, None)
    }

    /// Starts a span at a moment that has passed, such as when a message entered its queue.
    pub fn start_at(
        name: impl Into<Cow<'static, str>>,
        kind: SpanKind,
        parent: Option<&TraceContext>,
        at: SystemTime,
    ) -> Self {
        Self::begin(name, kind, parent, Some(at))
    }

    fn begin(
        name: impl Into<Cow<'static, str>>,
        kind: SpanKind,
        parent: Option<&TraceContext>,
        at: Option<SystemTime>,
    ) -> Self {
        with_tracer(|active| {
            // The shortcut of a parent-based sampler: what the parent decided against is not even asked about.
            if active.follows_parent && parent.is_some_and(|p| !p.sampled) {
                return None;
            }
            let mut builder = SpanBuilder::from_name(name).with_kind(kind);
            builder.start_time = at;
            let context = parent.map_or_else(Context::new, remote);
            Some(Self::from_sdk(active.tracer.build_with_context(builder, &context)))
        })
        .flatten()
        .unwrap_or_else(|| Self(Inner::Passing(parent.cloned())))
    }

    fn from_sdk(span: SdkSpan) -> Self {
        if span.is_recording() {
            Self(Inner::Recording(Box::new(span)))
        } else {
            Self(Inner::Passing(context_of(span.span_context())))
        }
    }

    /// Whether attributes and events go anywhere. Ask before computing what is costly.
    pub fn is_recording(&self) -> bool {
        matches!(self.0, Inner::Recording(_))
    }

    /// Sets an attribute. Keys are those of [`crate::names`]; set each once, for a second value is kept beside
    /// the first and backends disagree about which they show.
    pub fn set(&mut self, key: &'static str, value: impl Attribute) {
        if let Inner::Recording(span) = &mut self.0 {
            span.set_attribute(KeyValue::new(key, value.to_value()));
        }
    }

    /// Sets an attribute whose value is computed only when the span records.
    pub fn set_with<A: Attribute>(&mut self, key: &'static str, value: impl FnOnce() -> A) {
        if self.is_recording() {
            self.set(key, value());
        }
    }

    /// Notes that something happened now, within this span.
    pub fn event(&mut self, name: impl Into<Cow<'static, str>>, attrs: &[(&'static str, &dyn Attribute)]) {
        if let Inner::Recording(span) = &mut self.0 {
            let attrs = attrs.iter().map(|(key, value)| KeyValue::new(*key, value.to_value())).collect();
            span.add_event(name, attrs);
        }
    }

    /// Marks the span as failed, with a stable code and what was wrong.
    pub fn error(&mut self, code: impl Attribute, message: impl fmt::Display) {
        if let Inner::Recording(span) = &mut self.0 {
            span.set_attribute(KeyValue::new(names::ERROR_TYPE, code.to_value()));
            span.set_status(Status::error(message.to_string()));
        }
    }

    /// Points at another trace this work belongs to, such as the first run of a replayed task.
    pub fn link(&mut self, other: &TraceContext) {
        if let Inner::Recording(span) = &mut self.0 {
            span.add_link(span_context(other), Vec::new());
        }
    }

    /// What to put into the headers of messages and calls made within this span: this span's own context when
    /// it records; the parent's, unchanged, when it does not; `None` when there is no trace to go on with.
    pub fn context(&self) -> Option<TraceContext> {
        match &self.0 {
            Inner::Passing(context) => context.clone(),
            Inner::Recording(span) => context_of(span.span_context()),
        }
    }

    /// Ends the span now.
    pub fn end(self) {
        drop(self);
    }

    /// Ends the span at a given moment.
    pub fn end_at(mut self, at: SystemTime) {
        if let Inner::Recording(span) = &mut self.0 {
            span.end_with_timestamp(at);
        }
    }
}

impl fmt::Debug for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Span")
            .field("recording", &self.is_recording())
            .field("context", &self.context())
            .finish()
    }
}

fn remote(parent: &TraceContext) -> Context {
    Context::new().with_remote_span_context(span_context(parent))
}

fn span_context(context: &TraceContext) -> SpanContext {
    let state = match context.state.as_str() {
        "" => TraceState::NONE,
        // The header was checked when it was parsed; a state somebody built by hand is dropped when it is wrong.
        state => state.parse().unwrap_or(TraceState::NONE),
    };
    SpanContext::new(
        TraceId::from_bytes(context.trace_id),
        SpanId::from_bytes(context.span_id),
        if context.sampled { TraceFlags::SAMPLED } else { TraceFlags::NOT_SAMPLED },
        true,
        state,
    )
}

/// `None` for the invalid context that the SDK hands out once it is shut down.
fn context_of(context: &SpanContext) -> Option<TraceContext> {
    context.is_valid().then(|| TraceContext {
        trace_id: context.trace_id().to_bytes(),
        span_id: context.span_id().to_bytes(),
        sampled: context.is_sampled(),
        state: context.trace_state().header(),
    })
}
