//! The document service's process; started with a hidden first argument it is one of its parsing children instead.

use std::process::ExitCode;

use tasklane_document::config::DocumentConfig;
use tasklane_document::sandbox::child;
use tasklane_document::worker;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    // A child needs no runtime: it must stay one thread, and small.
    if arguments.next().as_deref() == Some(child::FLAG) {
        return match child::run(&arguments.collect::<Vec<_>>()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("parsing child: {error}");
                ExitCode::FAILURE
            }
        };
    }
    serve()
}

#[tokio::main]
async fn serve() -> ExitCode {
    let mut config: DocumentConfig = tasklane_runtime::config::load_or_exit(worker::SERVICE);
    config.promise_memory();
    match worker::worker(&config).await {
        Ok(worker) => worker.main(config.nats, config.worker, config.log).await,
        Err(error) => {
            eprintln!("tasklane-document: {} {error}", error.code());
            ExitCode::FAILURE
        }
    }
}
