//! What every command works with: the connection, made when it is first needed, and the two outputs.

use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tasklane_runtime::bus::{Bus, BusConfig, Headers};
use tasklane_runtime::contract::code;

use crate::error::{CliError, Exit};
use crate::format::{self, Paint};

/// How long a command tries to reach NATS. A server that is just starting is there by then.
const PATIENCE: Duration = Duration::from_millis(500);

/// Connection and outputs of one command.
pub struct Session {
    /// How to reach NATS.
    pub config: BusConfig,
    /// `--json` was given.
    pub json: bool,
    /// Standard output is a terminal.
    pub terminal: bool,
    /// For standard output.
    pub paint: Paint,
    /// For standard error.
    pub paint_error: Paint,
}

impl Session {
    /// Looks at where the outputs go. Colours follow <https://no-color.org>.
    pub fn new(config: BusConfig, json: bool) -> Self {
        let colours = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let terminal = std::io::stdout().is_terminal();
        Self {
            config,
            json,
            terminal,
            paint: Paint { on: terminal && colours },
            paint_error: Paint { on: std::io::stderr().is_terminal() && colours },
        }
    }

    /// Whether a single result is printed as JSON: because it was asked for, or because a program reads it.
    pub fn wants_json(&self) -> bool {
        self.json || !self.terminal
    }

    /// Connects.
    ///
    /// # Errors
    /// NATS is not there, or not what is needed.
    pub async fn bus(&self) -> Result<Bus, CliError> {
        Ok(Bus::connect(&self.config, "tasklane-cli", PATIENCE).await?)
    }

    /// How long an answer may take.
    pub fn timeout(&self) -> Duration {
        Duration::from_millis(self.config.timeout_ms)
    }

    /// Asks the router and reads its answer.
    ///
    /// # Errors
    /// Nobody answers, the router refuses, or the answer cannot be read.
    pub async fn ask<A: DeserializeOwned>(
        &self,
        bus: &Bus,
        subject: &str,
        request: &impl Serialize,
    ) -> Result<A, CliError> {
        let answer = self.ask_raw(bus, subject, request).await?;
        self.read(subject, &answer)
    }

    /// Asks the router; the answer stays as it is.
    ///
    /// # Errors
    /// Nobody answers, or the router refuses.
    pub async fn ask_raw(
        &self,
        bus: &Bus,
        subject: &str,
        request: &impl Serialize,
    ) -> Result<Bytes, CliError> {
        let body = serde_json::to_vec(request).map_err(|e| unreadable(subject, &e))?;
        let (_, answer) = bus.ask(subject, Headers::new(), body.into(), self.timeout()).await?;
        Ok(answer)
    }

    /// Reads an answer of the router.
    ///
    /// # Errors
    /// It is not what this version knows.
    pub fn read<A: DeserializeOwned>(&self, subject: &str, answer: &[u8]) -> Result<A, CliError> {
        serde_json::from_slice(answer).map_err(|e| unreadable(subject, &e))
    }

    /// Asks the router and prints its answer: as it is with `--json`, else as `render` makes it.
    ///
    /// # Errors
    /// Nobody answers, the router refuses, or the answer cannot be read.
    pub async fn show<A: DeserializeOwned>(
        &self,
        bus: &Bus,
        subject: &str,
        request: &impl Serialize,
        render: impl FnOnce(&A, Paint) -> String,
    ) -> Result<(), CliError> {
        let answer = self.ask_raw(bus, subject, request).await?;
        if self.json {
            return self.print(&format::json::indent(&String::from_utf8_lossy(&answer)));
        }
        self.print(&render(&self.read(subject, &answer)?, self.paint))
    }

    /// Prints text with its line end.
    ///
    /// # Errors
    /// Nobody reads standard output any more, or it cannot be written.
    pub fn print(&self, text: &str) -> Result<(), CliError> {
        let mut out = std::io::stdout().lock();
        out.write_all(text.as_bytes())?;
        if !text.ends_with('\n') {
            out.write_all(b"\n")?;
        }
        Ok(out.flush()?)
    }

    /// Tells the person, beside the output.
    pub fn note(&self, text: &str) {
        eprintln!("{}", self.paint_error.dim(text));
    }

    /// Warns the person, beside the output.
    pub fn warn(&self, text: &str) {
        eprintln!("{}", self.paint_error.warn(text));
    }
}

fn unreadable(subject: &str, e: &serde_json::Error) -> CliError {
    CliError::new(code::UNREADABLE, Exit::Failed, format!("{subject}: the answer cannot be read: {e}"))
        .remedy("the command and the router are probably of different versions")
}
