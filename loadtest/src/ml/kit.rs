//! What the measurements of models stand on beside a stack: Python with the others' packages, their scripts, and the models,
//! in a folder that goes with it.

use std::path::{Path, PathBuf};

use tempfile::TempDir;
use tokio::process::Command;

use crate::args::Args;
use crate::error::LoadError;
use crate::programs::setup_knows;

/// The others' side, one script each.
const SCRIPTS: [(&str, &str); 4] = [
    ("models.py", include_str!("../../peers/models.py")),
    ("encode.py", include_str!("../../peers/encode.py")),
    ("serve.py", include_str!("../../peers/serve.py")),
    ("write.py", include_str!("../../peers/write.py")),
];

/// The kit.
pub struct Kit {
    folder: TempDir,
    python: PathBuf,
}

impl Kit {
    /// Finds Python and puts the scripts into place.
    ///
    /// # Errors
    /// Where there is no Python with the packages.
    pub fn new(args: &Args) -> Result<Self, LoadError> {
        let python = args.ml_python.clone().or_else(|| setup_knows("ml-peers")).ok_or_else(|| {
            LoadError::Stack(
                "sentence-transformers, LitServe and the models' packages are not there: `scripts/setup.sh ml-peers` \
                 gets them, or name their Python by --ml-python"
                    .into(),
            )
        })?;
        let folder = tempfile::tempdir().map_err(LoadError::io("make a folder"))?;
        for (name, text) in SCRIPTS {
            std::fs::write(folder.path().join(name), text).map_err(LoadError::io("write a script"))?;
        }
        Ok(Self { folder, python })
    }

    /// A file of the kit.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A script of the kit.
    pub fn script(&self, name: &str) -> Command {
        let mut command = Command::new(&self.python);
        command.arg(self.file(name)).current_dir(self.folder.path()).kill_on_drop(true);
        // What it has, it has; nothing is asked of the network.
        command.env("HF_HUB_OFFLINE", "1").env("TOKENIZERS_PARALLELISM", "true");
        command
    }

    /// A model of `models.py`, in a store of its own. Returns the store's folder and the model's.
    ///
    /// # Errors
    /// Where the script fails.
    pub async fn model(&self, name: &str) -> Result<(PathBuf, PathBuf), LoadError> {
        let store = self.file(&format!("store-{name}"));
        let place = store.join(name);
        if !place.exists() {
            eprintln!("  making the model `{name}`");
            let mut making = self.script("models.py");
            let status = making.arg(name).arg(&place).status().await;
            let status = status.map_err(LoadError::io("start Python"))?;
            if !status.success() {
                return Err(LoadError::Stack(format!("models.py {name}: {status}")));
            }
        }
        Ok((store, place))
    }
}

/// An example program of the ml service, which measures within its own process.
///
/// # Errors
/// Where it was not built.
pub fn example(services: &Path, name: &str) -> Result<PathBuf, LoadError> {
    let path = services.join("examples").join(name);
    match path.is_file() {
        true => Ok(path),
        false => Err(LoadError::Stack(format!(
            "{} is not there: `cargo build --release -p tasklane-ml --examples` makes it",
            path.display()
        ))),
    }
}
