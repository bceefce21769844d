//! Sending ended spans: a bounded queue that never blocks, and an exporter on a runtime of its own.
//!
//! The SDK's batch processor does the batching. Around it stand a gate that counts what waits, so that no span
//! is ever lost uncounted, and a wrapper that runs each export on our own small runtime: a stalled service does
//! not stall its traces, and a stalled collector does not stall the service.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use opentelemetry::Context;
use opentelemetry_otlp::{ExporterBuildError, SpanExporter as OtlpExporter, WithExportConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, Span, SpanData, SpanExporter, SpanProcessor,
};
use tokio::runtime::Handle;

use crate::TraceSettings;

/// Most spans in one request. 512 is OpenTelemetry's default.
const BATCH: usize = 512;

/// What became of the spans of this process.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub waiting: AtomicUsize,
    pub exported: AtomicU64,
    pub failed: AtomicU64,
    pub dropped: AtomicU64,
}

/// Builds the processor that an SDK provider hands its ended spans to. `handle` is where exports run.
pub(crate) fn processor(
    settings: &TraceSettings,
    handle: &Handle,
    counts: &Arc<Counts>,
) -> Result<Gate, ExporterBuildError> {
    let exporter = {
        // tonic binds its connection to the runtime it is built in.
        let _inside = handle.enter();
        OtlpExporter::builder()
            .with_tonic()
            .with_endpoint(settings.endpoint_url())
            .with_timeout(settings.export_timeout())
            .build()?
    };
    let exporter = Exporter {
        inner: Arc::new(exporter),
        handle: handle.clone(),
        timeout: settings.export_timeout(),
        counts: Arc::clone(counts),
        failing: AtomicBool::new(false),
    };
    let config = BatchConfigBuilder::default()
        .with_max_queue_size(settings.queue_size)
        .with_max_export_batch_size(BATCH.min(settings.queue_size))
        .with_scheduled_delay(Duration::from_millis(settings.flush_interval_ms))
        .build();
    let batches = BatchSpanProcessor::builder(exporter).with_batch_config(config).build();
    Ok(Gate { batches, limit: settings.queue_size, counts: Arc::clone(counts) })
}

/// Lets a span pass while fewer than `limit` wait. The queue behind has room for `limit`, so it never overflows.
#[derive(Debug)]
pub(crate) struct Gate {
    batches: BatchSpanProcessor,
    limit: usize,
    counts: Arc<Counts>,
}

impl SpanProcessor for Gate {
    fn on_start(&self, _span: &mut Span, _context: &Context) {}

    fn on_end(&self, span: SpanData) {
        if self.counts.waiting.fetch_add(1, Relaxed) < self.limit {
            return self.batches.on_end(span);
        }
        self.counts.waiting.fetch_sub(1, Relaxed);
        if self.counts.dropped.fetch_add(1, Relaxed) == 0 {
            tracing::warn!(limit = self.limit, "traces end faster than they are exported: spans are dropped");
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.batches.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.batches.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.batches.set_resource(resource);
    }
}

/// Runs exports on our runtime, bounds their time and counts them.
#[derive(Debug)]
struct Exporter {
    inner: Arc<OtlpExporter>,
    handle: Handle,
    timeout: Duration,
    counts: Arc<Counts>,
    failing: AtomicBool,
}

impl Exporter {
    /// Says once that exporting fails, and once that it works again.
    fn note(&self, spans: u64, result: &OTelSdkResult) {
        match result {
            Ok(()) => {
                self.counts.exported.fetch_add(spans, Relaxed);
                if self.failing.swap(false, Relaxed) {
                    tracing::info!("traces are exported again");
                }
            }
            Err(error) => {
                self.counts.failed.fetch_add(spans, Relaxed);
                if !self.failing.swap(true, Relaxed) {
                    tracing::warn!(%error, "traces cannot be exported; work goes on without them");
                }
            }
        }
    }
}

impl SpanExporter for Exporter {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len();
        self.counts.waiting.fetch_sub(spans, Relaxed);
        let (inner, timeout) = (Arc::clone(&self.inner), self.timeout);
        let export = self.handle.spawn(async move {
            tokio::time::timeout(timeout, inner.export(batch))
                .await
                .unwrap_or(Err(OTelSdkError::Timeout(timeout)))
        });
        // The task fails when the runtime goes away under it: the shutdown's time was up.
        let result = export.await.unwrap_or(Err(OTelSdkError::AlreadyShutdown));
        self.note(spans as u64, &result);
        result
    }

    fn set_resource(&mut self, resource: &Resource) {
        // The SDK sets the resource before the first export, so nobody else holds the exporter yet.
        if let Some(inner) = Arc::get_mut(&mut self.inner) {
            inner.set_resource(resource);
        }
    }
}
