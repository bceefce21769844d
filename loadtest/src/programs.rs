//! Finds the programs that a stack is made of.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::args::Args;
use crate::error::LoadError;
use crate::stack::Programs;

/// The server and the services, as the command line says or where they usually lie.
///
/// # Errors
/// Where the server cannot be found.
pub fn find(args: &Args) -> Result<Programs, LoadError> {
    let services = match &args.services {
        Some(folder) => folder.clone(),
        None => own_folder()?,
    };
    let nats = match (&args.nats_server, &args.nats) {
        (Some(path), _) => path.clone(),
        // A stack that runs already needs no server of ours.
        (None, Some(_)) => PathBuf::new(),
        (None, None) => ask_setup()?,
    };
    Ok(Programs { nats, services, durability: args.durability })
}

fn own_folder() -> Result<PathBuf, LoadError> {
    let own = std::env::current_exe().map_err(LoadError::io("find this program's folder"))?;
    Ok(own.parent().unwrap_or(Path::new(".")).to_owned())
}

fn ask_setup() -> Result<PathBuf, LoadError> {
    let missing =
        || LoadError::Stack("there is no nats-server: run `make setup`, or name one by --nats-server".into());
    setup_knows("nats-server").ok_or_else(missing)
}

/// Where a tool lies: the checkout's own script knows, from anywhere inside the checkout.
pub fn setup_knows(tool: &str) -> Option<PathBuf> {
    let here = std::env::current_dir().ok()?;
    let script =
        here.ancestors().map(|folder| folder.join("scripts/setup.sh")).find(|script| script.is_file())?;
    let answer = Command::new(script).args(["--print-path", tool]).output().ok()?;
    let path = String::from_utf8_lossy(&answer.stdout).trim().to_owned();
    (answer.status.success() && !path.is_empty()).then(|| path.into())
}
