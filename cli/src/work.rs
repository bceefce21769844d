//! Tasks as calls: a payload goes in, what the task returned comes out. Whoever asks through [`Work::ask`] waits on the
//! spot, as for a search; [`Work::submit`] is for a stage of a pipeline, which outlives a restart of anybody.

use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;
use tasklane_runtime::bus::{Bus, Headers};
use tasklane_runtime::contract::{code, id, subjects};
use tasklane_runtime::record::put_trace;
use tasklane_runtime::telemetry::TraceContext;

use crate::api::Explanation;
use crate::commands::result::returned;
use crate::deliver;
use crate::error::{CliError, Exit};
use crate::news::{self, Waited};
use crate::record::{Record, Stored};
use crate::session::Session;

/// How long an answer may take that somebody waits for: a model may have to be loaded for it first.
const ANSWER: Duration = Duration::from_secs(120);
/// How long it is tried again where nobody is there: a service that restarts is back by then.
const AWAY: Duration = Duration::from_secs(60);
/// The first pause before another try, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5));

/// The way to the services.
pub struct Work<'s> {
    /// Whose outputs they are.
    pub session: &'s Session,
    /// NATS.
    pub bus: Bus,
}

impl<'s> Work<'s> {
    /// Connects.
    ///
    /// # Errors
    /// NATS is not there, or not what is needed.
    pub async fn new(session: &'s Session) -> Result<Self, CliError> {
        Ok(Self { session, bus: session.bus().await? })
    }

    /// Asks through `api.run` and waits.
    ///
    /// # Errors
    /// Nobody serves it, the task failed, or NATS.
    pub async fn ask(
        &self,
        task_type: &str,
        payload: &Value,
        trace: Option<&TraceContext>,
    ) -> Result<Bytes, CliError> {
        let mut headers = Headers::new();
        put_trace(&mut headers, trace);
        let asked =
            self.bus.ask(&subjects::run(task_type), headers, payload.to_string().into(), ANSWER).await;
        let (headers, body) = asked?;
        self.done(&Stored::decode(&headers, &body)?.record).await
    }

    /// As [`Work::ask`], trying again for a while where nobody is there.
    ///
    /// # Errors
    /// As [`Work::ask`].
    pub async fn ask_patiently(
        &self,
        task_type: &str,
        payload: &Value,
        trace: Option<&TraceContext>,
    ) -> Result<Bytes, CliError> {
        patiently(AWAY, || self.ask(task_type, payload, trace)).await
    }

    /// Submits a task and waits for its result. Where NATS is away it is submitted again, under the same id.
    ///
    /// # Errors
    /// The task failed or expired, or NATS stays away.
    pub async fn submit(
        &self,
        task_type: &str,
        payload: &Value,
        trace: Option<&TraceContext>,
    ) -> Result<Bytes, CliError> {
        let id = id::fresh();
        let feed = patiently(AWAY, async || {
            let mut plan = deliver::of(task_type, payload, &id, None)?;
            let feed = news::listen_result(&self.bus, &id).await?;
            deliver::send_under(&self.bus, &mut plan, trace).await?;
            Ok(feed)
        })
        .await?;
        match news::wait(&self.bus, feed, &id, None, |_, _| {}).await? {
            Waited::Done(stored) => self.done(&stored.record).await,
            Waited::Interrupted | Waited::TooLong => {
                Err(CliError::new(code::CANCELLED, Exit::Interrupted, format!("the task {id} goes on")))
            }
        }
    }

    async fn done(&self, record: &Record) -> Result<Bytes, CliError> {
        match record.failure() {
            Some(e) => Err(e),
            None => patiently(AWAY, || returned(&self.bus, record)).await,
        }
    }

    /// Whether anybody can do a task, said before many wait for it in silence.
    ///
    /// # Errors
    /// Nobody can, and why; or the router does not answer.
    pub async fn somebody(&self, task_type: &str, payload: &Value) -> Result<(), CliError> {
        let task = serde_json::json!({"task_type": task_type, "payload": payload});
        let said: Explanation = self.session.ask(&self.bus, "api.route.explain", &task).await?;
        match said.route.pool.as_str() {
            "_" | "" => Err(CliError::new(
                code::UNKNOWN_TASK_TYPE,
                Exit::Failed,
                format!("nobody can do {task_type} now: {}", crate::format::one_line(&said.route.reason)),
            )
            .remedy("start the service that does; `tasklane workers --types` shows what there is")),
            _ => Ok(()),
        }
    }
}

/// Tries again, with growing pauses, what may go well a little later.
async fn patiently<T>(
    patience: Duration,
    mut each: impl AsyncFnMut() -> Result<T, CliError>,
) -> Result<T, CliError> {
    let until = tokio::time::Instant::now() + patience;
    let mut pause = PAUSES.0;
    loop {
        match each().await {
            Err(e) if passes(&e) && tokio::time::Instant::now() + pause < until => {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(PAUSES.1);
            }
            other => return other,
        }
    }
}

/// Whether it is NATS or a worker that is away, rather than the work that is wrong.
fn passes(e: &CliError) -> bool {
    match e {
        CliError::Told { code, exit, .. } => {
            code.starts_with("TL4") || (*exit == Exit::Unreachable && *code == code::NATS.as_str())
        }
        CliError::OutputClosed => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_is_away_is_waited_for_and_a_mistake_is_told_at_once() {
        let fails = |e: fn() -> CliError| async move {
            let mut tries = 0;
            let began = tokio::time::Instant::now();
            let ended: Result<(), _> = patiently(AWAY, async || {
                tries += 1;
                Err(e())
            })
            .await;
            assert!(ended.is_err());
            (tries, began.elapsed())
        };
        let (tries, took) = fails(|| CliError::new(code::NATS, Exit::Unreachable, "away")).await;
        assert!(tries > 10 && took > AWAY / 2 && took <= AWAY, "{tries} in {took:?}");
        let (tries, _) = fails(|| CliError::new(code::UNKNOWN_TASK_TYPE, Exit::Failed, "nobody")).await;
        assert!(tries > 10);
        let (tries, took) = fails(|| CliError::usage(code::SCHEMA, "wrong")).await;
        assert_eq!((tries, took), (1, Duration::ZERO));
    }
}
