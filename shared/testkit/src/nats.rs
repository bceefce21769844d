//! A NATS server with a store of its own.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::child::{Plan, Running};
use crate::{http, port, wait};

/// The name of its log.
pub const NAME: &str = "nats";

/// A NATS server on a port and a store that it keeps when it is started again.
#[derive(Debug)]
pub struct NatsServer {
    plan: Plan,
    logs: PathBuf,
    port: u16,
    monitor: u16,
    running: Option<Running>,
}

impl NatsServer {
    /// Starts a server whose store and configuration lie in `folder`.
    ///
    /// # Panics
    /// Where it does not start.
    pub async fn start(program: PathBuf, folder: &Path, logs: &Path) -> Self {
        let (port, monitor) = (port::free(), port::free());
        let config = folder.join("nats.conf");
        // As in config/nats-server.conf: what is too large for a task still reaches the router, which says so.
        let text = format!(
            "server_name: test\nlisten: \"127.0.0.1:{port}\"\nhttp: \"127.0.0.1:{monitor}\"\nmax_payload: 8MB\n\
             jetstream {{ store_dir: \"{}\" }}\n",
            folder.join("store").display()
        );
        std::fs::write(&config, text).unwrap_or_else(|e| panic!("{}: {e}", config.display()));
        let args = vec!["-c".to_owned(), config.display().to_string()];
        let plan = Plan { name: NAME.to_owned(), program, args, env: BTreeMap::new() };
        let mut server = Self { plan, logs: logs.to_path_buf(), port, monitor, running: None };
        server.start_again().await;
        server
    }

    /// Where clients connect to.
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Its monitoring page.
    pub fn monitor(&self) -> String {
        format!("http://127.0.0.1:{}", self.monitor)
    }

    /// Kills it without a word.
    ///
    /// # Panics
    /// Where it does not run.
    pub fn kill9(&mut self) {
        let mut running = self.running.take().unwrap_or_else(|| panic!("the NATS server does not run"));
        running.kill9();
    }

    /// Starts it on the same port and store, and waits until its store can be used.
    ///
    /// # Panics
    /// Where it does not come up.
    pub async fn start_again(&mut self) {
        let mut running = self.plan.start(&self.logs);
        wait::until("the NATS server is ready", async || {
            assert!(running.is_running(), "the NATS server ended: see its log");
            let page = http::get(self.monitor, "/healthz").await?;
            (page.status == 200).then_some(())
        })
        .await;
        self.running = Some(running);
    }
}
