//! A script of the others that measures itself: a question in a line, an answer in a line.

use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::error::LoadError;
use crate::process;

/// No answer takes longer, or something is stuck.
const PATIENCE: Duration = Duration::from_secs(600);

/// It runs.
pub struct Peer {
    child: Child,
    asks: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
    /// What it is, with versions.
    pub is: String,
}

impl Peer {
    /// Starts it and waits until it is ready.
    ///
    /// # Errors
    /// Where it does not start.
    pub async fn start(mut command: Command) -> Result<Self, LoadError> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().map_err(LoadError::io("start Python"))?;
        let pipes = child.stdin.take().zip(child.stdout.take());
        let (asks, told) = pipes.ok_or_else(|| LoadError::Stack("a script without pipes".into()))?;
        let mut peer = Self { child, asks, answers: BufReader::new(told).lines(), is: String::new() };
        let hello = peer.answer().await?;
        let (is, threads) = (hello["is"].as_str().unwrap_or_default(), &hello["threads"]);
        peer.is = format!("{is}, {threads} threads");
        Ok(peer)
    }

    /// Asks.
    ///
    /// # Errors
    /// Where it ends instead.
    pub async fn ask(&mut self, question: &Value) -> Result<Value, LoadError> {
        let line = format!("{question}\n");
        self.asks.write_all(line.as_bytes()).await.map_err(LoadError::io("ask a script"))?;
        self.answer().await
    }

    /// Asks for what takes a while.
    ///
    /// # Errors
    /// Where it ends instead.
    pub async fn seconds(&mut self, question: &Value) -> Result<f64, LoadError> {
        let answer = self.ask(question).await?;
        answer["seconds"].as_f64().ok_or_else(|| LoadError::Stack(format!("a script answered {answer}")))
    }

    /// CPU time that it used so far.
    pub fn cpu(&self) -> Duration {
        self.child.id().and_then(process::tree_cpu).unwrap_or_default()
    }

    async fn answer(&mut self) -> Result<Value, LoadError> {
        let next = tokio::time::timeout(PATIENCE, self.answers.next_line()).await;
        let next = next.map_err(|_| LoadError::Stack("a script does not answer".into()))?;
        let line = next.map_err(LoadError::io("read a script's answer"))?;
        let line = line.ok_or_else(|| LoadError::Stack("a script ended before its answer".into()))?;
        serde_json::from_str(&line).map_err(|e| LoadError::Stack(format!("a script answered `{line}`: {e}")))
    }

    /// Ends it.
    ///
    /// # Errors
    /// Where it cannot be told.
    pub async fn stop(mut self) -> Result<(), LoadError> {
        if let Some(pid) = self.child.id().and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?)) {
            kill_process(pid, Signal::TERM).map_err(|e| LoadError::io("stop a script")(e.into()))?;
        }
        self.child.wait().await.map_err(LoadError::io("wait for a script"))?;
        Ok(())
    }
}
