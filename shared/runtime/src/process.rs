//! A process of ours: logs, traces, signals, and an exit code that says how it ended.

use std::fmt::Display;
use std::process::ExitCode;

use serde::{Deserialize, Serialize};
use tasklane_telemetry::{LogFormat, LogSettings, TraceSettings, TracingGuard, init_logs, init_tracing};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::config::Problem;

/// How the log looks.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogConfig {
    /// `auto`, `human` or `json`.
    pub format: String,
    /// `error`, `warn`, `info`, `debug`, or directives as in `RUST_LOG`.
    pub level: String,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { format: "auto".into(), level: "info".into() }
    }
}

impl LogConfig {
    /// Finds a format that does not exist.
    pub fn check(&self) -> Vec<Problem> {
        match self.format.as_str() {
            "auto" | "human" | "json" => vec![],
            other => vec![Problem::new("log.format", format!("\"{other}\" is none of auto, human, json"))],
        }
    }

    fn settings(&self) -> LogSettings {
        let format = match self.format.as_str() {
            "human" => LogFormat::Human,
            "json" => LogFormat::Json,
            _ => LogFormat::Auto,
        };
        LogSettings { format, level: self.level.clone() }
    }
}

/// Runs a service as a process: logs and traces around it, and the exit code that says how it ended: 2 where it could not
/// begin, 1 where it failed.
///
/// It runs on the runtime's workers, not on the thread that calls this: what the connection hands on to it then stays on
/// one thread, instead of waking another for every message.
pub async fn main<E: Display + Send + 'static>(
    service: &str,
    log: &LogConfig,
    run: impl Future<Output = Result<(), E>> + Send + 'static,
) -> ExitCode {
    let guard = match start(service, log) {
        Ok(guard) => guard,
        Err(e) => {
            eprintln!("tasklane-{service}: {e}");
            return ExitCode::from(2);
        }
    };
    let ended = tokio::spawn(run).await;
    // What is said after this reaches the log, but no collector of traces.
    guard.shutdown();
    let why = match ended {
        Ok(Ok(())) => return ExitCode::SUCCESS,
        Ok(Err(e)) => e.to_string(),
        Err(panicked) => panicked.to_string(),
    };
    tracing::error!("{service} ends: {why}");
    ExitCode::FAILURE
}

/// Starts logs and traces. Keep the guard until the end.
///
/// # Errors
/// A level that cannot be read, or a second start.
fn start(service: &str, log: &LogConfig) -> Result<TracingGuard, tasklane_telemetry::TelemetryError> {
    init_logs(service, &log.settings())?;
    init_tracing(service, &TraceSettings::from_env())
}

/// Fires at SIGTERM or SIGINT.
///
/// # Errors
/// Where the process may not listen to signals.
pub fn stop_signal() -> std::io::Result<CancellationToken> {
    let token = CancellationToken::new();
    let mut term = signal(SignalKind::terminate())?;
    let mut int = signal(SignalKind::interrupt())?;
    let fired = token.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = term.recv() => tracing::info!("SIGTERM: draining"),
            _ = int.recv() => tracing::info!("SIGINT: draining"),
        }
        fired.cancel();
    });
    Ok(token)
}
