//! JSON Schemas that workers announce, compiled once each.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use jsonschema::Validator;
use serde_json::Value;
use tasklane_contract::{Refusal, code};

/// Violations that a refusal names.
const NAMED: usize = 5;

/// A compiled schema.
pub struct Schema(Validator);

impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Schema")
    }
}

impl Schema {
    /// Holds a payload against it.
    ///
    /// # Errors
    /// TL1010, naming each place (the first few).
    pub fn check(&self, payload: &[u8]) -> Result<(), Refusal> {
        let value: Value = serde_json::from_slice(payload)
            .map_err(|e| Refusal::new(code::NOT_JSON, format!("the payload is not JSON: {e}")))?;
        if self.0.is_valid(&value) {
            return Ok(());
        }
        let texts: Vec<String> = self
            .0
            .iter_errors(&value)
            .take(NAMED)
            .map(|e| format!("payload{}: {}", e.instance_path(), shortened(&e.to_string())))
            .collect();
        Err(Refusal::new(code::SCHEMA, texts.join("; ")))
    }
}

/// A violation quotes the value; a long one is cut.
fn shortened(text: &str) -> String {
    match text.char_indices().nth(300) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

/// Every schema that was seen, by its text.
#[derive(Default)]
pub struct Schemas(HashMap<String, Option<Arc<Schema>>>);

impl Schemas {
    /// The compiled schema of a text; `None` for no schema, and for one that is no schema: a worker's mistake shall
    /// not stop its tasks, so it is logged once.
    pub fn get(&mut self, task_type: &str, text: &str) -> Option<Arc<Schema>> {
        if text.is_empty() {
            return None;
        }
        if let Some(known) = self.0.get(text) {
            return known.clone();
        }
        // Old texts go when workers were upgraded many times.
        if self.0.len() > 1_000 {
            self.0.clear();
        }
        let compiled = serde_json::from_str::<Value>(text)
            .map_err(|e| e.to_string())
            .and_then(|value| jsonschema::validator_for(&value).map_err(|e| e.to_string()));
        let schema = match compiled {
            Ok(validator) => Some(Arc::new(Schema(validator))),
            Err(e) => {
                tracing::warn!(task_type, "the announced schema is none, payloads go unchecked: {e}");
                None
            }
        };
        self.0.insert(text.to_owned(), schema.clone());
        schema
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_violation_names_its_place() {
        let text = r#"{"type":"object","required":["source"],"properties":{"source":{"type":"string"},"n":{"type":"integer"}},"additionalProperties":false}"#;
        let schema = Schemas::default().get("t", text).unwrap();
        assert!(schema.check(br#"{"source":"x"}"#).is_ok());
        let refusal = schema.check(br#"{"n":"many"}"#).unwrap_err();
        assert_eq!(refusal.code, code::SCHEMA);
        assert!(refusal.message.contains("\"source\" is a required property"), "{refusal}");
        assert!(refusal.message.contains("payload/n: "), "{refusal}");
        assert_eq!(schema.check(b"{").unwrap_err().code, code::NOT_JSON);
    }

    #[test]
    fn what_is_no_schema_stops_nothing() {
        let mut schemas = Schemas::default();
        assert!(schemas.get("t", "{").is_none());
        assert!(schemas.get("t", r#"{"type":"nothing"}"#).is_none());
        assert!(schemas.get("t", "").is_none());
    }
}
