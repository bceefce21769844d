//! A user of a stack: submits tasks, waits for results, asks the API.

use std::time::Duration;

use serde_json::{Value, json};
use tasklane_bus::{Bus, BusConfig, BusError, Headers, Outgoing, Stored};
use tasklane_contract::{headers, id, streams, subjects};
use tokio::sync::mpsc;

use crate::results::{Record, Results};
use crate::wait;

/// Submissions whose acknowledgement is awaited while others are sent.
const IN_FLIGHT: usize = 2_000;

/// A connection of the test's own. Clones share it.
#[derive(Clone)]
pub struct Client {
    /// For what this client has no word for.
    pub bus: Bus,
}

/// A task with an id and what else `more` says, on `tasks.submit`.
///
/// # Panics
/// Where `more` is no object.
pub fn task(id: &str, task_type: &str, payload: Value, more: Value) -> Outgoing {
    let mut task = json!({"id": id, "task_type": task_type, "payload": payload});
    match (task.as_object_mut(), more) {
        (Some(task), Value::Object(more)) => task.extend(more),
        (_, more) => panic!("{more} is no object"),
    }
    Outgoing::new(subjects::SUBMIT, task.to_string()).header(headers::MSG_ID, id)
}

impl Client {
    /// Connects.
    ///
    /// # Panics
    /// Where nobody listens at `url`.
    pub async fn connect(url: &str) -> Self {
        Self::connect_as(&BusConfig { url: url.to_owned(), ..BusConfig::default() }).await
    }

    /// Connects as a user.
    ///
    /// # Panics
    /// Where the server does not let it in.
    pub async fn connect_as(config: &BusConfig) -> Self {
        match Bus::connect(config, "test", wait::PATIENCE).await {
            Ok(bus) => Self { bus },
            Err(e) => panic!("{e}"),
        }
    }

    /// Publishes a message and returns what the stream said.
    ///
    /// # Panics
    /// Where it is not stored.
    pub async fn publish(&self, out: Outgoing) -> Stored {
        let subject = out.subject.clone();
        self.bus.store(out).await.unwrap_or_else(|e| panic!("{subject}: {e}"))
    }

    /// Submits a task with a fresh id, and returns the id.
    ///
    /// # Panics
    /// Where it is not stored.
    pub async fn submit(&self, task_type: &str, payload: Value) -> String {
        self.submit_with(task_type, payload, json!({})).await
    }

    /// [`Client::submit`] with more of a task's fields.
    ///
    /// # Panics
    /// Where it is not stored.
    pub async fn submit_with(&self, task_type: &str, payload: Value, more: Value) -> String {
        let id = id::fresh();
        self.publish(task(&id, task_type, payload, more)).await;
        id
    }

    /// Submits very many: sends on while acknowledgements are awaited, and sends again what was not acknowledged. When
    /// it returns, every one is accepted. Every message needs an id.
    ///
    /// # Panics
    /// Where one cannot be sent at all.
    pub async fn submit_all(&self, tasks: impl IntoIterator<Item = Outgoing>) {
        let (sent, mut awaited) = mpsc::channel(IN_FLIGHT);
        let sending = async {
            for out in tasks {
                let ack = self.bus.send(out.clone()).await.unwrap_or_else(|e| panic!("{}: {e}", out.subject));
                assert!(sent.send((ack, out)).await.is_ok(), "nobody awaits acknowledgements");
            }
            drop(sent);
        };
        let awaiting = async {
            let mut again = Vec::new();
            while let Some((ack, out)) = awaited.recv().await {
                if ack.stored().await.is_err() {
                    again.push(out);
                }
            }
            for out in again {
                self.bus.store_surely(out).await.unwrap_or_else(|e| panic!("not accepted: {e}"));
            }
        };
        tokio::join!(sending, awaiting);
    }

    /// Waits for a task's result.
    ///
    /// # Panics
    /// Where there is none within [`wait::PATIENCE`].
    pub async fn record(&self, id: &str) -> Record {
        let what = format!("task {id} has its result");
        wait::until(&what, async || self.record_now(id).await).await
    }

    /// A task's result, if it has one.
    pub async fn record_now(&self, id: &str) -> Option<Record> {
        let stored = self.bus.last_on(streams::RESULTS, &subjects::result(id)).await.ok()?;
        Some(Record::of(stored))
    }

    /// Waits for a task's result, which is JSON.
    ///
    /// # Panics
    /// Where there is none within [`wait::PATIENCE`].
    pub async fn result(&self, id: &str) -> Value {
        self.record(id).await.json()
    }

    /// Submits, and waits for the result.
    ///
    /// # Panics
    /// As both do.
    pub async fn run(&self, task_type: &str, payload: Value) -> Value {
        let id = self.submit(task_type, payload).await;
        self.result(&id).await
    }

    /// Asks the API; a refusal is its code and text.
    ///
    /// # Errors
    /// What the service refused.
    ///
    /// # Panics
    /// Where nobody answers.
    pub async fn ask(&self, subject: &str, body: Value) -> Result<Value, (String, String)> {
        self.ask_with(subject, Headers::new(), body.to_string()).await
    }

    /// [`Client::ask`] with headers and any body.
    ///
    /// # Errors
    /// What the service refused.
    ///
    /// # Panics
    /// Where nobody answers, and where the answer is no JSON.
    pub async fn ask_with(
        &self,
        subject: &str,
        headers: Headers,
        body: String,
    ) -> Result<Value, (String, String)> {
        let answer = self.bus.ask(subject, headers, body.into(), Duration::from_secs(30)).await;
        match answer {
            Ok((_, body)) => {
                let value = serde_json::from_slice(&body);
                Ok(value.unwrap_or_else(|e| panic!("{subject} did not answer JSON: {e}: {body:?}")))
            }
            Err(BusError::Answer { code, message }) => Err((code, message)),
            Err(e) => panic!("{subject}: {e}"),
        }
    }

    /// Asks the API for what it will not refuse.
    ///
    /// # Panics
    /// Where it does.
    pub async fn api(&self, subject: &str, body: Value) -> Value {
        self.ask(subject, body).await.unwrap_or_else(|(code, text)| panic!("{subject}: {code} {text}"))
    }

    /// Messages that are in a stream now; `None` while the server does not say.
    pub async fn messages(&self, stream: &str) -> Option<u64> {
        self.bus.stream_load(stream).await.ok().map(|load| load.messages)
    }

    /// Waits until a stream holds at least `n` messages.
    ///
    /// # Panics
    /// Where it does not within `patience`.
    pub async fn at_least(&self, stream: &str, n: u64, patience: Duration) {
        let mut seen = 0;
        let what = format!("{stream} holds {n} messages");
        wait::until_within(&what, patience, async || {
            seen = self.messages(stream).await.unwrap_or(seen);
            (seen >= n).then_some(())
        })
        .await;
    }

    /// Reads all results, from the first one on.
    ///
    /// # Panics
    /// Where the stream cannot be read.
    pub async fn results(&self) -> Results {
        Results::open(&self.bus).await
    }
}
