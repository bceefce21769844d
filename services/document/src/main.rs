//! The document service's process; started with a hidden first argument it is one of its parsing children instead.

use std::process::ExitCode;

use tasklane_document::sandbox::child;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    if arguments.next().as_deref() == Some(child::FLAG) {
        return match child::run(&arguments.collect::<Vec<_>>()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("parsing child: {error}");
                ExitCode::FAILURE
            }
        };
    }
    ExitCode::SUCCESS
}
