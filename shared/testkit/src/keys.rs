//! Users of NATS, as `tasklane keys` makes them.

use std::path::{Path, PathBuf};
use std::process::Command;

use tasklane_bus::BusConfig;
use tasklane_contract::permissions;

use crate::tool;

/// A folder of keys.
#[derive(Debug, Clone)]
pub struct Keys(PathBuf);

impl Keys {
    /// Makes one at `folder`.
    ///
    /// # Panics
    /// Where the command fails.
    pub fn make(folder: &Path) -> Self {
        let mut command = Command::new(tool::ours("tasklane"));
        let said = command.arg("keys").arg(folder).output().unwrap_or_else(|e| panic!("tasklane keys: {e}"));
        assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
        Self(folder.to_path_buf())
    }

    /// Where it is.
    pub fn folder(&self) -> &Path {
        &self.0
    }

    /// How a user connects.
    pub fn config(&self, user: &str, url: &str) -> BusConfig {
        BusConfig {
            url: url.to_owned(),
            nkey_file: self.0.join(format!("{user}.nk")).display().to_string(),
            tls_ca_file: self.0.join("ca.crt").display().to_string(),
            inbox_prefix: permissions::inbox_prefix(user),
            ..BusConfig::default()
        }
    }

    /// The variables by which a service connects as a user.
    pub fn env(&self, user: &str) -> [(String, String); 3] {
        let config = self.config(user, "");
        [
            ("TASKLANE_NATS_NKEY_FILE".to_owned(), config.nkey_file),
            ("TASKLANE_NATS_TLS_CA_FILE".to_owned(), config.tls_ca_file),
            ("TASKLANE_NATS_INBOX_PREFIX".to_owned(), config.inbox_prefix),
        ]
    }
}
