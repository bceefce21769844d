//! The process around the vector indexer.

use std::process::ExitCode;

use tasklane_vector_indexer::config::VectorConfig;
use tasklane_vector_indexer::service::{self, SERVICE};

#[tokio::main]
async fn main() -> ExitCode {
    let config: VectorConfig = tasklane_runtime::config::load_or_exit(SERVICE);
    let log = config.log.clone();
    tasklane_runtime::process::main(SERVICE, &log, service::run(config)).await
}
