//! What happens to tasks, as it happens: events and results over core NATS, and waiting for one result.

use std::pin::Pin;
use std::time::Duration;

use futures::{Stream, StreamExt as _};
use tasklane_runtime::bus::{Bus, BusError};
use tasklane_runtime::contract::{streams, subjects};

use crate::error::CliError;
use crate::record::Stored;

/// How often the stream is asked for a result that core NATS may have lost (a reconnect drops messages).
const POLL: Duration = Duration::from_secs(2);

/// Something happened.
#[derive(Debug)]
pub enum News {
    /// A task said something while it ran.
    Event {
        /// Its type.
        task_type: String,
        /// Its id.
        task_id: String,
        /// `started`, `progress`, or what the handler named.
        kind: String,
        /// What it said; null where it is not JSON.
        body: serde_json::Value,
    },
    /// A task ended.
    Result(Box<Stored>),
}

/// News, as they come.
pub type Feed = Pin<Box<dyn Stream<Item = News> + Send>>;

/// Listens for a task type's and a task's events and results; `*` stands for any. After this nothing is missed.
///
/// # Errors
/// The connection is gone.
pub async fn listen(bus: &Bus, task_type: &str, task_id: &str) -> Result<Feed, CliError> {
    let events = bus.listen(subjects::event(task_type, task_id, ">")).await?;
    let results = bus.listen(subjects::result(task_id)).await?;
    bus.flush().await?;
    let events = events.filter_map(|(subject, _, body)| async move { event(&subject, &body) });
    let results = results.filter_map(|(_, headers, body)| async move {
        Stored::decode(&headers, &body).ok().map(|stored| News::Result(Box::new(stored)))
    });
    Ok(Box::pin(futures::stream::select(events, results)))
}

/// Listens for a task's result alone. After this it is not missed.
///
/// # Errors
/// The connection is gone.
pub async fn listen_result(bus: &Bus, task_id: &str) -> Result<Feed, CliError> {
    let results = bus.listen(subjects::result(task_id)).await?;
    bus.flush().await?;
    Ok(Box::pin(results.filter_map(|(_, headers, body)| async move {
        Stored::decode(&headers, &body).ok().map(|stored| News::Result(Box::new(stored)))
    })))
}

fn event(subject: &str, body: &[u8]) -> Option<News> {
    let mut tokens = subject.splitn(4, '.').skip(1).map(str::to_owned);
    Some(News::Event {
        task_type: tokens.next()?,
        task_id: tokens.next()?,
        kind: tokens.next()?,
        body: serde_json::from_slice(body).unwrap_or_default(),
    })
}

/// The stored result of a task; `None` if there is none yet.
///
/// # Errors
/// NATS, or a result that cannot be read.
pub async fn stored(bus: &Bus, task_id: &str) -> Result<Option<Stored>, CliError> {
    match bus.last_on(streams::RESULTS, &subjects::result(task_id)).await {
        Ok(message) => Stored::decode(&message.headers, &message.body).map(Some),
        Err(BusError::NotFound(_)) => Ok(None),
        Err(e) => Err(e.into()),
    }
}

/// How a wait ended.
#[derive(Debug)]
pub enum Waited {
    /// With the result.
    Done(Box<Stored>),
    /// The time was over.
    TooLong,
    /// Ctrl-C.
    Interrupted,
}

/// Waits for a task's result; `None` waits for ever. Events on the way go to `on_event`.
///
/// # Errors
/// None of its own: that NATS is away for a while is waited out.
pub async fn wait(
    bus: &Bus,
    mut feed: Feed,
    task_id: &str,
    patience: Option<Duration>,
    mut on_event: impl FnMut(&str, &serde_json::Value),
) -> Result<Waited, CliError> {
    let mut poll = tokio::time::interval(POLL);
    poll.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let over = async {
        match patience {
            Some(patience) => tokio::time::sleep(patience).await,
            None => std::future::pending().await,
        }
    };
    tokio::pin!(over);
    loop {
        tokio::select! {
            news = feed.next() => match news {
                Some(News::Result(stored)) => return Ok(Waited::Done(stored)),
                Some(News::Event { kind, body, .. }) => on_event(&kind, &body),
                // Only a closed client ends the feed; the poll goes on and says what is wrong.
                None => feed = Box::pin(futures::stream::pending()),
            },
            // That nothing is found, or NATS is away, ends nothing: the result comes over the feed all the same; the
            // poll only makes up for what that has lost.
            _ = poll.tick() => if let Ok(Some(stored)) = stored(bus, task_id).await {
                return Ok(Waited::Done(Box::new(stored)));
            },
            () = &mut over => return Ok(Waited::TooLong),
            // Without a handler for signals there is nothing to listen for, and the wait goes on.
            Ok(()) = tokio::signal::ctrl_c() => return Ok(Waited::Interrupted),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_read_off_its_subject() {
        let Some(News::Event { task_type, task_id, kind, body }) =
            event("events.echo.t-1.progress", b"{\"fraction\":1}")
        else {
            panic!("no event")
        };
        assert_eq!((task_type.as_str(), task_id.as_str(), kind.as_str()), ("echo", "t-1", "progress"));
        assert_eq!(body["fraction"], 1);
        assert!(event("events.echo", b"").is_none());
    }
}
