//! Headers of a message.

use async_nats::HeaderMap;

/// Headers of a message.
#[derive(Debug, Clone, Default)]
pub struct Headers(pub(crate) HeaderMap);

impl Headers {
    /// No headers yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a header. Line breaks cannot stand in a value; they become spaces.
    pub fn set(&mut self, name: &'static str, value: &str) {
        if value.contains(['\r', '\n']) {
            self.0.insert(name, value.replace(['\r', '\n'], " ").as_str());
        } else {
            self.0.insert(name, value);
        }
    }

    /// As [`Headers::set`], for building.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: &str) -> Self {
        self.set(name, value);
        self
    }

    /// A header's last value.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get_last(name).map(|value| value.as_str())
    }

    /// All headers, for a dead letter.
    pub fn to_map(&self) -> std::collections::BTreeMap<String, String> {
        self.0
            .iter()
            .filter_map(|(name, values)| Some((name.to_string(), values.last()?.as_str().to_owned())))
            .collect()
    }
}

/// A header of a message that may have none.
pub(crate) fn header<'a>(message: &'a async_nats::Message, name: &str) -> Option<&'a str> {
    message.headers.as_ref()?.get_last(name).map(|value| value.as_str())
}
