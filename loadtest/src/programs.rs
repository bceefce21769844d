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

/// The checkout's own script knows where the server lies, from anywhere inside the checkout.
fn ask_setup() -> Result<PathBuf, LoadError> {
    let here = std::env::current_dir().map_err(LoadError::io("find the current folder"))?;
    let script =
        here.ancestors().map(|folder| folder.join("scripts/setup.sh")).find(|script| script.is_file());
    let missing =
        || LoadError::Stack("there is no nats-server: run `make setup`, or name one by --nats-server".into());
    let mut ask = Command::new(script.ok_or_else(missing)?);
    let answer =
        ask.args(["--print-path", "nats-server"]).output().map_err(LoadError::io("ask scripts/setup.sh"))?;
    let path = String::from_utf8_lossy(&answer.stdout).trim().to_owned();
    if answer.status.success() && !path.is_empty() { Ok(path.into()) } else { Err(missing()) }
}
