//! The router as a process.

use std::process::ExitCode;

use tasklane_router::config::RouterConfig;
use tasklane_runtime::{config, process};

#[tokio::main]
async fn main() -> ExitCode {
    let config: RouterConfig = config::load_or_exit("router");
    let guard = match process::start("router", &config.log) {
        Ok(guard) => guard,
        Err(e) => {
            eprintln!("tasklane-router: {e}");
            return ExitCode::from(2);
        }
    };
    let ended = tasklane_router::main(config).await;
    guard.shutdown();
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            tracing::error!("the router ends: {e}");
            ExitCode::FAILURE
        }
    }
}
