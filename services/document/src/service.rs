//! The service: fetches what a task names and has a child do the job. `worker` makes tasks of it.

use std::path::PathBuf;

use serde_json::value::RawValue;

use crate::config::DocumentConfig;
use crate::contract::Request;
use crate::error::DocError;
use crate::formats::pdf::library;
use crate::job::Job;
use crate::limits::Limits;
use crate::plan;
use crate::sandbox::{Sandbox, SandboxConfig};
use crate::sources::{ObjectFetch, Sources, decode_inline};

/// Serves the three task types.
pub struct Service {
    sandbox: Sandbox,
    sources: Sources,
    limits: Limits,
}

impl Service {
    /// Starts the parsing children. The process's own binary must hand its arguments to `sandbox::child::run` where
    /// the first is `sandbox::child::FLAG`.
    ///
    /// # Errors
    /// `Sandbox` where no child can be started, `BadOption` where the configuration makes no sense.
    pub async fn start(config: &DocumentConfig) -> Result<Self, DocError> {
        let program =
            std::env::current_exe().map_err(|error| DocError::Sandbox { reason: error.to_string() })?;
        Self::start_with(config, sandbox_config(config, program)).await
    }

    /// As [`Service::start`], with children run as `sandbox` says.
    ///
    /// # Errors
    /// As [`Service::start`].
    pub async fn start_with(config: &DocumentConfig, sandbox: SandboxConfig) -> Result<Self, DocError> {
        let sources = Sources::new(&config.sources)?;
        Ok(Self { sandbox: Sandbox::start(sandbox).await?, sources, limits: config.limits.clone() })
    }

    /// How many documents are worked on at once.
    pub fn slots(&self) -> usize {
        self.sandbox.children()
    }

    /// Does the job that `request`'s options become by `job`; the answer is the task's result as JSON.
    ///
    /// # Errors
    /// What the request, its source, its document or a child's end calls for; see `docs/errors`.
    pub async fn serve<Options>(
        &self,
        request: Request<Options>,
        job: impl FnOnce(Options) -> Job,
        objects: &impl ObjectFetch,
    ) -> Result<Box<RawValue>, DocError> {
        request.check()?;
        let Request { source, content_base64, options } = request;
        let job = job(options);
        job.check()?;
        let bytes = if source.is_empty() {
            decode_inline(&content_base64, self.limits.max_bytes)?
        } else {
            drop(content_base64);
            self.sources.read(&plan::parse(&source)?, objects, self.limits.max_bytes).await?
        };
        let report = self.sandbox.run(&job, &bytes, &self.limits).await?;
        tracing::debug!(bytes = bytes.len(), cpu_us = report.usage.cpu_us, "a document was read");
        report.result
    }
}

/// How the configuration wants children of `program` to be run.
pub fn sandbox_config(config: &DocumentConfig, program: PathBuf) -> SandboxConfig {
    let parser = &config.parser;
    let cores = || std::thread::available_parallelism().map_or(1, usize::from);
    SandboxConfig {
        program,
        children: if parser.children == 0 { cores() } else { parser.children },
        timeout_ms: parser.timeout_ms,
        memory_mb: parser.memory_mb,
        recycle_after: parser.recycle_after,
        recycle_mb: parser.recycle_mb,
        pdfium_library: library::find(&parser.pdfium_library).unwrap_or_default(),
    }
}
