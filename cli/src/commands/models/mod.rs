//! `tasklane models`: the models of the ml workers, and those in the object store.

pub mod args;
mod store;
pub mod workers;

use args::ModelsCommand;
use tasklane_models::StoreError;
use tasklane_runtime::contract::{Code, code};

use crate::error::{CliError, Exit};
use crate::session::Session;

/// A model that is not what it has to be, as the ml service calls it.
const BAD_MODEL: Code = Code::new("TL2402");

/// Does what was asked.
///
/// # Errors
/// NATS, the disk, or a model that is none.
pub async fn run(command: ModelsCommand, session: &Session) -> Result<Exit, CliError> {
    match command {
        ModelsCommand::List => workers::list(session).await,
        ModelsCommand::Push(args) => store::push(args, session).await,
        ModelsCommand::Pull(args) => store::pull(args, session).await,
        ModelsCommand::Load(args) => workers::load(args, session).await,
        ModelsCommand::Unload(args) => workers::unload(args, session).await,
    }
}

impl From<StoreError> for CliError {
    fn from(error: StoreError) -> Self {
        let text = error.to_string();
        match error {
            StoreError::Bad(_) => Self::new(BAD_MODEL, Exit::Failed, text),
            StoreError::Absent(_) => {
                Self::new(code::NOT_FOUND, Exit::Failed, format!("{text} in the object store"))
                    .remedy("`tasklane models list` shows what there is")
            }
            StoreError::Io { .. } => Self::new(code::INTERNAL, Exit::Failed, text),
            StoreError::Bus(e) => e.into(),
        }
    }
}
