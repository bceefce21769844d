//! A qdrant server of a test's own, on free ports of the loopback address, with a folder that it keeps when it is started
//! again. Nobody fetches one: `TASKLANE_TEST_QDRANT` names the program, and `scripts/test.sh` sets it where `qdrant` is on
//! the PATH. Without it a test is skipped.

use std::collections::BTreeMap;
use std::path::PathBuf;

use rustix::process::Signal;
use tempfile::TempDir;

use crate::child::{Plan, Running};
use crate::{child, http, port, tool, wait};

/// See the head of this room. It is killed when it is dropped.
#[derive(Debug)]
pub struct Qdrant {
    plan: Plan,
    http: u16,
    grpc: u16,
    running: Option<Running>,
    folder: TempDir,
}

impl Qdrant {
    /// Starts one and waits until it is ready. `None` where there is none; the test is then skipped, and that is said.
    ///
    /// # Panics
    /// Where it does not start.
    pub async fn start() -> Option<Self> {
        Self::start_with(&[]).await
    }

    /// As [`Qdrant::start`], with variables of its own.
    ///
    /// # Panics
    /// Where it does not start.
    pub async fn start_with(own: &[(&str, &str)]) -> Option<Self> {
        let named = std::env::var_os("TASKLANE_TEST_QDRANT").map(PathBuf::from);
        let Some(program) = named.filter(|program| program.is_file()) else {
            tool::skipped("qdrant", "(TASKLANE_TEST_QDRANT names no program)");
            return None;
        };
        let folder = TempDir::with_prefix("tasklane-qdrant-").unwrap_or_else(|e| panic!("{e}"));
        let (http, grpc) = (port::free(), port::free());
        let within = |name: &str| folder.path().join(name).display().to_string();
        let env = [
            ("QDRANT__SERVICE__HOST", "127.0.0.1".to_owned()),
            ("QDRANT__SERVICE__HTTP_PORT", http.to_string()),
            ("QDRANT__SERVICE__GRPC_PORT", grpc.to_string()),
            ("QDRANT__STORAGE__STORAGE_PATH", within("storage")),
            ("QDRANT__STORAGE__SNAPSHOTS_PATH", within("snapshots")),
            ("QDRANT__TELEMETRY_DISABLED", "true".to_owned()),
            // Else it marks the folder that it is started in.
            ("QDRANT_INIT_FILE_PATH", within("initialized")),
        ];
        let mut env: BTreeMap<String, String> =
            env.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        env.extend(own.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
        let plan = Plan { name: "qdrant".to_owned(), program, args: Vec::new(), env };
        let mut qdrant = Self { plan, http, grpc, running: None, folder };
        qdrant.start_again().await;
        Some(qdrant)
    }

    /// Where its gRPC is.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.grpc)
    }

    /// What it has written so far.
    ///
    /// # Panics
    /// Where it has no log.
    pub fn log(&self) -> String {
        child::log(self.folder.path(), &self.plan.name)
    }

    /// Kills it without a word (SIGKILL).
    ///
    /// # Panics
    /// Where it does not run.
    pub fn kill9(&mut self) {
        self.running.take().unwrap_or_else(|| panic!("qdrant does not run")).kill9();
    }

    /// Stops it where it is: connections stay, and nobody answers.
    ///
    /// # Panics
    /// Where it does not run.
    pub fn pause(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets it go on.
    ///
    /// # Panics
    /// Where it does not run.
    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        self.running.as_ref().unwrap_or_else(|| panic!("qdrant does not run")).signal(signal);
    }

    /// Starts it on the same ports and folder, and waits until it is ready.
    ///
    /// # Panics
    /// Where it does not come up.
    pub async fn start_again(&mut self) {
        let mut running = self.plan.start(self.folder.path());
        wait::until("qdrant is ready", async || {
            assert!(running.is_running(), "qdrant ended:\n{}", self.log());
            // It says that it is ready a moment before its gRPC is there.
            tokio::net::TcpStream::connect(("127.0.0.1", self.grpc)).await.ok()?;
            (http::get(self.http, "/readyz").await?.status == 200).then_some(())
        })
        .await;
        self.running = Some(running);
    }
}
