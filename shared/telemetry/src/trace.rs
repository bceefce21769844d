//! Switching trace export on and off for this process.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{Sampler as SdkSampler, SdkTracer, SdkTracerProvider};
use tokio::runtime::Runtime;

use crate::export::{self, Counts};
use crate::{Sampler, TelemetryError, TraceSettings};

/// Read first, so that a span costs one load when nobody exports.
static ON: AtomicBool = AtomicBool::new(false);
static ACTIVE: RwLock<Option<Active>> = RwLock::new(None);

/// What spans are made with while this process exports.
pub(crate) struct Active {
    pub tracer: SdkTracer,
    /// Whether a parent that is not sampled settles the matter.
    pub follows_parent: bool,
    counts: Arc<Counts>,
}

/// Runs `make` with the tracer, or not at all when this process does not export.
pub(crate) fn with_tracer<T>(make: impl FnOnce(&Active) -> T) -> Option<T> {
    if !ON.load(Relaxed) {
        return None;
    }
    ACTIVE.read().unwrap_or_else(PoisonError::into_inner).as_ref().map(make)
}

/// Whether this process exports traces.
pub fn tracing_enabled() -> bool {
    ON.load(Relaxed)
}

/// What became of the spans of this process since export was switched on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TraceStats {
    /// Sent and accepted.
    pub exported: u64,
    /// Sent, and refused or lost on the way.
    pub failed: u64,
    /// Dropped because the queue was full.
    pub dropped: u64,
    /// Ended and waiting to be sent.
    pub waiting: u64,
}

/// Counts of spans; all zero when this process does not export.
pub fn stats() -> TraceStats {
    with_tracer(|active| read(&active.counts)).unwrap_or_default()
}

fn read(counts: &Counts) -> TraceStats {
    TraceStats {
        exported: counts.exported.load(Relaxed),
        failed: counts.failed.load(Relaxed),
        dropped: counts.dropped.load(Relaxed),
        waiting: counts.waiting.load(Relaxed) as u64,
    }
}

/// Starts exporting traces, if the settings name an endpoint.
///
/// An endpoint that cannot be used is warned about and leaves tracing off; one that cannot be reached costs
/// spans, never work. Needs no async runtime: exports run on a thread of their own.
///
/// # Errors
/// When this process exports already, or its thread cannot be started.
pub fn init_tracing(service_name: &str, settings: &TraceSettings) -> Result<TracingGuard, TelemetryError> {
    if settings.endpoint.trim().is_empty() {
        return Ok(TracingGuard { running: None });
    }
    let mut active = ACTIVE.write().unwrap_or_else(PoisonError::into_inner);
    if active.is_some() {
        return Err(TelemetryError::AlreadySet { what: "traces" });
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("tasklane-otlp")
        .enable_all()
        .build()
        .map_err(TelemetryError::Exporter)?;
    let counts = Arc::new(Counts::default());
    let processor = match export::processor(settings, runtime.handle(), &counts) {
        Ok(processor) => processor,
        Err(error) => {
            tracing::warn!(endpoint = settings.endpoint, %error, "traces are not exported: the endpoint is wrong");
            runtime.shutdown_background();
            return Ok(TracingGuard { running: None });
        }
    };
    let name = settings.service_name.as_deref().unwrap_or(service_name).to_owned();
    let provider = SdkTracerProvider::builder()
        .with_resource(Resource::builder().with_service_name(name).build())
        .with_sampler(sampler(settings))
        .with_span_processor(processor)
        .build();
    *active = Some(Active {
        tracer: provider.tracer("tasklane"),
        follows_parent: settings.sampler == Sampler::ParentBased,
        counts: Arc::clone(&counts),
    });
    ON.store(true, Relaxed);
    let timeout = settings.shutdown_timeout();
    Ok(TracingGuard { running: Some(Running { provider, runtime, counts, timeout }) })
}

fn sampler(settings: &TraceSettings) -> SdkSampler {
    let ratio = SdkSampler::TraceIdRatioBased(settings.sample_ratio);
    match settings.sampler {
        Sampler::ParentBased => SdkSampler::ParentBased(Box::new(ratio)),
        Sampler::Ratio => ratio,
        Sampler::AlwaysOn => SdkSampler::AlwaysOn,
        Sampler::AlwaysOff => SdkSampler::AlwaysOff,
    }
}

/// Keeps trace export running. Keep it in `main` and call [`TracingGuard::shutdown`] last; dropping it does the same.
#[derive(Debug)]
#[must_use = "traces stop being exported when this is dropped"]
pub struct TracingGuard {
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    provider: SdkTracerProvider,
    runtime: Runtime,
    counts: Arc<Counts>,
    timeout: Duration,
}

impl TracingGuard {
    /// Whether traces are exported.
    pub fn is_exporting(&self) -> bool {
        self.running.is_some()
    }

    /// Sends what waits now, in bounded time (5 s). Blocks the thread; for tests and command-line tools.
    pub fn flush(&self) {
        if let Some(running) = &self.running
            && let Err(error) = running.provider.force_flush()
        {
            tracing::warn!(%error, "not every span could be sent");
        }
    }

    /// Ends open business: sends what waits, within [`TraceSettings::shutdown_timeout_ms`], and switches tracing
    /// off. Spans that are still open are lost. Blocks the thread for that long at most; works in and outside of
    /// any runtime. Returns the final counts.
    pub fn shutdown(mut self) -> TraceStats {
        self.stop()
    }

    fn stop(&mut self) -> TraceStats {
        let Some(running) = self.running.take() else { return TraceStats::default() };
        ON.store(false, Relaxed);
        *ACTIVE.write().unwrap_or_else(PoisonError::into_inner) = None;
        if let Err(error) = running.provider.shutdown_with_timeout(running.timeout) {
            tracing::warn!(%error, "not every span could be sent before the shutdown");
        }
        // Never waits, and so is allowed in async code too.
        running.runtime.shutdown_background();
        read(&running.counts)
    }
}

impl Drop for TracingGuard {
    fn drop(&mut self) {
        self.stop();
    }
}
