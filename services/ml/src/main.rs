//! The process around the ml service.

use std::process::ExitCode;

use tasklane_ml::config::MlConfig;
use tasklane_ml::service::{self, SERVICE};

#[tokio::main]
async fn main() -> ExitCode {
    let config: MlConfig = tasklane_runtime::config::load_or_exit(SERVICE);
    let log = config.log.clone();
    tasklane_runtime::process::main(SERVICE, &log, service::run(config)).await
}
