//! The process around the generic worker.

use std::process::ExitCode;

use tasklane_generic::GenericConfig;

#[tokio::main]
async fn main() -> ExitCode {
    let config: GenericConfig = tasklane_runtime::config::load_or_exit("generic");
    match tasklane_generic::worker(&config) {
        Ok(worker) => worker.main(config.nats, config.worker, config.log).await,
        Err(e) => {
            eprintln!("tasklane-generic: {e}");
            ExitCode::FAILURE
        }
    }
}
