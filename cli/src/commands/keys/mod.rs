//! `tasklane keys`: what NATS needs to know who is who. A folder with a seed for every user, the server's list of users
//! with their permissions, and certificates. What is there already stays, so that it can be run again for a new pool.

mod certificates;
mod files;
mod users;

use std::path::Path;

use tasklane_runtime::contract::code;

use crate::cli::KeysArgs;
use crate::error::{CliError, Exit};
use crate::session::Session;
use files::Folder;

/// Pools of the services that come with Tasklane, the object stores they read, and the buckets they keep (`+`).
const POOLS: [&str; 5] = [
    "generic",
    "document=documents",
    "openai-proxy=documents,+llm,+llm-cache",
    "ml=models",
    "vector-indexer=+vectors",
];
/// Names under which clients and other servers reach the server: here, in a compose network, and in Kubernetes.
const HOSTS: [&str; 6] = ["localhost", "127.0.0.1", "::1", "nats", "nats.tasklane", "*.nats-headless"];

/// Writes the folder.
///
/// # Errors
/// Names that cannot be, files that cannot be read or written.
pub fn run(args: &KeysArgs, session: &Session) -> Result<Exit, CliError> {
    let folder = Folder::open(&args.folder)?;
    let pools = remembered(&folder, "pools", &POOLS, &args.pools)?;
    let hosts = remembered(&folder, "hosts", &HOSTS, &args.hosts)?;
    let users = users::all(pools.iter().map(String::as_str))?;
    users::write(&folder, &users)?;
    certificates::write(&folder, &hosts, args.renew)?;
    for line in folder.said() {
        session.print(&line)?;
    }
    session.print(&next_steps(&args.folder))?;
    Ok(Exit::Succeeded)
}

/// What comes with Tasklane, what was named before, and what is named now: a folder forgets nobody.
fn remembered(folder: &Folder, file: &str, ours: &[&str], named: &[String]) -> Result<Vec<String>, CliError> {
    let before = folder.read(file)?.unwrap_or_default();
    let mut all: Vec<String> = before.lines().map(str::to_owned).collect();
    all.extend(named.iter().filter(|name| !before.lines().any(|line| line == *name)).cloned());
    if !named.is_empty() {
        folder.write(file, &(all.join("\n") + "\n"), "what was named, for the next time")?;
    }
    Ok(ours.iter().map(|name| (*name).to_owned()).chain(all).collect())
}

fn next_steps(folder: &Path) -> String {
    let folder = folder.display();
    format!(
        "Keep this folder secret. What it is for: docs/security.md\n\
         the stack here:  STACK_KEYS={folder} make up\n\
         this command:    TASKLANE_NATS_NKEY_FILE={folder}/operator.nk TASKLANE_NATS_TLS_CA_FILE={folder}/ca.crt \
         TASKLANE_NATS_INBOX_PREFIX=_INBOX.operator"
    )
}

/// A failure with a file.
fn failed(what: &Path, error: &dyn std::fmt::Display) -> CliError {
    CliError::new(code::CONFIG, Exit::Failed, format!("{}: {error}", what.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_named_before_is_not_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::open(dir.path()).unwrap();
        let named = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            remembered(&folder, "pools", &["generic"], &names).unwrap()
        };
        assert_eq!(named(&["bulk"]), ["generic", "bulk"]);
        assert_eq!(named(&["fast=documents", "bulk"]), ["generic", "bulk", "fast=documents"]);
        assert_eq!(named(&[]), ["generic", "bulk", "fast=documents"]);
    }
}
