//! The `tasklane` command: submit, watch, explain, operate.

mod api;
mod cli;
mod collection;
mod commands;
mod deliver;
mod error;
mod format;
mod news;
mod payload;
mod record;
mod session;
mod task;
mod units;
mod work;

use std::process::ExitCode;

use clap::Parser as _;
use tasklane_runtime::telemetry::{
    LogFormat, LogSettings, TraceSettings, TracingGuard, init_logs, init_tracing,
};

use cli::Cli;
use error::{CliError, Exit};
use session::Session;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let session = Session::new(cli.connection.into(), cli.json);
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(e) => return end(&session, &e.into()),
    };
    let traces = telemetry(&session);
    let ended = runtime.block_on(commands::run(cli.command, &session));
    // What was said last must not wait for a thread that still reads a key or a file.
    runtime.shutdown_background();
    if let Some(traces) = traces {
        traces.shutdown();
    }
    match ended {
        Ok(exit) => exit.into(),
        Err(e) => end(&session, &e),
    }
}

/// Only what needs attention is logged; the outcome itself is printed.
fn telemetry(session: &Session) -> Option<TracingGuard> {
    let quiet = LogSettings { format: LogFormat::Human, level: "error".into() };
    let started =
        init_logs("tasklane", &quiet).and_then(|()| init_tracing("tasklane", &TraceSettings::from_env()));
    match started {
        Ok(guard) => Some(guard),
        Err(e) => {
            session.warn(&format!("no traces are sent: {e}"));
            None
        }
    }
}

fn end(session: &Session, error: &CliError) -> ExitCode {
    if let CliError::Told { remedy, .. } = error {
        eprintln!("{}", session.paint_error.bad(&format!("tasklane: {error}")));
        if !remedy.is_empty() {
            eprintln!("  {remedy}");
        }
    }
    Exit::into(error.exit())
}
