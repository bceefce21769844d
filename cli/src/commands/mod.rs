//! One file per command.

pub mod ask;
mod cancel;
mod dead;
mod doctor;
mod explain;
pub mod ingest;
mod keys;
mod lanes;
pub mod llm;
pub mod models;
mod pool;
pub mod result;
mod run;
pub mod search;
mod stack;
mod submit;
mod top;
pub mod vectors;
mod watch;
mod workers;

use clap::CommandFactory as _;

use crate::cli::{Cli, Command};
use crate::error::{CliError, Exit};
use crate::session::Session;

/// Does what was asked.
///
/// # Errors
/// As the command says.
pub async fn run(command: Command, session: &Session) -> Result<Exit, CliError> {
    match command {
        Command::Run(args) => run::run(args, session).await,
        Command::Submit(args) => submit::run(args, session).await,
        Command::Result(args) => result::run(args, session).await,
        Command::Watch(args) => watch::run(args, session).await,
        Command::Cancel(args) => cancel::run(args, session).await,
        Command::Explain(args) => explain::run(args, session).await,
        Command::Workers(args) => workers::run(args, session).await,
        Command::Lanes => lanes::run(session).await,
        Command::Top(args) => top::run(args, session).await,
        Command::Dead(command) => dead::run(command, session).await,
        Command::Llm(command) => llm::run(command, session).await,
        Command::Models(command) => models::run(command, session).await,
        Command::Ingest(args) => ingest::run(args, session).await,
        Command::Search(args) => search::run(args, session).await,
        Command::Ask(args) => ask::run(args, session).await,
        Command::Vectors(command) => vectors::run(command, session).await,
        Command::Pause(args) => pool::run(args, "pause", session).await,
        Command::Resume(args) => pool::run(args, "resume", session).await,
        Command::Doctor(args) => doctor::run(args, session).await,
        Command::Keys(args) => keys::run(&args, session),
        Command::Up => stack::run("up"),
        Command::Down => stack::run("down"),
        Command::Status => stack::run("status"),
        Command::Logs => stack::run("logs"),
        Command::Completions(args) => {
            let mut text = Vec::new();
            clap_complete::generate(args.shell, &mut Cli::command(), "tasklane", &mut text);
            session.print(&String::from_utf8_lossy(&text))?;
            Ok(Exit::Succeeded)
        }
    }
}
