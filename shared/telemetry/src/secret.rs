//! A wrapper that keeps a secret out of logs, spans, results and configuration dumps.

use std::fmt;

use serde::{Deserialize, Serialize, Serializer};

const HIDDEN: &str = "***";

/// A value that prints and serialises as `***`. Only [`Secret::expose`] gives it away.
#[derive(Clone, Default, Deserialize)]
#[serde(transparent)]
pub struct Secret<T>(T);

impl<T> Secret<T> {
    /// Wraps a secret.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// The secret itself. Call it where the secret is used, and nowhere earlier.
    pub const fn expose(&self) -> &T {
        &self.0
    }
}

impl<T> From<T> for Secret<T> {
    fn from(value: T) -> Self {
        Self(value)
    }
}

impl<T> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}

impl<T> fmt::Display for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}

impl<T> Serialize for Secret<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(HIDDEN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Serialize, Deserialize)]
    struct Config {
        key: Secret<String>,
    }

    #[test]
    fn no_way_of_printing_shows_the_secret() {
        let config: Config = serde_json::from_str(r#"{"key":"sk-12345"}"#).unwrap();
        assert_eq!(config.key.expose(), "sk-12345");
        assert_eq!(format!("{} {:?}", config.key, config), "*** Config { key: *** }");
        assert_eq!(serde_json::to_string(&config).unwrap(), r#"{"key":"***"}"#);
    }
}
