//! The router as a process.

use std::process::ExitCode;

use tasklane_router::config::RouterConfig;
use tasklane_runtime::{config, process};

#[tokio::main]
async fn main() -> ExitCode {
    let config: RouterConfig = config::load_or_exit("router");
    let log = config.log.clone();
    process::main("router", &log, tasklane_router::main(config)).await
}
