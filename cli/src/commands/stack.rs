//! `tasklane up`, `down`, `status` and `logs`: the checkout's own script does the work.

use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};

use tasklane_runtime::contract::code;

use crate::error::{CliError, Exit};

const SCRIPT: &str = "scripts/stack.sh";

/// Becomes the script: its signals and its exit code are ours. Returns only where that fails.
///
/// # Errors
/// No checkout around here, or a script that cannot be run.
pub fn run(what: &str) -> Result<Exit, CliError> {
    let here = std::env::current_dir()?;
    let script = find(&here, Path::is_file).ok_or_else(|| {
        CliError::usage(code::CONFIG, format!("there is no Tasklane checkout in {} or above", here.display())).remedy(
            "`up` runs the programs of a checkout: change into one, run `make setup build`, then `tasklane up`. \
             Elsewhere: `docker compose up`, or the services and nats-server by hand",
        )
    })?;
    let error = std::process::Command::new(&script).arg(what).exec();
    Err(CliError::new(code::CONFIG, Exit::Failed, format!("{} cannot be run: {error}", script.display())))
}

/// The script of the nearest checkout. The members' list beside it tells it from others of that name.
fn find(from: &Path, is_file: impl Fn(&Path) -> bool) -> Option<PathBuf> {
    from.ancestors()
        .find(|at| is_file(&at.join(SCRIPT)) && is_file(&at.join("services/router/Cargo.toml")))
        .map(|at| at.join(SCRIPT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_checkout_is_found_from_below() {
        let files = ["/a/scripts/stack.sh", "/a/services/router/Cargo.toml", "/a/b/scripts/stack.sh"];
        let is_file = |path: &Path| files.iter().any(|file| path == Path::new(file));
        assert_eq!(find(Path::new("/a/b/c"), is_file), Some("/a/scripts/stack.sh".into()));
        assert_eq!(find(Path::new("/x"), is_file), None);
    }
}
