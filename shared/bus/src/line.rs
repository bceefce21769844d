//! What is said of the connection: once when it goes, once when it is back, and nothing of each attempt in between.

use std::sync::{Mutex, PoisonError};

use async_nats::Event;
use tokio::sync::watch;
use tracing::Level;

/// What the client says twice a second while the server is simply not there.
const STILL_AWAY: [&str; 3] = ["IO error", "timed out", "DNS error"];

/// Hears the client's events, counts connections, and logs.
#[derive(Debug)]
pub(crate) struct Line {
    state: Mutex<State>,
    generation: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct State {
    away: bool,
    /// The last trouble that was told since the connection went.
    told: Option<String>,
}

impl Line {
    /// `generation` counts connections.
    pub(crate) fn new(generation: watch::Sender<u64>) -> Self {
        Self { state: Mutex::default(), generation }
    }

    /// Takes an event.
    pub(crate) fn hear(&self, event: &Event) {
        if matches!(event, Event::Connected) {
            self.generation.send_modify(|n| *n += 1);
        }
        let said = self.state.lock().unwrap_or_else(PoisonError::into_inner).hear(event);
        match said {
            Some((Level::ERROR, text)) => tracing::error!("{text}"),
            Some((Level::WARN, text)) => tracing::warn!("{text}"),
            Some((_, text)) => tracing::info!("{text}"),
            None => tracing::debug!("NATS: {event}"),
        }
    }
}

impl State {
    /// What is to be said of an event.
    fn hear(&mut self, event: &Event) -> Option<(Level, String)> {
        let text = match event {
            Event::Connected => {
                let was_away = std::mem::take(self).away;
                return was_away.then(|| (Level::INFO, "the connection to NATS is back".to_owned()));
            }
            Event::Disconnected => {
                let was_away = std::mem::replace(&mut self.away, true);
                let gone = "the connection to NATS is gone; trying again";
                return (!was_away).then(|| (Level::WARN, gone.to_owned()));
            }
            Event::SlowConsumer(id) => {
                let text =
                    format!("NATS delivered faster than subscription {id} was read; messages were dropped");
                return Some((Level::ERROR, text));
            }
            Event::LameDuckMode => {
                return Some((Level::INFO, "the NATS server is shutting down; moving".to_owned()));
            }
            Event::Draining | Event::Closed => return None,
            Event::ServerError(e) => return Some((Level::ERROR, format!("NATS refused something: {e}"))),
            Event::ClientError(e) => e.to_string(),
        };
        let is_known = self.away && STILL_AWAY.iter().any(|still| text.ends_with(still));
        if is_known || self.told.as_ref() == Some(&text) {
            return None;
        }
        let said = format!("NATS client: {text}");
        // Where the connection stands, every trouble is a new one.
        self.told = self.away.then_some(text);
        Some((Level::WARN, said))
    }
}

#[cfg(test)]
mod tests {
    use async_nats::ClientError;

    use super::*;

    fn error(text: &str) -> Event {
        Event::ClientError(ClientError::Other(text.to_owned()))
    }

    #[test]
    fn who_is_away_is_told_once_and_so_is_the_return() {
        let mut state = State::default();
        let mut said = |event: Event| state.hear(&event).map(|(level, text)| format!("{level} {text}"));
        assert_eq!(said(Event::Connected), None, "the first connection is no return");
        for _ in 0..2 {
            assert!(said(Event::Disconnected).unwrap().starts_with("WARN the connection to NATS is gone"));
            for _ in 0..3 {
                assert_eq!(said(error("IO error")), None);
                assert_eq!(said(Event::Disconnected), None);
            }
            // A reason that is not the server's absence is told, once.
            assert!(said(error("authorization violation")).unwrap().ends_with("authorization violation"));
            assert_eq!(said(error("authorization violation")), None);
            assert_eq!(said(Event::Connected).unwrap(), "INFO the connection to NATS is back");
        }
        for _ in 0..2 {
            assert!(said(error("IO error")).unwrap().starts_with("WARN"), "while connected it is news");
        }
    }
}
